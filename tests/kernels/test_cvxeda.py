"""Convex decomposition of skin conductance."""

import warnings

import numpy as np
import pytest
import scipy.optimize
import scipy.signal
import scipy.sparse
import scipy.sparse.linalg
from sklearn.exceptions import ConvergenceWarning

from skemo.kernels.bateman import bateman_model
from skemo.kernels.cvxeda import cvxeda

ALPHA, GAMMA = 8e-4, 1e-2


def simulate(n_windows, duration, sampling_rate, seed=0, noise=1e-3):
    """Simulate responses on top of a drifting level, in microsiemens."""
    rng = np.random.default_rng(seed)
    seconds = np.arange(int(duration * sampling_rate)) / sampling_rate
    windows = np.empty((n_windows, len(seconds)))
    for window in windows:
        window[:] = 2 + 0.3 * np.sin(2 * np.pi * seconds / 90 + rng.uniform(0, 6))
        for onset in rng.uniform(-4, duration, max(1, int(duration / 8))):
            since = np.maximum(seconds - onset, 0)
            window += rng.uniform(0.05, 0.6) * (np.exp(-since / 2.2) - np.exp(-since / 0.6))
    return windows + noise * rng.normal(size=windows.shape)


class Reference:
    """The problem of Greco et al. at the full rate, as in their paper, with sparse matrices."""

    def __init__(
        self, n_times, sampling_rate, tau0=2.0, tau1=0.7, knot=10.0, alpha=ALPHA, gamma=GAMMA
    ):
        rates = np.array([1 / tau0, 1 / tau1]) / sampling_rate
        self.taps = np.convolve([2 + rates[0], rates[0] - 2], [2 + rates[1], rates[1] - 2])
        self.taps *= sampling_rate / (rates[1] - rates[0])
        n_knot = round(knot * sampling_rate)
        hat = np.convolve(np.ones(n_knot), np.ones(n_knot))
        spline = np.convolve(hat, hat) / np.convolve(hat, hat).max()
        self.alpha, self.gamma, self.n_splines = alpha, gamma, len(range(0, n_times, n_knot))
        basis = np.zeros((n_times, self.n_splines + 2))
        for i in range(self.n_splines):
            where = np.arange(n_times) - i * n_knot + len(spline) // 2
            inside = (where >= 0) & (where < len(spline))
            basis[inside, i] = spline[where[inside]]
        basis[:, -2], basis[:, -1] = 1, np.arange(1, n_times + 1) / n_times
        self.basis = basis
        self.A, self.M = (
            scipy.sparse.diags_array(list(taps), offsets=[2, 1, 0], shape=(n_times - 2, n_times))
            for taps in (self.taps, [1.0, 2.0, 1.0])
        )

    def objective(self, eda, tonic, phasic):
        """Return the objective of two parts, with the smallest driver of this phasic part."""
        driver = self.driver(phasic)
        ridge = 1e-6 * np.eye(self.n_splines, self.n_splines + 2)
        right = np.concatenate([tonic, np.zeros(self.n_splines)])
        weights = np.linalg.lstsq(np.vstack([self.basis, ridge]), right)[0][: self.n_splines]
        residual = tonic + phasic - eda
        return (residual @ residual + self.gamma * weights @ weights) / 2 + self.alpha * driver

    def driver(self, phasic):
        """Return the sum of the driver."""
        if len(phasic) > 300:  # the driver of the first and last two samples is neglected
            return np.convolve(phasic[2:], self.taps, "valid").sum() / 4
        # M q determines q except for two oscillations, which p = A q >= 0 leaves little freedom.
        response = scipy.signal.lfilter([1.0], [1.0, 2.0, 1.0], phasic[2:])
        response = np.concatenate([[0.0, 0.0], response])
        signs = (-1.0) ** np.arange(len(phasic))
        free = self.A @ np.stack([signs, signs * np.arange(len(phasic))], axis=1)
        driver = self.A @ response
        slack = 1e-6 * np.abs(phasic).max()
        free /= np.abs(free).max(axis=0)
        found = scipy.optimize.linprog(free.sum(axis=0), -free, driver + slack, bounds=(None, None))
        return driver.sum() + found.fun

    def least(self, eda):
        """Return the lowest objective, to 1e-6 of it, by a plain interior-point method."""
        n_times, n_drivers = len(eda), len(eda) - 2
        rows = [scipy.sparse.csr_array((2, n_times)), self.M]
        design = scipy.sparse.hstack([scipy.sparse.vstack(rows), self.basis], format="csr")
        A = scipy.sparse.hstack(
            [self.A, scipy.sparse.csr_array((n_drivers, self.basis.shape[1]))], format="csr"
        )
        penalty = np.zeros(design.shape[1])
        penalty[n_times:-2] = self.gamma
        hessian = design.T @ design + scipy.sparse.diags_array(penalty)
        level = 0.05 * np.var(eda) / self.alpha
        values = np.zeros(design.shape[1])
        values[:n_times] = level / self.taps.sum()
        slope = np.full(n_drivers, self.alpha)
        for _ in range(200):
            driver = A @ values
            residual = design @ values - eda
            product = driver @ slope
            splines = values[n_times:-2]
            least = (residual @ residual + self.gamma * splines @ splines) / 2
            least += self.alpha * driver.sum()
            gradient = design.T @ residual + penalty * values + self.alpha * A.sum(axis=0)
            unbalanced = np.abs(gradient - A.T @ slope).max()
            if product < 1e-6 * least and unbalanced < 1e-6 * np.abs(A.T @ slope).max():
                return least
            weight = slope / driver
            newton = hessian + A.T @ scipy.sparse.diags_array(weight) @ A
            target = 0.15 * product / n_drivers / driver
            step = scipy.sparse.linalg.spsolve(newton.tocsc(), A.T @ target - gradient)
            change = A @ step
            of_slope = target - slope - weight * change
            shrinking = np.concatenate([-change / driver, -of_slope / slope]).max()
            size = min(1, 0.95 / max(shrinking, 1e-300))
            values, slope = values + size * step, slope + size * of_slope
        raise AssertionError("the reference did not converge")


