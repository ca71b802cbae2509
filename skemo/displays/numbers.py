"""Predicted against given numbers, and their errors over time."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from skemo._escape import to_printable
from skemo.displays.style import NEUTRAL, check_panels, color_of
from skemo.displays.subject_scores import chosen_models, predictions_by_model

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from skemo.evaluation.comparison import Comparison

_MAX_COLUMNS = 3
_SIDE = 2.4  # of a panel, in inches


class PredictionsDisplay:
    """Predicted against given numbers, with a panel per model and a colour per subject.

    On the dashed line, the two are equal. scikit-learn's ``PredictionErrorDisplay`` draws one
    model and does not tell subjects apart. Create it with `from_comparison`, `from_predictions` or
    `from_estimator`.

    Parameters
    ----------
    predictions : DataFrame
        With the columns `model`, `subject`, `y_true` and `y_pred`.

    Attributes
    ----------
    axes_ : ndarray of matplotlib axes, of shape (n_rows, n_columns)
    figure_ : matplotlib figure
    points_ : list of list of matplotlib PathCollection
        The dots of each subject, for each model.
    lines_ : list of matplotlib Line2D
        The line on which the two are equal, for each model.

    Examples
    --------
    >>> from skemo.displays.numbers import PredictionsDisplay
    >>> display = PredictionsDisplay.from_predictions([1, 2, 3], [1.5, 2, 2.5], ["a", "a", "b"])
    >>> len(display.points_[0])
    2
    """

    def __init__(self, predictions: pd.DataFrame) -> None:
        self.predictions = predictions

    def plot(
        self, ax: "Axes | Sequence[Axes] | NDArray[Any] | None" = None, *, name_width: int = 24
    ) -> Self:
        """Draw the predictions.

        Parameters
        ----------
        ax : matplotlib axes or sequence of them, default=None
            One axes to divide among the models, or one per model; a new figure if None.
        name_width : int, default=24
            Number of characters after which a model's name is wrapped.

        Returns
        -------
        self
        """
        values = self.predictions[["y_true", "y_pred"]].to_numpy(np.float64)
        ends = [values.min(), values.max()]
        self.axes_, parts = _panels(self.predictions, ax, name_width)
        self.figure_ = self.axes_.flat[0].figure
        self.points_: list[list[Any]] = []
        self.lines_: list[Any] = []
        for panel, own in zip(self.axes_.flat, parts, strict=False):
            self.lines_ += panel.plot(ends, ends, color=NEUTRAL, linewidth=1, linestyle="--")
            self.points_.append(
                [
                    panel.scatter(
                        rows["y_true"],
                        rows["y_pred"],
                        s=10,
                        color=color_of(i),
                        alpha=0.5,
                        linewidth=0,
                        label=str(subject),
                    )
                    for i, (subject, rows) in enumerate(own.groupby("subject", sort=False))
                ]
            )
        _label(self.axes_, len(parts), "Given", "Predicted")
        return self

    @classmethod
    def from_comparison(
        cls,
        comparison: "Comparison",
        models: str | Sequence[str] | None = None,
        ax: "Axes | Sequence[Axes] | NDArray[Any] | None" = None,
    ) -> Self:
        """Draw the predictions of a comparison of regressors.

        Parameters
        ----------
        comparison : Comparison
            As :func:`skemo.compare` returns it; of several targets, one of ``by_target()``.
        models : str or list of str, default=None
            The models to draw, in this order; all of them if None.
        ax : matplotlib axes or sequence of them, default=None
            One axes to divide among the models, or one per model; a new figure if None.

        Returns
        -------
        PredictionsDisplay

        Raises
        ------
        ValueError
            The comparison is of classes or has several targets, or a model is not in it.
        """
        return cls(_predictions_of(comparison, models)).plot(ax)

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_pred: ArrayLike | Mapping[str, ArrayLike],
        subjects: ArrayLike,
        *,
        name: str = "model",
        ax: "Axes | Sequence[Axes] | NDArray[Any] | None" = None,
    ) -> Self:
        """Draw predictions.

        Parameters
        ----------
        y_true : array-like of shape (n_windows,)
            The numbers given.
        y_pred : array-like of shape (n_windows,), or dict of str to array-like
            Predicted numbers; for several models, a dict by name.
        subjects : array-like of shape (n_windows,)
            The subject of each window.
        name : str, default="model"
            Name of a single model.
        ax : matplotlib axes or sequence of them, default=None
            One axes to divide among the models, or one per model; a new figure if None.

        Returns
        -------
        PredictionsDisplay
        """
        return cls(predictions_by_model(y_true, y_pred, subjects, name)).plot(ax)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: pd.DataFrame | ArrayLike,
        y: ArrayLike,
        subjects: ArrayLike,
        *,
        name: str | None = None,
        ax: "Axes | Sequence[Axes] | NDArray[Any] | None" = None,
    ) -> Self:
        """Draw the predictions of a fitted regressor for subjects that it has not seen.

        Parameters
        ----------
        estimator : regressor or Pipeline
            Fitted.
        X : DataFrame or array of n_windows rows
            Windows, or features.
        y : array-like of shape (n_windows,)
            The numbers given.
        subjects : array-like of shape (n_windows,)
            The subject of each window.
        name : str, default=None
            The model's name; the name of its class if None.
        ax : matplotlib axes or sequence of them, default=None
            One axes to divide among the models, or one per model; a new figure if None.

        Returns
        -------
        PredictionsDisplay
        """
        name = type(estimator).__name__ if name is None else name
        return cls.from_predictions(y, estimator.predict(X), subjects, name=name, ax=ax)


class ResidualsDisplay:
    """Predicted minus given numbers over time, with a panel per model and a line per subject.

    Residuals that drift show that the model follows time or a slow change of the signal rather
    than the target. Create it with `from_comparison`.

    Parameters
    ----------
    residuals : DataFrame
        With the columns `model`, `subject`, `time` and `residual`.
    time_label : str, default="Window"
        What `time` is.

    Attributes
    ----------
    axes_ : ndarray of matplotlib axes, of shape (n_rows, n_columns)
    figure_ : matplotlib figure
    lines_ : list of list of matplotlib Line2D
        The lines of each subject, for each model.
    means_ : list of matplotlib Line2D
        The mean over the subjects at each time, for each model.

    Examples
    --------
    >>> import pandas as pd
    >>> from skemo.displays.numbers import ResidualsDisplay
    >>> table = {"model": "SVM", "subject": ["a", "b"], "time": [0, 0], "residual": [1.0, 3.0]}
    >>> ResidualsDisplay(pd.DataFrame(table)).plot().means_[0].get_ydata().tolist()
    [2.0]
    """

    def __init__(self, residuals: pd.DataFrame, *, time_label: str = "Window") -> None:
        self.residuals = residuals
        self.time_label = time_label

    def plot(
        self, ax: "Axes | Sequence[Axes] | NDArray[Any] | None" = None, *, name_width: int = 24
    ) -> Self:
        """Draw the residuals.

        Parameters
        ----------
        ax : matplotlib axes or sequence of them, default=None
            One axes to divide among the models, or one per model; a new figure if None.
        name_width : int, default=24
            Number of characters after which a model's name is wrapped.

        Returns
        -------
        self
        """
        self.axes_, parts = _panels(self.residuals, ax, name_width)
        self.figure_ = self.axes_.flat[0].figure
        self.lines_: list[list[Any]] = []
        self.means_: list[Any] = []
        largest = 1.05 * self.residuals["residual"].abs().max() or 1.0
        for panel, own in zip(self.axes_.flat, parts, strict=False):
            panel.axhline(0, color=NEUTRAL, linewidth=1, linestyle="--")
            panel.set_ylim(-largest, largest)
            lines = []
            for i, (_, rows) in enumerate(own.groupby("subject", sort=False)):
                rows = rows.groupby("time")["residual"].mean()
                lines += panel.plot(
                    rows.index, rows.to_numpy(), color=color_of(i), linewidth=0.8, alpha=0.4
                )
            self.lines_.append(lines)
            by_subject = own.groupby(["time", "subject"])["residual"].mean()
            mean = by_subject.groupby("time").mean()
            self.means_ += panel.plot(mean.index, mean.to_numpy(), color="#000000", linewidth=1.8)
        _label(self.axes_, len(parts), self.time_label, "Predicted − given")
        return self

    @classmethod
    def from_comparison(
        cls,
        comparison: "Comparison",
        models: str | Sequence[str] | None = None,
        ax: "Axes | Sequence[Axes] | NDArray[Any] | None" = None,
        *,
        times: ArrayLike | None = None,
    ) -> Self:
        """Draw the residuals of a comparison of regressors.

        Parameters
        ----------
        comparison : Comparison
            As :func:`skemo.compare` returns it; of several targets, one of ``by_target()``.
        models : str or list of str, default=None
            The models to draw, in this order; all of them if None.
        ax : matplotlib axes or sequence of them, default=None
            One axes to divide among the models, or one per model; a new figure if None.
        times : array-like of shape (n_windows,), default=None
            The time of each row of `X` in seconds, such as ``windows["start"]``. None numbers the
            windows of each subject.

        Returns
        -------
        ResidualsDisplay

        Raises
        ------
        ValueError
            The comparison is of classes or has several targets, or a model is not in it.
        """
        table = _predictions_of(comparison, models)
        table["residual"] = table["y_pred"] - table["y_true"]
        if times is None:
            table["time"] = table.groupby("subject")["row"].rank(method="dense").astype(int)
            return cls(table).plot(ax)
        table["time"] = _check_times(times, 1 + table["row"].max())[table["row"]]
        return cls(table, time_label="Time (s)").plot(ax)


def _check_times(times, n_needed):
    """Return a time for each row of `X`, checked."""
    try:
        checked = np.asarray(times, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"times must be seconds: {error}.") from error
    if checked.ndim != 1 or len(checked) < n_needed:
        raise ValueError(
            f"times must have an entry for each row of X, at least {n_needed}, got shape "
            f"{checked.shape}."
        )
    return checked


def _predictions_of(comparison, models):
    """The predictions to draw, in the order of the models."""
    if comparison.task != "regression" or comparison.targets:
        raise ValueError(
            "Only predicted numbers of a single target can be drawn: pass a comparison of "
            "regressors, and one of comparison.by_target().values() if there are several targets."
        )
    names = chosen_models(comparison, models)
    parts = [comparison.predictions[comparison.predictions["model"] == name] for name in names]
    return pd.concat(parts, ignore_index=True)


def _panels(table, ax, name_width):
    """Axes with the name of a model each, and the rows of each model."""
    models = list(table["model"].unique())
    n_columns = min(len(models), _MAX_COLUMNS)
    n_rows = -(-len(models) // n_columns)
    if ax is not None and not hasattr(ax, "get_subplotspec"):
        n_rows, n_columns = 1, len(models)
    size = (0.6 + _SIDE * n_columns, 0.6 + _SIDE * n_rows)
    axes = check_panels(ax, n_rows=n_rows, n_columns=n_columns, figsize=size)
    for panel in axes.flat[len(models) :]:
        panel.set_axis_off()
    for model, panel in zip(models, axes.flat, strict=False):
        panel.set_title(textwrap.fill(to_printable(str(model)), name_width), fontsize="small")
        panel.spines[["top", "right"]].set_visible(False)
        panel.tick_params(labelsize="small")
    return axes, [table[table["model"] == model] for model in models]


def _label(axes, n_models, x, y):
    """Label the outer axes."""
    n_columns = axes.shape[1]
    for i, panel in enumerate(axes.flat[:n_models]):
        if i + n_columns >= n_models:
            panel.set_xlabel(x, fontsize="small")
        if i % n_columns == 0:
            panel.set_ylabel(y, fontsize="small")
