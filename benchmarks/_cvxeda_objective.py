"""Objective of a convex decomposition of skin conductance, from its tonic and phasic parts."""

import numpy as np

# Time constants of the response (s), distance of the knots of the tonic spline (s), and weights:
# the values of Greco et al. (2016), cvxEDA, IEEE Transactions on Biomedical Engineering 63(4).
TAU = (2.0, 0.7)
KNOT = 10.0
ALPHA, GAMMA = 8e-4, 1e-2


def cvxeda_objective(eda, tonic, phasic, sampling_rate):
    """½ |tonic + phasic - eda|² + α Σ driver + ½ γ |weights of the spline|², of one window.

    The driver's sum follows from the phasic part: with the operators M and A of the paper, phasic =
    M q and driver = A q, so that M driver = A phasic, and M multiplies a sum by 4. Driver in the
    first and last two samples is neglected.
    """
    n_times, step = len(eda), 1 / sampling_rate
    fast, slow = 1 / min(TAU), 1 / max(TAU)
    a = np.array(
        [
            (fast * step + 2) * (slow * step + 2),
            2 * fast * slow * step**2 - 8,
            (fast * step - 2) * (slow * step - 2),
        ]
    ) / ((fast - slow) * step**2)
    driver = np.convolve(phasic[2:], a, "valid").sum() / 4

    n_knot = round(KNOT * sampling_rate)
    hat = np.concatenate([np.arange(1, n_knot), np.arange(n_knot, 0, -1)]).astype(float)
    spline = np.convolve(hat, hat)
    knots = np.arange(0, n_times, n_knot)
    offsets = np.arange(n_times)[:, np.newaxis] - knots + len(spline) // 2
    inside = (offsets >= 0) & (offsets < len(spline))
    basis = np.where(inside, spline[np.clip(offsets, 0, len(spline) - 1)] / spline.max(), 0)
    line = np.stack([np.ones(n_times), np.arange(1, n_times + 1) / n_times], axis=1)
    # Of the weights that give this tonic part, those that cost least.
    ridge = 1e-6 * np.eye(len(knots), len(knots) + 2)
    design = np.vstack([np.hstack([basis, line]), ridge])
    weights = np.linalg.lstsq(design, np.concatenate([tonic, np.zeros(len(knots))]))[0]

    residual = ((tonic + phasic - eda) ** 2).sum()
    return 0.5 * residual + ALPHA * driver + 0.5 * GAMMA * (weights[: len(knots)] ** 2).sum()
