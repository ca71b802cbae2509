"""Windows that are trained on but never tested, because they overlap the tested ones."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from skemo.signals.groups import is_near, lay_out_trials, trial_codes

Folds = Sequence[tuple[NDArray[np.intp], NDArray[np.intp]]]


def check_tested(tested: ArrayLike | None, n_windows: int) -> NDArray[np.bool_]:
    """Return whether each window is tested, from the parameter `tested` of `compare`.

    Parameters
    ----------
    tested : array-like of bool, shape (n_windows,), or None
        None means that all windows are tested.
    n_windows : int

    Returns
    -------
    ndarray of bool, shape (n_windows,)

    Raises
    ------
    ValueError
        If `tested` has another shape or type, or no window is tested.
    """
    if tested is None:
        return np.ones(n_windows, bool)
    mask: Any = np.asarray(tested)
    if mask.dtype != bool or mask.shape != (n_windows,):
        raise ValueError(
            f"tested must say for each of the {n_windows} windows whether it is tested, as "
            f"windows['start'] % 10 == 0 does; got shape {mask.shape} of {mask.dtype}."
        )
    if not mask.any():
        raise ValueError("tested is False for all windows: there is nothing to test.")
    return mask


def add_training_rows(
    folds: Folds, tested: NDArray[np.bool_], groups: pd.DataFrame, gap: float = 0.0
) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Add windows that are never tested to the training side of folds.

    In each fold, such a window is trained on if the fold trains on all windows of its trial that
    are marked in `tested`. If the fold trains on only some of them, the window is added if it
    overlaps one of these, overlaps none of the rest and is at least `gap` seconds from all that the
    fold tests; without times, it is left out.

    Parameters
    ----------
    folds : list of (train, test)
        Positions among the windows for which `tested` is True.
    tested : ndarray of bool, shape (n_windows,)
        From `check_tested`.
    groups : DataFrame of n_windows rows
        From `window_groups`. Without trials, each subject is one trial.
    gap : float, default=0.0
        Smallest distance to tested windows in seconds.

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
            here = candidates[divided]
            start, stop = times
            near = [
                is_near(start[here], stop[here], start[rows], stop[rows], distance)
                for rows, distance in ((train, 0.0), (outside, 0.0), (test, gap))
            ]
            chosen[divided] = near[0] & ~near[1] & ~near[2]
        added.append((np.sort(np.concatenate([train, candidates[chosen]])), test))
    return added