def excesses(windows, sampling_rate, reference=None, **parameters):
    """Return by what share the objective of each window is above the lowest one."""
    reference = reference or Reference(windows.shape[1], sampling_rate)
    parts = cvxeda(windows, sampling_rate, standardize=False, **parameters)
    parts = zip(windows, *parts, strict=True)
    return np.array(
        [
            reference.objective(eda, tonic, phasic) / reference.least(eda) - 1
            for eda, tonic, phasic in parts
        ]
    )


# The lowest objective


@pytest.mark.parametrize(
    ("sampling_rate", "duration"), [(4, 60), (4, 13), (32, 30), (50, 25), (128, 30), (700, 6)]
)
def test_the_objective_is_within_a_thousandth_of_the_lowest(sampling_rate, duration):
    windows = simulate(3, duration, sampling_rate, seed=1)
    assert np.abs(excesses(windows, sampling_rate)).max() < 1e-3


@pytest.mark.parametrize("noise", [0, 1e-4, 0.1])
def test_windows_with_any_noise_are_within_a_thousandth_of_the_lowest(noise):
    assert excesses(simulate(3, 60, 4, seed=2, noise=noise), 4).max() < 1e-3


def test_a_smaller_tolerance_gives_a_lower_objective():
    windows = simulate(3, 60, 4, seed=3)
    assert np.abs(excesses(windows, 4, tolerance=1e-6)).max() < 1e-4


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("tau1", {"tau1": 1.95}),
        ("tau0", {"tau0": 6.0}),
        ("gamma", {"gamma": 100.0}),
        ("alpha", {"alpha": 0.1}),
        ("knot", {"knot": 3.3}),
        ("knot", {"knot": 0.5}),
        ("knot", {"knot": 500.0}),
    ],
)
def test_unusual_parameters_are_within_a_thousandth_of_the_lowest(name, parameters):
    windows = simulate(2, 60, 4, seed=4)
    reference = Reference(240, 4, **parameters)
    given = {{"knot": "knot_spacing"}.get(name, name): parameters[name]}
    assert np.abs(excesses(windows, 4, reference, **given)).max() < 1e-3


def test_a_window_may_last_twenty_minutes():
    windows = simulate(1, 1200, 4, seed=5)
    assert np.abs(excesses(windows, 4)).max() < 1e-3


