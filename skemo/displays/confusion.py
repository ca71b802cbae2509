"""Confusion matrices of models side by side, averaged over subjects."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from skemo._escape import to_printable
from skemo.displays.style import check_panels
from skemo.displays.subject_scores import chosen_models, predictions_by_model
from skemo.signals.checks import check_sortable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from skemo.evaluation.comparison import Comparison

_MAX_COLUMNS = 3  # matrices side by side
_CHARACTER_WIDTH = 0.075  # of small print, in inches
_DARK = 0.68  # above this share, the cell's colour is too dark for dark letters


class ConfusionDisplay:
    """Confusion matrices of one or several models, on one colour scale.

    Each row belongs to a true class and sums to 1: it shows the share of that class's windows
    that were predicted as each class. By default, one matrix is computed per subject and their
    mean is drawn, so that every subject counts the same however many windows they have; the
    mean of the diagonal is then close to the mean balanced accuracy over subjects. The small
    numbers are counts of windows, over all subjects.

    scikit-learn's ``ConfusionMatrixDisplay``, on which this is built, draws one matrix of
    pooled windows. Create it with `from_comparison`, `from_predictions` or `from_estimator`.

    Parameters
    ----------
    confusion : ndarray of shape (n_models, n_classes, n_classes)
        Shares, with true classes in rows and predicted classes in columns.
    counts : ndarray of shape (n_models, n_classes, n_classes)
        Numbers of windows; with repetitions, their mean over repetitions.
    labels : sequence of length n_classes
        The classes.
    models : sequence of str of length n_models
        Names of the models, used as titles.

    Attributes
    ----------
    axes_ : ndarray of matplotlib axes, of shape (n_rows, n_columns)
    figure_ : matplotlib figure
    displays_ : list of sklearn.metrics.ConfusionMatrixDisplay
        One per model.
    im_ : list of matplotlib AxesImage
        One per model.
    text_ : ndarray of matplotlib Text, of shape (n_models, n_classes, n_classes)
        The shares.

    Examples
    --------
    >>> from skemo.displays.confusion import ConfusionDisplay
    >>> y, subjects = ["rest", "stress"] * 4, ["S2"] * 4 + ["S3"] * 4
    >>> y_pred = ["rest", "stress"] * 2 + ["rest"] * 4
    >>> ConfusionDisplay.from_predictions(y, y_pred, subjects).confusion.tolist()
    [[[1.0, 0.0], [0.5, 0.5]]]
    """

    def __init__(
        self,
        confusion: NDArray[np.floating],
        *,
        counts: NDArray[np.floating],
        labels: Sequence[Any],
        models: Sequence[str],
    ) -> None:
        self.confusion = confusion
        self.counts = counts
        self.labels = labels
        self.models = models

    def plot(
        self,
        ax: "Axes | Sequence[Axes] | NDArray[Any] | None" = None,
        *,
        cmap: str = "Blues",
        name_width: int | None = None,
    ) -> Self:
        """Draw the matrices.

        Parameters
        ----------
        ax : matplotlib axes or sequence of them, default=None
            One axes to divide among the matrices, or one per matrix; a new figure if None.
        cmap : str, default="Blues"
            Colour map, from 0 to 1.
        name_width : int, default=None
            Number of characters after which a model's name is wrapped; if None, as many as
            fit.

        Returns
        -------
        self
        """
        from sklearn.metrics import ConfusionMatrixDisplay

        n_models, n_classes = self.confusion.shape[:2]
        n_columns = min(n_models, _MAX_COLUMNS)
        n_rows = -(-n_models // n_columns)
        given = ax is not None and not hasattr(ax, "get_subplotspec")
        shape = (1, n_models) if given else (n_rows, n_columns)
        longest = max(len(str(label)) for label in self.labels)
        side = max(2.0, n_classes * max(0.6, _CHARACTER_WIDTH * longest + 0.1))
        width = int(side / _CHARACTER_WIDTH)
        n_lines = max(len(textwrap.wrap(str(model), width)) for model in self.models)
        self.axes_ = check_panels(
            ax,
            n_rows=shape[0],
            n_columns=shape[1],
            figsize=(0.8 + side * n_columns, (side + 0.5 + 0.16 * n_lines) * n_rows),
        )
        self.figure_ = self.axes_[0, 0].figure
        for panel in self.axes_.flat[n_models:]:
            panel.set_axis_off()
        self.displays_, self.im_ = [], []
        self.text_ = np.empty(self.confusion.shape, object)
        for i, model in enumerate(self.models):
            panel = self.axes_.flat[i]
            labels = [to_printable(str(label)) for label in self.labels]
            display = ConfusionMatrixDisplay(self.confusion[i], display_labels=labels)
            display.plot(
                ax=panel,
                cmap=cmap,
                include_values=False,
                colorbar=False,
                im_kw={"vmin": 0, "vmax": 1},
            )
            self.displays_.append(display)
            self.im_.append(display.im_)
            self._write_cells(i, panel)
            width = panel.get_position().width * self.figure_.get_figwidth()
            room = max(8, int(width / _CHARACTER_WIDTH)) if name_width is None else name_width
            panel.set_title(textwrap.fill(to_printable(str(model)), room), fontsize="small")
            panel.tick_params(length=0, labelsize="small")
            panel.spines[:].set_visible(False)
            panel.tick_params(axis="y", rotation=90 if n_classes < 4 else 0)
            for label in panel.get_yticklabels():
                label.set_verticalalignment("center")
            if longest * _CHARACTER_WIDTH > 1.25 * width / n_classes:  # before the layout is final
                panel.tick_params(axis="x", rotation=45)
            is_left = given or i % n_columns == 0
            is_lowest = given or i + n_columns >= n_models
            panel.set_ylabel("True class" if is_left else "", fontsize="small")
            panel.set_xlabel("Predicted class" if is_lowest else "", fontsize="small")
            if not is_left:
                panel.set_yticklabels([])
        return self

    def _write_cells(self, i, panel):
        """Write the shares, and the counts below them, readable on any colour."""
        n_classes = self.confusion.shape[-1]
        size = 11 if n_classes < 4 else 9 if n_classes < 7 else 7
        for row, column in np.ndindex(n_classes, n_classes):
            share = self.confusion[i, row, column]
            color = "white" if share > _DARK else "#222222"
            text = "–" if np.isnan(share) else f"{100 * share:.0f} %"
            self.text_[i, row, column] = panel.text(
                column, row, text, ha="center", va="bottom", color=color, fontsize=size
            )
            count = f"{self.counts[i, row, column]:.0f}"
            panel.text(
                column, row + 0.08, count, ha="center", va="top", color=color, fontsize=0.7 * size
            )

    @classmethod
    def from_comparison(
        cls,
        comparison: "Comparison",
        models: str | Sequence[str] | None = None,
        *,
        average: Literal["subjects", "windows"] = "subjects",
        ax: "Axes | Sequence[Axes] | NDArray[Any] | None" = None,
    ) -> Self:
        """Draw the confusion matrices of a comparison.

        Parameters
        ----------
        comparison : Comparison
            As :func:`skemo.compare` returns it.
        models : str or list of str, default=None
            The models to draw, in this order; all of them if None.
        average : {"subjects", "windows"}, default="subjects"
            Whether to give each subject the same weight, or each window.
        ax : matplotlib axes or sequence of them, default=None
            One axes to divide among the matrices, or one per matrix; a new figure if None.

        Returns
        -------
        ConfusionDisplay

        Raises
        ------
        ValueError
            A model is not in the comparison, or `average` is not one of the above.
        """
        models = chosen_models(comparison, models)
        return cls._of_predictions(comparison.predictions, models, average).plot(ax)

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_pred: ArrayLike | Mapping[str, ArrayLike],
        subjects: ArrayLike,
        *,
        name: str = "model",
        average: Literal["subjects", "windows"] = "subjects",
        ax: "Axes | Sequence[Axes] | NDArray[Any] | None" = None,
    ) -> Self:
        """Draw the confusion matrices of predictions.

        Parameters
        ----------
        y_true : array-like of shape (n_windows,)
            Labels.
        y_pred : array-like of shape (n_windows,), or dict of str to such
            Predicted labels; for several models, a dict from their names.
        subjects : array-like of shape (n_windows,)
            The subject of each window.
        name : str, default="model"
            Name of a single model.
        average : {"subjects", "windows"}, default="subjects"
            Whether to give each subject the same weight, or each window.
        ax : matplotlib axes or sequence of them, default=None
            One axes to divide among the matrices, or one per matrix; a new figure if None.

        Returns
        -------
        ConfusionDisplay

        Raises
        ------
        ValueError
            The lengths differ, or `average` is not one of the above.
        """
        predictions = predictions_by_model(y_true, y_pred, subjects, name)
        models = list(predictions["model"].unique())
        return cls._of_predictions(predictions, models, average).plot(ax)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: pd.DataFrame | ArrayLike,
        y: ArrayLike,
        subjects: ArrayLike,
        *,
        name: str | None = None,
        average: Literal["subjects", "windows"] = "subjects",
        ax: "Axes | None" = None,
    ) -> Self:
        """Draw the confusion matrix of a fitted classifier for subjects it has not seen.

        Parameters
        ----------
        estimator : classifier or Pipeline
            Fitted.
        X : DataFrame or array of n_windows rows
            Windows, or features.
        y : array-like of shape (n_windows,)
            Labels.
        subjects : array-like of shape (n_windows,)
            The subject of each window.
        name : str, default=None
            The model's name; the name of its class if None.
        average : {"subjects", "windows"}, default="subjects"
            Whether to give each subject the same weight, or each window.
        ax : matplotlib axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        ConfusionDisplay

        Raises
        ------
        ValueError
            The lengths differ, or `average` is not one of the above.
        """
        name = type(estimator).__name__ if name is None else name
        y_pred = estimator.predict(X)
        return cls.from_predictions(y, y_pred, subjects, name=name, average=average, ax=ax)

    @classmethod
    def _of_predictions(cls, predictions, models, average):
        if average not in ("subjects", "windows"):
            raise ValueError(f'average must be "subjects" or "windows", got {average!r}.')
        predictions = predictions[predictions["model"].isin(models)]
        if predictions.empty:
            raise ValueError(f"There are no predictions of {models}: all of their fits failed.")
        labels = predictions[["y_true", "y_pred"]].to_numpy().ravel()
        check_sortable(labels, "y_true and y_pred")
        labels = np.unique(labels)
        subjects = pd.unique(predictions["subject"])
        n_repeats = predictions["repeat"].nunique() if "repeat" in predictions else 1
        axes = {"model": models, "subject": subjects, "y_true": labels, "y_pred": labels}
        places = tuple(
            pd.Index(names).get_indexer(predictions[column]) for column, names in axes.items()
        )
        counts = np.zeros((len(models), len(subjects), len(labels), len(labels)))
        np.add.at(counts, places, 1)
        of_subjects = _shares(counts)
        counts = counts.sum(axis=1)
        if average == "subjects":
            # A subject without windows of a class does not count for that class.
            known = ~np.isnan(of_subjects)
            total, number = of_subjects.sum(axis=1, where=known), known.sum(axis=1)
            unknown = np.full(total.shape, np.nan)
            confusion = np.divide(total, number, out=unknown, where=number > 0)
        else:
            confusion = _shares(counts)
        return cls(confusion, counts=counts / n_repeats, labels=labels.tolist(), models=models)


def _shares(counts):
    """Divide each row by its sum; NaN where that is 0."""
    total = counts.sum(axis=-1, keepdims=True)
    return np.divide(counts, total, out=np.full(counts.shape, np.nan), where=total > 0)
