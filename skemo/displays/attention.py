"""Attention weights of a network, per modality, class and subject."""

from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_consistent_length

from skemo._escape import to_printable
from skemo.displays.representation import enter_last_step
from skemo.displays.style import check_axes, color_of
from skemo.displays.subject_scores import one_per_window

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ALL = "all windows"  # the only row, where no classes are given
_GROUP_WIDTH = 0.8  # of a modality's share of the axis, divided among the bars of its classes


class AttentionDisplay:
    """Attention weights that a network gives to its modalities, by class or by subject.

    ``kind="class"`` draws one bar per modality and class: the mean over subjects, each
    counted once, with the standard deviation over subjects and one point per subject.
    ``kind="subject"`` draws a heat map with one row per subject and one column per modality
    and class.

    Weights of ``attention="residual"`` and "scalar" lie between 0 and 2; a line at 1 shows where a
    modality is left as it is without attention.

    A weight of 0 or NaN means that the modality is missing from the window, or that there is
    no other modality to share the attention with. Such windows are left out of the means and
    counted in ``absent_``: an absent modality does not have a low weight.

    Create it with `from_estimator` or `from_predictions`.

    Parameters
    ----------
    weights : DataFrame of n_windows rows
        Attention weights between 0 and 1, or between 0 and 2, one column per modality.
    y : array-like of shape (n_windows,), default=None
        Class labels; if None, all windows are averaged together.
    subjects : array-like of shape (n_windows,), default=None
        The subject of each window. If None, each window counts on its own, and the standard
        deviation is taken over windows.

    Attributes
    ----------
    class_means_ : DataFrame
        Mean weight over subjects, one row per class and one column per modality.
    class_spread_ : DataFrame
        Standard deviation over subjects (divisor n - 1), laid out as `class_means_`; NaN for a
        single subject.
    subject_means_ : DataFrame
        Mean weight over each subject's windows: one row per subject and class, one column per
        modality; NaN where the modality is absent from all of these windows.
    absent_ : Series
        Share of the windows from which each modality is absent.
    ax_ : matplotlib axes
    figure_ : matplotlib Figure
    bars_ : list of BarContainer
        One per class; only with ``kind="class"``.
    image_ : QuadMesh
        The heat map; only with ``kind="subject"``.

    Examples
    --------
    >>> import pandas as pd
    >>> from skemo.displays.attention import AttentionDisplay
    >>> weights = pd.DataFrame({"ecg": [0.2, 0.4, 0.0, 0.6], "eeg": [0.7, 0.9, 0.8, 0.8]})
    >>> display = AttentionDisplay.from_predictions(weights, subjects=["a", "a", "b", "b"])
    >>> display.class_means_.round(2)
                  ecg  eeg
    all windows  0.45  0.8
    """

    def __init__(
        self,
        weights: pd.DataFrame,
        *,
        y: ArrayLike | None = None,
        subjects: ArrayLike | None = None,
    ) -> None:
        self.weights = weights
        self.y = y
        self.subjects = subjects

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: pd.DataFrame | ArrayLike,
        y: ArrayLike | None = None,
        *,
        subjects: ArrayLike | None = None,
        kind: Literal["class", "subject"] = "class",
        ax: "Axes | None" = None,
    ) -> Self:
        """Draw the attention weights that a fitted network gives to windows.

        Parameters
        ----------
        estimator : classifier with ``attention_weights``, or Pipeline that ends in one
            Fitted.
        X : DataFrame or array of n_windows rows
            Windows, preferably of subjects that it was not fitted on.
        y : array-like of shape (n_windows,), default=None
            Class labels.
        subjects : array-like of shape (n_windows,), default=None
            The subject of each window.
        kind : {"class", "subject"}, default="class"
            Bars by class, or a heat map by subject.
        ax : matplotlib axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        AttentionDisplay

        Raises
        ------
        ValueError
            The estimator has no attention weights.
        """
        classifier, rows = enter_last_step(estimator, X)
        if not hasattr(classifier, "attention_weights"):
            raise ValueError(
                f"{classifier!r} has no attention weights: AttentionDisplay takes a "
                "ModalityAwareAttentionClassifier or CrossModalAttentionClassifier with "
                "attention, or a Pipeline that ends in one."
            )
        weights = classifier.attention_weights(rows)
        return cls.from_predictions(weights, y, subjects=subjects, kind=kind, ax=ax)

    @classmethod
    def from_predictions(
        cls,
        weights: pd.DataFrame,
        y: ArrayLike | None = None,
        *,
        subjects: ArrayLike | None = None,
        kind: Literal["class", "subject"] = "class",
        ax: "Axes | None" = None,
    ) -> Self:
        """Draw attention weights that were computed before.

        Parameters
        ----------
        weights : DataFrame of n_windows rows
            As ``attention_weights`` returns them: one column per modality.
        y : array-like of shape (n_windows,), default=None
            Class labels.
        subjects : array-like of shape (n_windows,), default=None
            The subject of each window.
        kind : {"class", "subject"}, default="class"
            Bars by class, or a heat map by subject.
        ax : matplotlib axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        AttentionDisplay
        """
        return cls(weights, y=y, subjects=subjects).plot(kind, ax=ax)

    def plot(
        self, kind: Literal["class", "subject"] = "class", *, ax: "Axes | None" = None
    ) -> Self:
        """Draw the weights.

        Parameters
        ----------
        kind : {"class", "subject"}, default="class"
            Bars by class, or a heat map by subject.
        ax : matplotlib axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        self
        """
        if kind not in ("class", "subject"):
            raise ValueError(f'kind must be "class" or "subject", got {kind!r}.')
        if kind == "subject" and self.subjects is None:
            raise ValueError('kind="subject" needs the subject of each window: pass subjects=...')
        self._average()
        if kind == "class":
            self._draw_bars(ax)
        else:
            self._draw_map(ax)
        return self

    def _average(self):
        weights, y, subjects = _check_weights(self.weights, self.y, self.subjects)
        self._largest = 2 if (weights > 1).any(axis=None) else 1
        present = weights.where(weights > 0)
        self.absent_ = present.isna().mean()
        self.subject_means_ = present.groupby([subjects, y]).mean()
        self.subject_means_.index.names = ["subject", "class"]
        by_class = self.subject_means_.groupby(level="class")
        self.class_means_ = by_class.mean().rename_axis(None)
        self.class_spread_ = by_class.std().rename_axis(None)

    def _draw_bars(self, ax):
        means, spread = self.class_means_, self.class_spread_
        n_classes, n_modalities = means.shape
        self.ax_ = check_axes(ax, figsize=(max(3.6, 1.2 + 1.5 * n_modalities), 3.6))
        self.figure_ = self.ax_.figure
        places = np.arange(n_modalities)
        width = _GROUP_WIDTH / n_classes
        self.bars_ = []
        for i, label in enumerate(means.index):
            middle = places + (i - (n_classes - 1) / 2) * width
            style = {"color": color_of(i), "label": to_printable(str(label)), "alpha": 0.65}
            self.bars_.append(self.ax_.bar(middle, means.loc[label], 0.92 * width, **style))
            self.ax_.errorbar(
                middle, means.loc[label], spread.loc[label].fillna(0), fmt="none", color="black"
            )
            if self.subjects is not None:
                self._draw_subjects(label, middle, width, color_of(i))
        self.ax_.set_xticks(places, [_with_absence(name, self.absent_[name]) for name in means])
        if self._largest == 2:
            self.ax_.axhline(1, color="0.4", linestyle="--", linewidth=0.8)
        self.ax_.set(
            ylabel=f"attention weight\n(mean ± SD over {self._units()})", ylim=(0, self._largest)
        )
        self.ax_.spines[["top", "right"]].set_visible(False)
        if self.y is not None:
            self.ax_.legend(
                loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=n_classes, frameon=False
            )

    def _draw_subjects(self, label, middle, width, color):
        values = self.subject_means_.xs(label, level="class")
        spots = np.linspace(-0.28, 0.28, len(values)) if len(values) > 1 else np.zeros(1)
        self.ax_.plot(
            middle + width * spots[:, None],
            values.to_numpy(),
            "o",
            markersize=3.5,
            markerfacecolor="white",
            markeredgecolor=color,
        )

    def _units(self):
        return "windows" if self.subjects is None else "subjects"

    def _draw_map(self, ax):
        table = self.subject_means_.unstack("class")
        n_subjects, n_columns = table.shape
        n_classes = len(self.class_means_)
        size = (max(3.6, 1.6 + 0.75 * n_columns), 1.2 + 0.27 * n_subjects)
        self.ax_ = check_axes(ax, figsize=size)
        self.figure_ = self.ax_.figure
        self.ax_.set_facecolor("0.93")  # shows where a modality is absent
        values = np.ma.masked_invalid(table.to_numpy())
        self.image_ = self.ax_.pcolormesh(
            values, cmap="viridis", vmin=0, vmax=self._largest, linewidth=0
        )
        for row, column in np.ndindex(values.shape):
            value = table.iat[row, column]
            dark = value < 0.6 * self._largest
            self.ax_.text(
                column + 0.5,
                row + 0.5,
                "absent" if np.isnan(value) else f"{value:.2f}",
                ha="center",
                va="center",
                fontsize="small",
                color="0.35" if np.isnan(value) else "white" if dark else "black",
            )
        self.ax_.vlines(np.arange(n_classes, n_columns, n_classes), 0, n_subjects, "white", lw=4)
        self.ax_.set_yticks(
            np.arange(n_subjects) + 0.5, [to_printable(str(name)) for name in table.index]
        )
        self.ax_.set_xticks(
            np.arange(n_columns) + 0.5,
            [
                to_printable(str(name) if self.y is None else f"{name}\n{label}")
                for name, label in table.columns
            ],
        )
        self.ax_.tick_params(length=0)
        self.ax_.xaxis.tick_top()
        self.ax_.invert_yaxis()
        self.ax_.set_ylabel("subject")
        self.ax_.spines[:].set_visible(False)
        self.figure_.colorbar(self.image_, ax=self.ax_, label="mean attention weight", aspect=30)


def _check_weights(weights, y, subjects):
    """Return the weights as floats, with a class and a subject per window, given or made up."""
    weights = pd.DataFrame(weights) if np.ndim(weights) == 2 else None
    if weights is None or any(dtype.kind not in "biuf" for dtype in weights.dtypes):
        raise ValueError("weights must be a table of numbers with a column per modality.")
    weights = weights.astype(float).reset_index(drop=True)
    y = np.full(len(weights), _ALL) if y is None else one_per_window(y, "y")
    if subjects is None:
        subjects = np.arange(len(weights))
    subjects = one_per_window(subjects, "subjects")
    check_consistent_length(weights, y, subjects)
    if len(weights) == 0 or ((weights < 0) | (weights > 2)).any(axis=None):
        raise ValueError(
            "weights must be between 0 and 2, or NaN, and there must be at least one window: got "
            f"{len(weights)} windows from {weights.min(axis=None)} to {weights.max(axis=None)}."
        )
    return weights, y, subjects


def _with_absence(name, share):
    name = to_printable(str(name))
    return name if share == 0 else f"{name}\nabsent in {share:.1%}".replace("%", " %")
