"""Windows that are trained on, but never tested: those that overlap the tested ones."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from skemo.signals.groups import is_near, lay_out_trials, trial_codes

Folds = Sequence[tuple[NDArray[np.intp], NDArray[np.intp]]]


def check_tested(tested: ArrayLike | None, n_windows: int) -> NDArray[np.bool_]:
    """Return whether each window is tested, from the parameter `tested` of `compare`."""
    if tested is None:
        return np.ones(n_windows, bool)
    mask: Any = np.asarray(tested)
    if mask.dtype != bool or mask.shape != (n_windows,):
        raise ValueError(
            f"tested must say of each of the {n_windows} windows whether it is tested, as "
            f"windows['start'] % 10 == 0 does, got shape {mask.shape} of {mask.dtype}."
        )
    if not mask.any():
        raise ValueError("tested is False for all windows: there is nothing to test.")
    return mask


def add_training_rows(
    folds: Folds, tested: NDArray[np.bool_], groups: pd.DataFrame, gap: float = 0.0
) -> Folds:
    """Add windows that are never tested to the training side of folds.

    Such a window is trained on in a fold if all tested windows of its trial are. If some are
    not, it must overlap one that is, and neither overlap one that is not nor be closer than `gap`
    to one that is tested; without times, it is left out.

    Parameters
    ----------
    folds : list of (train, test)
        Positions among the windows that are tested.
    tested : ndarray of bool, shape (n_windows,)
    groups : DataFrame of n_windows rows
        From `window_groups`. Without trials, a subject is one trial.
    gap : float, default=0.0
        Seconds.

    Returns
    -------
    list of (train, test)
        Positions among all windows.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skemo.evaluation.training_rows import add_training_rows
    >>> groups = pd.DataFrame({"subject": list("aaab"), "start": [0.0, 5.0, 10.0, 0.0]})
    >>> groups["stop"] = groups["start"] + 10
    >>> tested = np.array([True, False, True, True])
    >>> (train, test), = add_training_rows([(np.array([0, 1]), np.array([2]))], tested, groups)
    >>> train.tolist(), test.tolist()
    ([0, 1, 2], [3])
    """
    whole, others = np.flatnonzero(tested), np.flatnonzero(~tested)
    trials = trial_codes(groups)
    times = lay_out_trials(groups, apart=gap) if "start" in groups else None
    added = []
    for train, test in folds:
        train, test = whole[train], whole[test]
        outside = np.setdiff1d(whole, train)
        candidates = others[np.isin(trials[others], trials[train])]
        divided = np.isin(trials[candidates], trials[outside])
        chosen = ~divided
        if times is not None:
            own = tuple(ends[candidates[divided]] for ends in times)
            near = [
                is_near(*own, *(ends[rows] for ends in times), distance)
                for rows, distance in ((train, 0.0), (outside, 0.0), (test, gap))
            ]
            chosen[divided] = near[0] & ~near[1] & ~near[2]
        added.append((np.sort(np.concatenate([train, candidates[chosen]])), test))
    return added
