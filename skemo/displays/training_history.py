"""The loss of networks while they were trained."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd

from skemo.displays.style import check_axes, color_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

_NAMES = {"train_loss": "training", "valid_loss": "validation"}
_THRESHOLD = 1e-4  # relative fall of the loss that skorch's EarlyStopping counts as better


class TrainingHistoryDisplay:
    """Training and validation loss of fitted networks, per epoch.

    With early stopping, the epoch whose weights were kept is marked. Several fits, such as the
    folds of a cross-validation, are drawn as thin lines, and their mean as a thick line, up to
    the last epoch that all of them reached.

    Create it with `from_estimator`. There is no `from_predictions` or `from_comparison`:
    neither predictions nor a comparison contain how the networks were trained.

    Parameters
    ----------
    histories : list of DataFrame
        One per fit: indexed by ``epoch`` from 1, with the columns ``train_loss`` and, where
        windows were held back, ``valid_loss``.
    best_epochs : list of int or None, default=None
        For each fit, the epoch whose weights were kept, or None if that is the last one.

    Attributes
    ----------
    ax_ : matplotlib axes
    figure_ : matplotlib figure
    lines_ : dict of str to list of matplotlib Line2D
        One line per fit, for ``"train_loss"`` and ``"valid_loss"``.
    means_ : dict of str to matplotlib Line2D
        The mean over fits, if there are several.
    best_ : list of matplotlib Line2D
        Markers of the epochs whose weights were kept.

    Examples
    --------
    >>> import pandas as pd
    >>> from skemo.displays.training_history import TrainingHistoryDisplay
    >>> losses = {"train_loss": [0.7, 0.5, 0.3], "valid_loss": [0.7, 0.6, 0.8]}
    >>> history = pd.DataFrame(losses, index=pd.RangeIndex(1, 4, name="epoch"))
    >>> display = TrainingHistoryDisplay([history], best_epochs=[2]).plot()
    >>> display.best_[0].get_xydata().tolist()
    [[2.0, 0.6]]
    """

    def __init__(
        self,
        histories: Sequence[pd.DataFrame],
        *,
        best_epochs: Sequence[int | None] | None = None,
    ) -> None:
        self.histories = histories
        self.best_epochs = best_epochs

    def plot(self, ax: "Axes | None" = None) -> Self:
        """Draw the losses.

        Parameters
        ----------
        ax : matplotlib axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        self
        """
        ax = self.ax_ = check_axes(ax, figsize=(6.4, 3.8))
        self.figure_ = ax.figure
        self.lines_: dict[str, list[Line2D]] = {}
        self.means_: dict[str, Line2D] = {}
        self.best_: list[Line2D] = []
        is_one = len(self.histories) == 1
        for i, (column, name) in enumerate(_NAMES.items()):
            color, self.lines_[column] = color_of(i), []
            losses = [history[column] for history in self.histories if column in history]
            for loss in losses:
                self.lines_[column] += ax.plot(
                    loss.index,
                    loss,
                    color=color,
                    linewidth=2 if is_one else 0.8,
                    alpha=1 if is_one else 0.4,
                    label=name if is_one else "_",
                )
            if losses and not is_one:
                mean = pd.concat(losses, axis=1, join="inner").mean(axis=1)
                (self.means_[column],) = ax.plot(
                    mean.index,
                    mean,
                    color=color,
                    linewidth=2.4,
                    label=f"{name}, mean of {len(losses)} fits",
                )
        self._mark_best(is_one)
        ax.set_xlabel("Epoch")
        ax.set_ylabel("Loss (cross-entropy)")
        ax.locator_params(axis="x", integer=True)
        ax.grid(color="#808080", alpha=0.2, linewidth=0.6)
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(frameon=False, fontsize="small")
        return self

    def _mark_best(self, is_one):
        """Draw a dot where the weights were kept and, for a single fit, a line."""
        kept = self.best_epochs or [None] * len(self.histories)
        for history, epoch in zip(self.histories, kept, strict=True):
            if epoch is None:
                continue
            label = f"weights kept: epoch {epoch}" if is_one else "weights kept"
            self.best_ += self.ax_.plot(
                epoch,
                history["valid_loss"][epoch],
                "o",
                color=color_of(4),
                markersize=7 if is_one else 4,
                label="_" if self.best_ else label,
                zorder=3,
            )
            if is_one:
                self.ax_.axvline(epoch, color=color_of(4), linewidth=1, linestyle="--", zorder=0)

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: "Axes | None" = None) -> Self:
        """Draw the training history of one or several fitted networks.

        Parameters
        ----------
        estimator : network, Pipeline or search that ends in one, or list of them
            Fitted. ``cross_validate(..., return_estimator=True)["estimator"]`` is such a list.
        ax : matplotlib axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        TrainingHistoryDisplay

        Raises
        ------
        TypeError
            The estimator is not a network of skemo.
        ValueError
            A network is not fitted, or was loaded from a file, which does not keep the history.
        """
        several = isinstance(estimator, list | tuple | np.ndarray)
        networks = [_network(one) for one in (estimator if several else [estimator])]
        if not networks:
            raise ValueError("estimator is an empty list: pass at least one fitted network.")
        histories = [_history(network) for network in networks]
        best_epochs = [
            best_epoch(history["valid_loss"]) if "valid_loss" in history else None
            for history in histories
        ]
        return cls(histories, best_epochs=best_epochs).plot(ax)


def best_epoch(losses: pd.Series) -> int:
    """Return the epoch whose weights early stopping keeps, by the rule of skorch's callback.

    This is the last epoch whose loss was lower than the best one before by more than a
    ten-thousandth of it.

    Parameters
    ----------
    losses : Series
        Validation loss, indexed by epoch.

    Returns
    -------
    int
    """
    best, threshold = losses.index[0], np.inf
    for epoch, loss in losses.items():
        if loss < threshold:
            best, threshold = epoch, loss * (1 - _THRESHOLD)
    return int(best)


def _network(estimator):
    """Return the network at the end of Pipelines and searches."""
    while True:
        if hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif hasattr(estimator, "steps"):
            estimator = estimator.steps[-1][1]
        elif hasattr(estimator, "estimator_"):
            estimator = estimator.estimator_
        else:
            return estimator


def _history(network):
    name = type(network).__name__
    if not hasattr(network, "patience") and not hasattr(network, "net_"):
        raise TypeError(
            f"{name} is not trained in epochs: pass a network, such as "
            "ModalityAwareAttentionClassifier."
        )
    if not len(getattr(getattr(network, "net_", None), "history", ())):
        raise ValueError(
            f"This {name} has no training history: fit it first. A network that was loaded from a "
            "file has none, since the file does not keep it."
        )
    columns = {"epoch": [], **{column: [] for column in _NAMES}}
    for record in network.net_.history:
        for column, values in columns.items():
            values.append(record.get(column, np.nan))
    table = pd.DataFrame(columns).set_index("epoch")
    return table.dropna(axis=1, how="all")
