"""Tonic and phasic skin conductance by convex optimisation, for many windows at once."""

import warnings
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import ConvergenceWarning

from skemo._checks import check_rate, real_samples
from skemo.kernels.bateman import Arena, Newton, adjoint, apply, bateman_model, samples_per_block

_KNOT_SPACING = 10.0  # s
_PANEL = 1 << 17  # blocks, over all windows that are solved together
_CHUNK = 1 << 19  # samples processed together at the full rate
_MIN_TOGETHER = 2  # windows: NumPy would sum a single one in a different order
_START = 0.03  # cost of the first driver, as a share of the objective with a driver of 0
_STEP_SHARE = 0.99  # of the way to the point where a driver or a slope would be 0
_FLOOR = 1e-9  # objective, as a share of the mean square, that counts as 0


def cvxeda(
    eda: ArrayLike,
    sampling_rate: float,
    *,
    tau0: float = 2.0,
    tau1: float = 0.7,
    knot_spacing: float = _KNOT_SPACING,
    alpha: float = 8e-4,
    gamma: float = 1e-2,
    standardize: bool = True,
    tolerance: float = 1e-3,
    max_iter: int = 50,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    r"""Decompose skin conductance into a slow level (tonic) and responses (phasic), by cvxEDA.

    A window y of skin conductance is modelled as

    .. math:: y = M q + B l + C d + \varepsilon, \qquad A q = p \ge 0

    with nerve activity p, which is never negative and mostly 0, and which a Bateman function
    filters into the phasic part M q; with cubic splines B l and a straight line C d, which form
    the tonic part; and with noise. The Bateman function exp(-t/tau0) - exp(-t/tau1) is
    discretised bilinearly, so that A and M are banded. The parts are those for which

    .. math:: \tfrac12 \lVert M q + B l + C d - y \rVert^2 + \alpha\, 1^T A q
              + \tfrac\gamma2 \lVert l \rVert^2

    is least [1]_. All windows are solved together.

    Parameters
    ----------
    eda : array of shape (n_windows, n_times)
        Skin conductance, usually in microsiemens, without NaN. A whole recording is one long
        window.
    sampling_rate : float
        In hertz.
    tau0, tau1 : float, default=2.0 and 0.7
        Slow and fast time constants of the Bateman function, in seconds.
    knot_spacing : float, default=10.0
        Distance between the knots of the splines, in seconds.
    alpha : float, default=8e-4
        Weight of the nerve activity; a larger weight makes it sparser.
    gamma : float, default=1e-2
        Weight of the splines' coefficients; a larger weight makes the tonic part straighter. A
        spline is 1 at its peak.
    standardize : bool, default=True
        Whether to standardise each window to mean 0 and standard deviation 1 (divisor n) first,
        as the authors of the method do, and to scale its parts back. NeuroKit2 leaves this to
        the user.
    tolerance : float, default=1e-3
        Largest relative duality gap accepted: no decomposition has an objective that is lower by
        more than this share.
    max_iter : int, default=50
        Number of iterations after which a window is returned even if it has not converged. Most
        windows take 6 to 10.

    Returns
    -------
    tonic, phasic : ndarray of shape (n_windows, n_times)
        The rest of `eda` is noise. A constant window is its own tonic part.

    Raises
    ------
    ValueError
        The array is not two-dimensional or not finite, or a parameter is out of range.

    Warns
    -----
    ConvergenceWarning
        The gap of a window is still above `tolerance` after `max_iter` iterations.

    Notes
    -----
    The problem is solved by Mehrotra's primal-dual interior-point method [2]_. All iterates are
    feasible in the problem and in its dual, so each window can stop as soon as its own duality
    gap is small enough. The time per iteration is proportional to the number of samples, so a
    window may be hours long. Where there is no nerve activity, the solution is close to 0 but not
    exactly 0.

    Signals sampled at 56 Hz or faster are fitted through the means of blocks of samples, at
    28 to 80 Hz, to half of `tolerance`. Nerve activity then only occurs at the beginnings of
    blocks, and faster variations count as noise. This raises the objective at the full rate by a
    few ten-thousandths of the lowest one.

    The first two samples have no phasic part, as in the authors' solver. In a window of a minute,
    a rising level explains the signal about as well as dense responses on top of a falling
    level: decompose whole recordings where you have them.

    References
    ----------
    .. [1] Greco, Valenza, Lanata, Scilingo, Citi (2016). cvxEDA: a convex optimization
       approach to electrodermal activity processing. IEEE Transactions on Biomedical
       Engineering 63(4):797-804. https://doi.org/10.1109/TBME.2015.2474131
    .. [2] Mehrotra (1992). On the implementation of a primal-dual interior point method.
       SIAM Journal on Optimization 2(4):575-601. https://doi.org/10.1137/0802028

    Examples
    --------
    >>> import numpy as np
    >>> from skemo.kernels.cvxeda import cvxeda
    >>> seconds = np.arange(240) / 4
    >>> since = np.maximum(seconds - 20, 0)
    >>> eda = 3 + 0.01 * seconds + 0.8 * (np.exp(-since / 2) - np.exp(-since / 0.7))
    >>> tonic, phasic = cvxeda(eda[np.newaxis], 4)
    >>> tonic[0, [40, 160]].round(1), phasic[0].argmax() / 4
    (array([3.1, 3.4]), np.float64(21.25))
    """
    windows = real_samples(eda, "eda", may_be_empty=True)
    parameters = (sampling_rate, tau0, tau1, knot_spacing, gamma)
    _check(windows, *parameters, alpha=alpha, tolerance=tolerance, max_iter=max_iter)
    n_windows, n_times = windows.shape
    tonic, phasic = windows.astype(float), np.zeros(windows.shape)
    if not np.isfinite(tonic.sum()):
        raise ValueError("eda has NaN or infinity: fill the gaps, or leave these windows out.")
    if n_times < 3 or not n_windows:
        return tonic, phasic
    model = bateman_model(n_times, *parameters)
    aim = tolerance / 2 if model.n_block > 1 else tolerance  # the blocks use up the other half
    gaps = np.zeros(n_windows)
    for panel in _parts(n_windows, _PANEL // model.n_blocks):
        first, rows, mean, scale = _observe(model, tonic[panel])  # before the result is written
        varying = np.flatnonzero(scale > 0)
        if not len(varying):
            continue
        varying = np.pad(varying, (0, max(0, _MIN_TOGETHER - len(varying))), mode="edge")
        weight = alpha / (np.ones(len(varying)) if standardize else scale[varying])
        first, rows = first.take(varying, axis=-1), rows.take(varying, axis=-1)
        driver, x, gap = _solve(model, first, rows, weight, aim, int(max_iter))
        gaps[panel.start + varying] = gap
        for part in _parts(len(varying), _CHUNK // n_times):
            slow, quick = model.synthesise(driver[..., part], x[:, part])
            size, level = scale[varying[part], np.newaxis], mean[varying[part], np.newaxis]
            tonic[panel.start + varying[part]] = slow * size + level
            phasic[panel.start + varying[part]] = quick * size
    n_above = np.count_nonzero(~(gaps <= aim))
    if n_above:
        warnings.warn(
            f"{n_above} of {n_windows} windows have not reached {tolerance=:g} after {max_iter:g} "
            f"iterations (gaps up to {gaps.max():.2g}): raise max_iter or tolerance.",
            ConvergenceWarning,
            stacklevel=2,
        )
    return tonic, phasic


def _check(eda, sampling_rate, tau0, tau1, knot_spacing, gamma, **others):
    """Raise an error if a parameter is out of range."""
    if eda.ndim != 2:
        raise ValueError(f"eda must have the shape (n_windows, n_times), got {eda.shape}.")
    numbers = {
        "sampling_rate": sampling_rate,
        "tau0": tau0,
        "tau1": tau1,
        "knot_spacing": knot_spacing,
        "gamma": gamma,
        **others,
    }
    for name, value in numbers.items():
        if not isinstance(value, Real) or isinstance(value, bool) or not 0 < value < np.inf:
            raise ValueError(f"{name} must be a positive number, got {value!r}.")
    check_rate(sampling_rate)
    if tau1 >= tau0:
        raise ValueError(f"tau1 must be less than tau0, {tau0:g} s, got {tau1:g} s.")
    if 2 * tau1 * sampling_rate <= 1 or knot_spacing * sampling_rate < 1:
        raise ValueError(
            f"A sampling rate of {sampling_rate:g} Hz is too low: it must be above "
            f"{0.5 / tau1:.3g} Hz for tau1={tau1:g}, and at least {1 / knot_spacing:.3g} Hz for "
            f"{knot_spacing=:g}."
        )


def optimised_together(n_times: int, sampling_rate: float) -> int:
    """Return how many windows are solved together, with the default parameters."""
    n_block = samples_per_block(sampling_rate, n_times, round(_KNOT_SPACING * sampling_rate))
    return max(_MIN_TOGETHER, _PANEL * n_block // max(1, n_times))


def _parts(n, size):
    """Return slices of range(n), of at least `_MIN_TOGETHER` items each except for the last."""
    size = max(size, _MIN_TOGETHER)
    return [slice(start, start + size) for start in range(0, n, size)]


def _observe(model, eda):
    """Return what the model sees of standardised windows, and their means and deviations."""
    first = np.empty((2, len(eda)))
    rows = np.empty((*model.weight.shape[:2], len(eda)))
    mean, scale = np.empty((2, len(eda)))
    for part in _parts(len(eda), _CHUNK // eda.shape[1]):
        first_sample = eda[part, :1]  # subtracted so that a constant window is exactly 0
        centred = eda[part] - first_sample
        mean[part] = centred.mean(axis=1)
        centred -= mean[part, np.newaxis]
        mean[part] += first_sample[:, 0]
        scale[part] = np.sqrt((centred**2).mean(axis=1))
        centred /= np.where(scale[part] > 0, scale[part], 1)[:, np.newaxis]
        first[:, part], rows[..., part] = model.observe(centred)
    return first, rows, mean, scale


class _Point:
    """The current iterate of each window.

    Driver and slope are positive, and A' slope = A' alpha + M' dual. At the solution, the dual
    variable equals the residual; `excess` is the residual minus the dual variable. `extra` is the
    residual of the first two samples and of the penalties on the splines, and `extra_excess` is
    that minus its dual variable.
    """

    def __init__(self, *, alpha, x, driver, slope, residual, extra, excess, extra_excess):
        self.alpha = alpha
        self.x = x
        self.driver = driver
        self.slope = slope
        self.residual = residual
        self.extra = extra
        self.excess = excess
        self.extra_excess = extra_excess

    def take(self, windows):
        arrays = {name: array.take(windows, axis=-1) for name, array in vars(self).items()}
        return _Point(**arrays)


def _start(model, first, rows, alpha):
    """Return a constant driver, offset by the tonic part, and a dual variable of 0."""
    level = _START / 2 * (_dot(rows, rows) + (first**2).sum(axis=0)) / (alpha * model.n_blocks)
    driver = np.broadcast_to(level, rows.shape).copy()
    slope = np.broadcast_to(alpha, rows.shape).copy()
    x = np.zeros((model.n_x, len(alpha)))
    x[model.of_states] = level / model.A.sum()
    response = level * model.M.sum() / model.A.sum()
    x[-2] = -response / model.height
    residual = model.weight * response + model.splines(model.spline_weights(x)) - rows
    extra = model.extra @ x
    extra[:2] -= first
    return _Point(
        alpha=alpha,
        x=x,
        driver=driver,
        slope=slope,
        residual=residual,
        extra=extra,
        excess=residual.copy(),
        extra_excess=extra.copy(),
    )


def _solve(model, first, rows, alpha, tolerance, max_iter):
    """Return the drivers, x and relative duality gaps of the windows."""
    point = _start(model, first, rows, alpha)
    driver, x, gaps = np.empty_like(rows), np.empty_like(point.x), np.empty(len(alpha))
    left, arena = np.arange(len(alpha)), Arena(model, len(alpha))
    for n_iter in range(max_iter + 1):
        product = point.driver * point.slope * model.weight
        gap = product.sum(axis=(0, 1)) + 0.5 * _dot(point.excess, point.excess)
        gap += 0.5 * (point.extra_excess**2).sum(axis=0)
        value = 0.5 * (_dot(point.residual, point.residual) + (point.extra**2).sum(axis=0))
        value += point.alpha * np.einsum("rpw,rp->w", point.driver, model.weight[..., 0])
        gap /= np.maximum(value - gap, _FLOOR * model.n_blocks)
        stop = (gap <= tolerance) | (n_iter == max_iter)
        if stop.any():
            done = left[stop]
            driver[..., done], x[:, done] = point.driver[..., stop], point.x[:, stop]
            gaps[done] = gap[stop]
            if stop.all():
                break
            keep = np.flatnonzero(~stop)
            keep = np.pad(keep, (0, max(0, _MIN_TOGETHER - len(keep))), mode="edge")
            left, product, point = left[keep], product.take(keep, axis=-1), point.take(keep)
        _step(model, point, product, arena)
    return driver, x, gaps


def _step(model, point, product, arena):
    """Move a point by one step of Mehrotra's method; `product` is driver times slope."""
    of_q = -adjoint(point.residual, model.M)
    of_q -= point.alpha * model.price
    of_extra = model.extra_transposed @ point.extra
    right = of_q, -model.splines_adjoint(point.residual), -of_extra
    newton = Newton(model, point.slope / point.driver, *right, arena)
    # Predictor: how far a step towards products of 0 can go determines the target of the corrector.
    ratio = apply(newton.solve()[0], model.A)
    ratio /= point.driver  # the ratio of the slopes is -1 - ratio
    primal, dual = _length(ratio.min(axis=(0, 1)), 1), _length(-1 - ratio.max(axis=(0, 1)), 1)
    target = product * ratio
    total, linear = product.sum(axis=(0, 1)), target.sum(axis=(0, 1))
    ahead = total * (1 - dual) + linear * (primal * (1 - dual) - dual)
    ahead -= primal * dual * _dot(target, ratio)
    mean = (ahead / total) ** 3 * total / model.n_blocks
    ratio += 1
    target *= ratio  # second-order term of the products
    target += mean * model.weight
    target /= point.driver
    q, weights, x = newton.solve(adjoint(target, model.A))
    driver = apply(q, model.A)
    ratio = driver / point.driver
    primal = _length(ratio.min(axis=(0, 1)), _STEP_SHARE)
    slope = model.weight * (target - point.slope * (1 + ratio))
    dual = _length((slope / point.slope).min(axis=(0, 1)), _STEP_SHARE)
    residual, extra = apply(q, model.M) * model.weight + model.splines(weights), model.extra @ x
    point.residual += primal * residual
    point.extra += primal * extra
    for excess, change in ((point.excess, residual), (point.extra_excess, extra)):
        excess *= 1 - dual
        excess += (primal - dual) * change
    point.x += primal * x
    point.driver += primal * driver
    point.slope += dual * slope


def _dot(one, other):
    """Return the sum of products over each window."""
    return np.einsum("rpw,rpw->w", one, other)


def _length(smallest, share):
    """Return the step, at most 1, that goes a share of the way to a smallest ratio of -1."""
    return np.minimum(1, share / np.maximum(-smallest, 1e-300))
