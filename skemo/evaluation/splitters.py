"""Within-subject splitters: leave out whole trials, or blocks of time."""

from collections.abc import Iterator
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import (
    BaseCrossValidator,
)
from sklearn.utils.validation import check_consistent_length, column_or_1d, indexable

from skemo.signals.groups import GROUP_COLUMNS, is_near, lay_out_trials, trial_codes, window_groups


def _known_groups(groups, who, needed):
    """The table of `window_groups`; an error if it lacks one of the columns `needed`."""
    table = window_groups(groups)
    missing = [name for name in needed if name not in table]
    if missing:
        raise ValueError(
            f"{who} needs {', '.join(needed)} of each window, but groups has no "
            f"{' and no '.join(missing)}: pass a table with these columns, as groups=windows."
        )
    return table


class LeaveOneTrialOut(BaseCrossValidator):
    """Test each trial with a model trained on the same subject's other trials.

    This asks how well a person's state is recognised by a model that was fitted to that person.
    It needs at least two trials of each class from each subject: otherwise the remaining trials
    of a subject have a single class, and the splitter raises an error that names the subject.
    `BlockedKFold` does not need them.

    Folds come in the order in which the trials appear. `groups` is a table with the columns
    ``subject`` and ``trial``, such as the windows themselves.

    Notes
    -----
    Leaving out a trial makes its class rarer among the training windows. With few trials, a model
    that follows the class counts is therefore wrong more often than not: chance lies *below* one
    half, and a permutation control shows by how much. If a trial has several episodes of rest and
    stress, name each episode as a trial of its own to leave out episodes.

    Examples
    --------
    >>> import pandas as pd
    >>> from skemo.evaluation.splitters import LeaveOneTrialOut
    >>> windows = pd.DataFrame({"subject": list("aaaabb"), "trial": list("123412")})
    >>> y = [0, 1, 0, 1, 0, 1]
    >>> folds = LeaveOneTrialOut().split(windows[:4], y[:4], groups=windows[:4])
    >>> [(train.tolist(), test.tolist()) for train, test in folds][:2]
    [([1, 2, 3], [0]), ([0, 2, 3], [1])]
    """

    __metadata_request__split: ClassVar = {"groups": True}  # requested under metadata routing

    def split(
        self,
        X: ArrayLike | pd.DataFrame,
        y: ArrayLike | None = None,
        groups: pd.DataFrame | None = None,
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Yield the training and test rows of each fold, one per trial.

        Parameters
        ----------
        X : array-like of n_windows rows
            Only its length is used.
        y : array-like of shape (n_windows,), default=None
            Labels. If None, it is not checked that training has two classes.
        groups : DataFrame of n_windows rows
            As for `window_groups`, with columns subject and trial.

        Yields
        ------
        train, test : ndarray
            Positions of rows.

        Raises
        ------
        ValueError
            Without a trial, the rest of its subject is empty or has a single class.
        """
        X, y, groups = indexable(X, y, groups)
        table = _known_groups(groups, "LeaveOneTrialOut", ("subject", "trial"))
        check_consistent_length(X, table)
        if not len(table):
            raise ValueError("LeaveOneTrialOut needs at least one window, got none.")
        subjects, trials = pd.factorize(table["subject"])[0], trial_codes(table)
        of_subject, of_trial = _rows_of(subjects), _rows_of(trials)
        folds = []
        for test in of_trial:
            rest = of_subject[subjects[test[0]]]
            folds.append((rest[trials[rest] != trials[test[0]]], test))
        if y is not None:
            _refuse_single_class(folds, column_or_1d(y), table)
        yield from folds

    def get_n_splits(self, X: Any = None, y: Any = None, groups: pd.DataFrame | None = None) -> int:
        """Return the number of trials.

        Parameters
        ----------
        X, y : object, default=None
            Not used.
        groups : DataFrame of n_windows rows, default=None
            As for `split`. Required.

        Returns
        -------
        int
        """
        table = _known_groups(groups, "LeaveOneTrialOut", ("subject", "trial"))
        return int(trial_codes(table).max(initial=-1)) + 1


def _rows_of(codes):
    """A list with the positions of each code from 0."""
    return np.split(np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes))[:-1])


def _refuse_single_class(folds, y, table):
    bad = [fold for fold in folds if len(pd.unique(y[fold[0]])) < 2]
    if not bad:
        return
    train, test = bad[0]
    subject, trial = table.loc[test[0], ["subject", "trial"]]
    left = f"they hold only the class {y[train[0]]}" if len(train) else "there are none"
    raise ValueError(
        f"Trial {str(trial)!r} of subject {str(subject)!r} cannot be tested by the subject's other "
        f"trials: {left} (as for {len(bad)} of {len(folds)} trials). Leave-one-trial-out "
        "needs two or more trials of each class from each subject: drop the subjects that have "
        "fewer, or use blocked-k-fold."
    )


class BlockedKFold(BaseCrossValidator):
    """Cut each trial into blocks of time, and test one block of every trial with the others.

    This asks how well the state of a known person is recognised at another moment of a known
    trial. Training windows that overlap a tested window of their trial, or that begin or end
    closer than `gap` seconds to it, are left out.

    The windows of a trial are cut class by class: the windows of each class, in order of time,
    are divided into `n_splits` blocks whose sizes differ by at most one window, and fold k tests
    the k-th block of each class. In a trial with one label these are plain blocks. In a trial that
    alternates between rest and stress, plain blocks could lack a class, and cutting every episode
    would put neighbours on both sides of many cuts. Cut by class, all folds have the classes in
    the proportions of the trial, with at most ``n_splits - 1`` cuts per class. Without labels the
    trial is cut as a whole.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, at least 2.
    gap : float, default=0.0
        Seconds to keep between training and tested windows of a trial. Adjacent windows are 0 s
        apart.

    Notes
    -----
    The model knows the trial whatever the `gap`. If a trial has one label, a model that recognises
    the recording knows the label, and blocks are no better than single windows dealt at random: on
    24 subjects of ``eegmat``, which has one trial per class, an SVM on differential entropy of 10-s
    windows has a balanced accuracy of 0.64 by subject, 0.96 by blocks with or without a gap of 10
    s, and 0.97 by windows. If labels change within a trial, the trial does not give them away: on
    ``stress_predict``, 30-s windows of skin conductance and pulse, it is 0.60 by subject, 0.60 by
    blocks and 0.64 by windows. `check_split` reports how many trials have a single label.

    Examples
    --------
    >>> import pandas as pd
    >>> from skemo.evaluation.splitters import BlockedKFold
    >>> windows = pd.DataFrame({"subject": "a", "trial": "1", "start": range(0, 60, 10)})
    >>> windows["stop"] = windows["start"] + 10
    >>> folds = BlockedKFold(n_splits=2, gap=5).split(windows, groups=windows)
    >>> [(train.tolist(), test.tolist()) for train, test in folds]
    [([4, 5], [0, 1, 2]), ([0, 1], [3, 4, 5])]
    """

    __metadata_request__split: ClassVar = {"groups": True}  # requested under metadata routing

    def __init__(self, n_splits: int = 5, gap: float = 0.0) -> None:
        self.n_splits = n_splits
        self.gap = gap

    def split(
        self,
        X: ArrayLike | pd.DataFrame,
        y: ArrayLike | None = None,
        groups: pd.DataFrame | None = None,
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Yield the training and test rows of each fold.

        Parameters
        ----------
        X : array-like of n_windows rows
            Only its length is used.
        y : array-like of shape (n_windows,), default=None
            Labels. If None, trials are cut as if they had one label.
        groups : DataFrame of n_windows rows
            As for `window_groups`, with columns subject, trial and start, and stop or a duration.

        Yields
        ------
        train, test : ndarray
            Positions of rows, in order.

        Raises
        ------
        ValueError
            A fold has no test windows, or no training windows of a second class.
        """
        self._check_parameters()
        X, y, groups = indexable(X, y, groups)
        table = _known_groups(groups, "BlockedKFold", GROUP_COLUMNS)
        check_consistent_length(X, table)
        labels = np.zeros(len(table), int) if y is None else pd.factorize(np.asarray(y))[0]
        blocks = _number_blocks(trial_codes(table), labels, table["start"], self.n_splits)
        start, stop = lay_out_trials(table, apart=self.gap)
        for fold in range(self.n_splits):
            tested = blocks == fold
            near = is_near(start, stop, start[tested], stop[tested], self.gap)
            train, test = np.flatnonzero(~tested & ~near), np.flatnonzero(tested)
            if len(test) == 0:
                raise ValueError(
                    f"BlockedKFold with n_splits={self.n_splits} leaves fold {fold} without "
                    "windows: the trials have too few of each class. Use fewer folds."
                )
            if len(np.unique(labels[train])) < min(2, len(np.unique(labels))):
                raise ValueError(
                    f"BlockedKFold with n_splits={self.n_splits} and gap={self.gap:g} leaves fold "
                    f"{fold} with {len(train)} training windows, of fewer than 2 classes: use "
                    "a smaller gap or fewer folds."
                )
            yield train, test

    def get_n_splits(self, X: Any = None, y: Any = None, groups: pd.DataFrame | None = None) -> int:
        """Return the number of folds.

        Parameters
        ----------
        X, y, groups : object, default=None
            Not used.

        Returns
        -------
        int
        """
        self._check_parameters()
        return self.n_splits

    def _check_parameters(self):
        if not isinstance(self.n_splits, Integral) or self.n_splits < 2:
            raise ValueError(f"n_splits must be an integer of at least 2, got {self.n_splits!r}.")
        if not isinstance(self.gap, Real) or not 0 <= self.gap < np.inf:
            raise ValueError(f"gap must be a number of seconds from 0, got {self.gap!r}.")


def _number_blocks(trials, labels, start, n_blocks):
    """Number of the block of each window, by time within its trial and class."""
    order = np.lexsort((start, trials, labels))
    _, first, counts = np.unique(
        np.stack([labels, trials])[:, order], axis=1, return_index=True, return_counts=True
    )
    # Which block of a run gets a window more goes round over the trials of a class.
    shift = np.arange(len(first)) % n_blocks
    rank = np.arange(len(order)) - np.repeat(first, counts)
    blocks = np.empty(len(order), int)
    blocks[order] = (rank * n_blocks + np.repeat(shift, counts)) // np.repeat(counts, counts)
    return blocks
