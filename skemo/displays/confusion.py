"""Confusion matrices of models side by side, averaged over subjects."""

import textwrap

import numpy as np
import pandas as pd

from skemo.displays.style import check_panels
from skemo.displays.subject_scores import chosen_models, predictions_by_model

_COLUMNS = 3  # matrices beside each other
_CHARACTER = 0.075  # width of one in small print, in inches
_DARK = 0.68  # share from which on its colour is too dark for dark letters


class ConfusionDisplay:
    """Confusion matrices of one or several models, on one scale of colours.

    A row is a true class and sums to 1: which share of its windows were taken for which
    class. By default each subject's matrix is computed for itself and their mean is drawn, so
    that each subject counts the same, however many windows they have: the diagonal's
    mean is then near the mean balanced accuracy over subjects. In small print stand the
    numbers of windows, of all subjects together.

    scikit-learn's ``ConfusionMatrixDisplay``, upon which this is built, draws one matrix of
    pooled windows. Use `from_comparison`, `from_predictions` or `from_estimator` to make one.

    Parameters
    ----------
    confusion : ndarray of shape (n_models, n_classes, n_classes)
        Shares, true classes in rows and predicted classes in columns.
    counts : ndarray of shape (n_models, n_classes, n_classes)
        Windows; with repeats, their mean over repeats.
    labels : sequence of length n_classes
        The classes.
    models : sequence of str of length n_models
        Names, for the titles.

    Attributes
    ----------
    axes_ : ndarray of matplotlib axes, of shape (n_rows, n_columns)
    figure_ : matplotlib figure
    displays_ : list of sklearn.metrics.ConfusionMatrixDisplay
        One a model.
    im_ : list of matplotlib AxesImage
        One a model.
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

    def __init__(self, confusion, *, counts, labels, models):
        self.confusion = confusion
        self.counts = counts
        self.labels = labels
        self.models = models

    def plot(self, ax=None, *, cmap="Blues", name_width=None):
        """Draw.

        Parameters
        ----------
        ax : matplotlib axes or sequence of them, default=None
            A place that the matrices share, or one for each; a new figure if None.
        cmap : str, default="Blues"
            Scale of colours from 0 to 1.
        name_width : int, default=None
            Characters after which a model's name is broken into lines; None is as many as
            there is room for.

        Returns
        -------
        self
        """
        from sklearn.metrics import ConfusionMatrixDisplay

        n_models, n_classes = self.confusion.shape[:2]
        n_columns = min(n_models, _COLUMNS)
        n_rows = -(-n_models // n_columns)
        given = ax is not None and not hasattr(ax, "get_subplotspec")
        shape = (1, n_models) if given else (n_rows, n_columns)
        longest = max(len(str(label)) for label in self.labels)
        side = max(2.0, n_classes * max(0.6, _CHARACTER * longest + 0.1))
        width = int(side / _CHARACTER)
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
            display = ConfusionMatrixDisplay(self.confusion[i], display_labels=self.labels)
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
            room = max(8, int(width / _CHARACTER)) if name_width is None else name_width
            panel.set_title(textwrap.fill(str(model), room), fontsize="small")
            panel.tick_params(length=0, labelsize="small")
            panel.spines[:].set_visible(False)
            panel.tick_params(axis="y", rotation=90 if n_classes < 4 else 0)
            for label in panel.get_yticklabels():
                label.set_verticalalignment("center")
            if longest * _CHARACTER > 1.25 * width / n_classes:  # before the layout is final
                panel.tick_params(axis="x", rotation=45)
            is_left = given or i % n_columns == 0
            is_lowest = given or i + n_columns >= n_models
            panel.set_ylabel("True class" if is_left else "", fontsize="small")
            panel.set_xlabel("Predicted class" if is_lowest else "", fontsize="small")
            if not is_left:
                panel.set_yticklabels([])
        return self

    def _write_cells(self, i, panel):
        """Write shares, and counts below them, dark on light colours and light on dark ones."""
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
    def from_comparison(cls, comparison, models=None, *, average="subjects", ax=None):
        """Draw what :func:`skemo.compare` found.

        Parameters
        ----------
        comparison : Comparison
        models : list of str, default=None
            Which models, in which order; all if None.
        average : {"subjects", "windows"}, default="subjects"
            Whether each subject counts the same, or each window.
        ax : matplotlib axes or sequence of them, default=None
            A place that the matrices share, or one for each; a new figure if None.

        Returns
        -------
        ConfusionDisplay

        Raises
        ------
        ValueError
            No such model or average.
        """
        models = chosen_models(comparison, models)
        return cls._of_predictions(comparison.predictions, models, average).plot(ax)

    @classmethod
    def from_predictions(
        cls, y_true, y_pred, subjects, *, name="model", average="subjects", ax=None
    ):
        """Draw the confusion of predictions.

        Parameters
        ----------
        y_true : array-like of shape (n_windows,)
            Labels.
        y_pred : array-like of shape (n_windows,), or dict of str to such
            Predicted labels; of several models by their names.
        subjects : array-like of shape (n_windows,)
            Whose the windows are.
        name : str, default="model"
            The model's name, where there is one.
        average : {"subjects", "windows"}, default="subjects"
            Whether each subject counts the same, or each window.
        ax : matplotlib axes or sequence of them, default=None
            A place that the matrices share, or one for each; a new figure if None.

        Returns
        -------
        ConfusionDisplay

        Raises
        ------
        ValueError
            Lengths differ, or there is no such average.
        """
        predictions = predictions_by_model(y_true, y_pred, subjects, name)
        models = list(predictions["model"].unique())
        return cls._of_predictions(predictions, models, average).plot(ax)

    @classmethod
    def from_estimator(cls, estimator, X, y, subjects, *, name=None, average="subjects", ax=None):
        """Draw the confusion of a fitted classifier on windows of subjects it has not seen.

        Parameters
        ----------
        estimator : fitted classifier or Pipeline
        X : DataFrame or array of n_windows rows
        y : array-like of shape (n_windows,)
            Labels.
        subjects : array-like of shape (n_windows,)
            Whose the windows are.
        name : str, default=None
            The model's name; that of its class if None.
        average : {"subjects", "windows"}, default="subjects"
            Whether each subject counts the same, or each window.
        ax : matplotlib axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        ConfusionDisplay

        Raises
        ------
        ValueError
            Lengths differ, or there is no such average.
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
            raise ValueError(f"There are no predictions of {models}: all fits failed.")
        labels = np.unique(predictions[["y_true", "y_pred"]].to_numpy().ravel())
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
            # A subject without windows of a class says nothing about it.
            known = ~np.isnan(of_subjects)
            total, number = of_subjects.sum(axis=1, where=known), known.sum(axis=1)
            nothing = np.full(total.shape, np.nan)
            confusion = np.divide(total, number, out=nothing, where=number > 0)
        else:
            confusion = _shares(counts)
        return cls(confusion, counts=counts / n_repeats, labels=labels.tolist(), models=models)


def _shares(counts):
    """Each row by its sum; NaN where that is 0."""
    total = counts.sum(axis=-1, keepdims=True)
    return np.divide(counts, total, out=np.full(counts.shape, np.nan), where=total > 0)