@pytest.mark.parametrize("subject", ["S05", "S14", "S23"])
def test_windows_recorded_at_the_wrist_are_within_a_thousandth_of_the_lowest(data_home, subject):
    rate, *eda = np.loadtxt(
        data_home / "stress_predict" / "Raw_data" / subject / "EDA.csv", skiprows=1
    )
    windows = np.reshape(eda[: len(eda) // 240 * 240], (-1, 240))
    windows = windows[np.std(windows, axis=1) > 0][::6]
    windows = (windows - windows.mean(axis=1)[:, None]) / windows.std(axis=1)[:, None]
    assert np.abs(excesses(windows, rate)).max() < 1e-3


def test_the_objective_of_neurokit_is_not_lower():
    pytest.importorskip("cvxopt")
    import neurokit2 as nk

    windows = simulate(4, 60, 4, seed=6)
    reference = Reference(240, 4)
    tonic, phasic = cvxeda(windows, 4, standardize=False)
    for i, eda in enumerate(windows):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            other = nk.eda_phasic(eda, sampling_rate=4, method="cvxeda")
        other = other["EDA_Tonic"].to_numpy(), other["EDA_Phasic"].to_numpy()
        ours = reference.objective(eda, tonic[i], phasic[i])
        assert ours < 1.001 * reference.objective(eda, *other)


# The parts


@pytest.mark.parametrize("sampling_rate", [4, 32])
def test_the_driver_is_never_negative(sampling_rate):
    _, phasic = cvxeda(simulate(5, 60, sampling_rate, seed=7), sampling_rate)
    reference = Reference(phasic.shape[1], sampling_rate)
    for part in phasic:
        smoothed = np.convolve(part[2:], reference.taps, "valid")  # the driver smoothed by 1, 2, 1
        assert smoothed.min() > -1e-9 * smoothed.max()


def test_a_single_response_is_recovered():
    seconds = np.arange(0, 60, 0.25)
    since = np.maximum(seconds - 30, 0)
    response = np.exp(-since / 2) - np.exp(-since / 0.7)
    tonic, phasic = cvxeda((3 + 0.5 * response)[np.newaxis], 4)
    np.testing.assert_allclose(phasic[0], 0.5 * response, atol=0.05)
    np.testing.assert_allclose(tonic[0], 3, atol=0.05)


def test_the_first_two_samples_have_no_phasic_part():
    for sampling_rate in (4, 128):
        _, phasic = cvxeda(simulate(3, 20, sampling_rate), sampling_rate)
        assert (phasic[:, :2] == 0).all()
        assert (phasic[:, 2:] != 0).any(axis=1).all()


@pytest.mark.parametrize("level", [0.0, 0.1, 7.3, -1e6])
def test_a_constant_window_is_its_own_tonic_part(level):
    windows = np.concatenate([np.full((1, 240), level), simulate(2, 60, 4)])
    tonic, phasic = cvxeda(windows, 4)
    np.testing.assert_array_equal(tonic[0], level)
    np.testing.assert_array_equal(phasic[0], 0)
    assert np.ptp(phasic[1:], axis=1).min() > 0


def test_constant_windows_alone_are_their_own_tonic_part():
    tonic, phasic = cvxeda(np.full((3, 240), 0.1), 4)
    np.testing.assert_array_equal(tonic, 0.1)
    np.testing.assert_array_equal(phasic, 0)


def test_a_window_of_rounding_noise_is_decomposed():
    windows = 0.1 + np.random.default_rng(0).integers(0, 2, (5, 240)) * np.spacing(0.1)
    tonic, phasic = cvxeda(windows, 4)
    np.testing.assert_allclose(tonic + phasic, windows, rtol=1e-14)


def test_an_added_level_changes_only_the_tonic_part():
    windows = simulate(3, 60, 4, seed=8)
    tonic, phasic = cvxeda(windows, 4)
    lifted_tonic, lifted_phasic = cvxeda(windows + 1e6, 4)
    np.testing.assert_allclose(lifted_phasic, phasic, atol=1e-6)
    np.testing.assert_allclose(lifted_tonic - 1e6, tonic, atol=1e-6)


@pytest.mark.parametrize("factor", [1e-9, 1e9])
def test_standardised_parts_have_the_unit_of_the_signal(factor):
    windows = simulate(3, 60, 4, seed=9)
    for part, scaled in zip(cvxeda(windows, 4), cvxeda(factor * windows, 4), strict=True):
        np.testing.assert_allclose(scaled, factor * part, rtol=1e-6, atol=1e-6 * factor)


def test_standardising_equals_standardising_beforehand():
    windows = simulate(3, 60, 4, seed=10)
    mean, scale = windows.mean(axis=1, keepdims=True), windows.std(axis=1, keepdims=True)
    tonic, phasic = cvxeda((windows - mean) / scale, 4, standardize=False)
    own_tonic, own_phasic = cvxeda(windows, 4)
    np.testing.assert_allclose(own_phasic, scale * phasic, atol=1e-7)
    np.testing.assert_allclose(own_tonic, scale * tonic + mean, atol=1e-7)


@pytest.mark.parametrize("n_times", [0, 1, 2])
def test_windows_too_short_for_a_response_are_tonic(n_times):
    windows = np.arange(2.0 * n_times).reshape(2, n_times)
    tonic, phasic = cvxeda(windows, 4)
    np.testing.assert_array_equal(tonic, windows)
    np.testing.assert_array_equal(phasic, 0)


@pytest.mark.parametrize("n_times", [3, 4, 5, 6, 9])
@pytest.mark.parametrize("sampling_rate", [4, 700])
def test_a_few_samples_are_decomposed(n_times, sampling_rate):
    windows = np.random.default_rng(1).normal(size=(4, n_times))
    tonic, phasic = cvxeda(windows, sampling_rate)
    residual = windows - tonic - phasic
    assert ((residual**2).sum(axis=1) < windows.var(axis=1) * n_times).all()


def test_no_windows_give_no_parts():
    tonic, phasic = cvxeda(np.empty((0, 240)), 4)
    assert tonic.shape == phasic.shape == (0, 240)


def test_single_precision_input_is_accepted():
    windows = simulate(2, 60, 4).astype("float32")
    before = windows.copy()
    for part, double in zip(cvxeda(windows, 4), cvxeda(windows.astype(float), 4), strict=True):
        np.testing.assert_array_equal(part, double)
    np.testing.assert_array_equal(windows, before)


# Many windows


@pytest.mark.parametrize(("sampling_rate", "n_windows"), [(4, 700), (700, 9)])
def test_a_window_has_the_same_bits_alone_and_among_others(sampling_rate, n_windows):
    windows = simulate(n_windows, 20, sampling_rate, seed=11)
    windows[::5] *= np.linspace(1, 1000, windows.shape[1])
    windows[3] = 1
    together = np.stack(cvxeda(windows, sampling_rate))
    for chosen in ([0], [1, 0], [5, 4, 2], [n_windows - 1], [3, 6], list(range(7))):
        apart = np.stack(cvxeda(windows[chosen], sampling_rate))
        np.testing.assert_array_equal(apart, together[:, chosen])


@pytest.mark.parametrize("sampling_rate", [4, 128])
def test_the_result_does_not_depend_on_how_many_are_solved_together(sampling_rate, monkeypatch):
    windows = simulate(7, 20, sampling_rate, seed=12)
    expected = np.stack(cvxeda(windows, sampling_rate))
    for n_panel, n_chunk in ((3, 2), (2, 3)):  # the last part is of one window
        n_blocks = bateman_model(windows.shape[1], sampling_rate, 2.0, 0.7, 10.0, 0.01).n_blocks
        monkeypatch.setattr("skemo.kernels.cvxeda._PANEL", n_panel * n_blocks)
        monkeypatch.setattr("skemo.kernels.cvxeda._CHUNK", n_chunk * windows.shape[1])
        np.testing.assert_array_equal(np.stack(cvxeda(windows, sampling_rate)), expected)


def test_knots_may_be_as_close_as_samples():
    windows = simulate(2, 10, 128, seed=13, noise=0.05)
    tonic, phasic = cvxeda(windows, 128, knot_spacing=2 / 128, gamma=1e-6, alpha=10)
    assert np.abs(tonic + phasic - windows).std() < 0.1 * windows.std()


# Errors


def test_windows_that_have_not_converged_are_warned_of():
    windows = simulate(3, 60, 4)
    with pytest.warns(ConvergenceWarning, match="3 of 3 windows have not reached tolerance=0.001"):
        tonic, phasic = cvxeda(windows, 4, max_iter=2)
    assert np.isfinite(tonic + phasic).all()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_gaps_are_an_error(value):
    windows = simulate(2, 60, 4)
    windows[1, 3] = value
    with pytest.raises(ValueError, match=r"eda.* (NaN|infinity)"):
        cvxeda(windows, 4)


def test_a_single_window_must_be_two_dimensional():
    with pytest.raises(
        ValueError, match=r"eda must have the shape \(n_windows, n_times\), got \(240,\)"
    ):
        cvxeda(np.ones(240), 4)


@pytest.mark.parametrize(
    "name", ["tau0", "tau1", "knot_spacing", "alpha", "gamma", "tolerance", "max_iter"]
)
@pytest.mark.parametrize("value", [0, -1.0, np.nan, np.inf, "2", None, True])
def test_parameters_must_be_positive_numbers(name, value):
    with pytest.raises(ValueError, match=f"{name} must be a positive number, got {value!r}"):
        cvxeda(simulate(1, 60, 4), 4, **{name: value})


def test_the_slow_time_constant_must_be_the_larger():
    with pytest.raises(ValueError, match="tau1 must be less than tau0, 2 s, got 2 s"):
        cvxeda(simulate(1, 60, 4), 4, tau1=2.0)


@pytest.mark.parametrize("parameters", [{"tau1": 0.125}, {"knot_spacing": 0.2}])
def test_a_sampling_rate_too_low_is_an_error(parameters):
    with pytest.raises(ValueError, match="A sampling rate of 4 Hz is too low"):
        cvxeda(simulate(1, 60, 4), 4, **parameters)
