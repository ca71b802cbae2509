"""The representations that models classify: drawn in two dimensions, measured in all of them."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import davies_bouldin_score, silhouette_samples
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_array, check_consistent_length, column_or_1d

from skemo._escape import to_printable
from skemo.displays.style import check_panels, color_of
from skemo.signals.checks import check_sortable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

METHODS = {"pca": "PC", "tsne": "t-SNE", "umap": "UMAP"}
_MARKERS = "osD^vPX<>*hpd8"


def enter_last_step(estimator: Any, X: Any) -> tuple[Any, Any]:
    """Return the last step of a fitted estimator, and its input: `X` after the other steps.

    For a search, the best estimator is used.
    """
    estimator = getattr(estimator, "best_estimator_", estimator)
    if not isinstance(estimator, Pipeline):
        return estimator, X
    if len(estimator.steps) > 1:
        X = estimator[:-1].transform(X)
    return estimator[-1], X


def class_separation(
    representation: ArrayLike, y: ArrayLike, subjects: ArrayLike | None = None
) -> pd.Series:
    r"""Measure how far apart the classes lie in a representation.

    Distances are Euclidean, over all dimensions, without any scaling: standardise features of
    different units first.

    Parameters
    ----------
    representation : array of shape (n_windows, n_features)
        A model's representation of each window.
    y : array-like of shape (n_windows,)
        Labels of at least two classes.
    subjects : array-like of shape (n_windows,), default=None
        The subject of each window.

    Returns
    -------
    pandas.Series of float
        ``silhouette``
            Mean silhouette of the windows [1]_, between -1 and 1; higher is better. The mean
            over the windows of one class is in ``silhouette <label>``.
        ``davies_bouldin``
            Spread within the classes divided by the distance between them [2]_; lower is better.
        ``fisher_ratio``
            :math:`\sum_k n_k |\mu_k - \mu|^2 / \sum_k \sum_{i \in k} |x_i - \mu_k|^2`: the
            variance between the classes divided by the variance within them.
        ``probe_balanced_accuracy``
            Balanced accuracy of a linear probe, as the mean over subjects: each subject's
            windows are predicted by a logistic regression fitted on the standardised
            representation of all other subjects. NaN without subjects, or if leaving out a
            subject leaves only one class.

    Raises
    ------
    ValueError
        There is only one class, or the representation is the same for all windows.

    References
    ----------
    .. [1] Rousseeuw (1987). Silhouettes: a graphical aid to the interpretation and validation
       of cluster analysis. Journal of Computational and Applied Mathematics 20, 53-65.
    .. [2] Davies, Bouldin (1979). A cluster separation measure. IEEE Transactions on Pattern
       Analysis and Machine Intelligence 1(2), 224-227.

    Examples
    --------
    >>> from skemo.displays.representation import class_separation
    >>> points = [[0.0, 0.0], [0.0, 1.0], [4.0, 0.0], [4.0, 1.0]]
    >>> class_separation(points, ["calm", "calm", "stress", "stress"])["fisher_ratio"]
    np.float64(16.0)
    """
    values = check_array(
        representation, dtype=np.float64, ensure_min_samples=3, input_name="representation"
    )
    y, subjects = _check_rows(len(values), y, subjects)
    check_sortable(y, "y")
    classes, codes = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(
            f"Separation needs windows of at least two classes, got {classes.tolist()}."
        )
    if (values == values[0]).all():
        raise ValueError(
            "The representation is the same for all windows: the model does not distinguish "
            "between any of them."
        )
    silhouettes = silhouette_samples(values, codes)
    means = np.array([values[codes == k].mean(axis=0) for k in range(len(classes))])
    between = np.sum((means[codes] - values.mean(axis=0)) ** 2)
    return pd.Series(
        {
            "silhouette": silhouettes.mean(),
            **{
                f"silhouette {label}": silhouettes[codes == k].mean()
                for k, label in enumerate(classes)
            },
            "davies_bouldin": davies_bouldin_score(values, codes),
            "fisher_ratio": _fisher_ratio(between, np.sum((values - means[codes]) ** 2)),
            "probe_balanced_accuracy": _probe(values, codes, subjects),
        }
    )


def _probe(values, codes, subjects):
    """Return the mean balanced accuracy over subjects of a probe fitted on the other subjects."""
    if subjects is None:
        return np.nan
    names = np.unique(subjects)
    if len(names) < 2 or any(len(np.unique(codes[subjects != name])) < 2 for name in names):
        return np.nan
    probe = make_pipeline(
        StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=2000)
    )
    predicted = cross_val_predict(probe, values, codes, groups=subjects, cv=LeaveOneGroupOut())
    recall = pd.Series(predicted == codes).groupby([subjects, codes]).mean()
    return recall.groupby(level=0).mean().mean()


def _fisher_ratio(between, within):
    """NaN if all values are equal, and infinite if only those of a class are."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.float64(between) / within


def project(
    representation: ArrayLike,
    method: Literal["pca", "tsne", "umap"] = "pca",
    *,
    perplexity: float | None = None,
    random_state: int | np.random.RandomState | None = 0,
) -> tuple[NDArray[np.floating], tuple[str, str]]:
    """Project a representation to two dimensions, to look at it.

    Parameters
    ----------
    representation : array of shape (n_windows, n_features)
        A model's representation of each window.
    method : {"pca", "tsne", "umap"}, default="pca"
        "pca" keeps distances as well as a plane can. "tsne" and "umap" keep neighbourhoods:
        the sizes of clusters and the gaps between them mean little. "umap" needs umap-learn.
    perplexity : float or None, default=None
        Approximate number of neighbours considered by t-SNE and UMAP, less than the number of
        windows. If None, 30, or a third of the windows if there are fewer than 90.
    random_state : int, RandomState instance or None, default=0
        Seed of t-SNE and UMAP.

    Returns
    -------
    points : ndarray of shape (n_windows, 2)
    names : (str, str)
        Names of the two axes; for PCA, with the share of the variance.

    Raises
    ------
    ImportError
        `method` is "umap", and umap-learn is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo.displays.representation import project
    >>> project(np.outer([0.0, 1.0, 2.0], [3.0, 4.0]))[1]
    ('PC 1 (100 %)', 'PC 2 (0 %)')
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {list(METHODS)}, got {method!r}.")
    values = check_array(
        representation, dtype=np.float64, ensure_min_samples=3, input_name="representation"
    )
    if method == "pca":
        if not values.var(axis=0).any():
            raise ValueError("The representation is the same for all windows.")
        pca = PCA(2, svd_solver="full")
        if values.shape[1] == 1:
            values = np.column_stack([values, np.zeros(len(values))])
        points = pca.fit_transform(values)
        shares = [f" ({share:.0%})".replace("%", " %") for share in pca.explained_variance_ratio_]
    else:
        if perplexity is None:
            perplexity = min(30.0, len(values) / 3)
        points = _neighbourhoods(values, method, perplexity, random_state)
        shares = ["", ""]
    first, second = (f"{METHODS[method]} {i}{share}" for i, share in enumerate(shares, 1))
    return points, (first, second)


def _neighbourhoods(values, method, perplexity, random_state):
    if method == "tsne":
        from sklearn.manifold import TSNE

        return TSNE(2, perplexity=perplexity, random_state=random_state).fit_transform(values)
    try:
        import umap
    except ImportError as error:
        raise ImportError(
            'method="umap" needs umap-learn, which is not installed: pip install umap-learn, or '
            'use method="tsne".'
        ) from error
    n_neighbors = max(2, round(perplexity))
    return umap.UMAP(
        n_neighbors=n_neighbors, random_state=random_state, n_jobs=1, init="pca"
    ).fit_transform(values)


class RepresentationDisplay:
    """The representation spaces of one or several models, side by side.

    The last layer of a network classifies a representation of each window, which the network's
    ``transform`` returns. This display draws the representation in two dimensions, with one
    panel per model and one colour per class, as Figure 2 of [1]_ does for the basic and the
    proposed model. Two dimensions can deceive, so the text below each panel says how far apart
    the classes lie in all dimensions (:func:`class_separation`).

    Create it with `from_estimator` or `from_representations`.

    Parameters
    ----------
    points : dict of str to array of shape (n_windows, 2)
        Each model's windows in the plane.
    y : array-like of shape (n_windows,)
        Class labels.
    subjects : array-like of shape (n_windows,), default=None
        The subject of each window.
    separation : DataFrame or None, default=None
        One row per model with the columns of :func:`class_separation`; written below the panels.
    axis_names : dict of str to (str, str) or None, default=None
        Names of the two axes of each model.

    Attributes
    ----------
    separation_ : DataFrame or None
        The parameter `separation`.
    axes_ : ndarray of matplotlib axes
        One panel per model.
    figure_ : matplotlib Figure
    artists_ : dict of str to list of PathCollection
        The points of each model: one collection per class or, with marked subjects, per class
        and subject.

    References
    ----------
    .. [1] Woo, Zubair, Lim, Kim. Deep multimodal emotion recognition using modality aware
       attention network for unifying representations in neural models.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo.displays.representation import RepresentationDisplay
    >>> y = np.repeat(["calm", "stress"], 20)
    >>> space = np.random.default_rng(0).normal(size=(40, 8)) + 3.0 * (y == "stress")[:, None]
    >>> display = RepresentationDisplay.from_representations({"network": space}, y)
    >>> display.separation_["silhouette"].round(2)
    network    0.56
    Name: silhouette, dtype: float64
    """

    def __init__(
        self,
        points: Mapping[str, NDArray[np.floating]],
        y: ArrayLike,
        *,
        subjects: ArrayLike | None = None,
        separation: pd.DataFrame | None = None,
        axis_names: Mapping[str, tuple[str, str]] | None = None,
    ) -> None:
        self.points = points
        self.y = y
        self.subjects = subjects
        self.separation_ = separation
        self.axis_names = axis_names

    @classmethod
    def from_estimator(
        cls,
        estimators: Any,
        X: pd.DataFrame | ArrayLike,
        y: ArrayLike,
        *,
        subjects: ArrayLike | None = None,
        method: Literal["pca", "tsne", "umap"] = "pca",
        perplexity: float | None = None,
        random_state: int | np.random.RandomState | None = 0,
        mark_subjects: bool = False,
        ax: "Axes | Sequence[Axes] | NDArray[Any] | None" = None,
    ) -> Self:
        """Draw the representations that fitted models give to windows.

        Pass windows of subjects that no model was fitted on, such as the test rows of a fold:
        training itself moves the training windows of different classes apart, so they show
        nothing.

        Parameters
        ----------
        estimators : estimator, or dict of str to estimator
            Fitted, with a last step that has ``transform``. The keys are the panels' titles.
        X : DataFrame or array of n_windows rows
            Held-out windows.
        y : array-like of shape (n_windows,)
            Class labels.
        subjects : array-like of shape (n_windows,), default=None
            The subject of each window.
        method : {"pca", "tsne", "umap"}, default="pca"
            The projection to two dimensions, see :func:`project`.
        perplexity : float or None, default=None
            Approximate number of neighbours considered by t-SNE and UMAP.
        random_state : int, RandomState instance or None, default=0
            Seed of t-SNE and UMAP.
        mark_subjects : bool, default=False
            Whether each subject has a marker of its own.
        ax : matplotlib axes or array of axes, default=None
            Where to draw; a single axes is divided among the models. A new figure if None.

        Returns
        -------
        RepresentationDisplay
        """
        if not isinstance(estimators, Mapping):
            last = estimators[-1] if isinstance(estimators, Pipeline) else estimators
            estimators = {type(last).__name__: estimators}
        representations = {name: _represent(name, model, X) for name, model in estimators.items()}
        return cls.from_representations(
            representations,
            y,
            subjects=subjects,
            method=method,
            perplexity=perplexity,
            random_state=random_state,
            mark_subjects=mark_subjects,
            ax=ax,
        )

    @classmethod
    def from_representations(
        cls,
        representations: Mapping[str, ArrayLike],
        y: ArrayLike,
        *,
        subjects: ArrayLike | None = None,
        method: Literal["pca", "tsne", "umap"] = "pca",
        perplexity: float | None = None,
        random_state: int | np.random.RandomState | None = 0,
        mark_subjects: bool = False,
        ax: "Axes | Sequence[Axes] | NDArray[Any] | None" = None,
    ) -> Self:
        """Draw representations that were computed before.

        Parameters
        ----------
        representations : dict of str to array of shape (n_windows, n_features)
            The representation of each model. The keys are the panels' titles.
        y : array-like of shape (n_windows,)
            Class labels.
        subjects : array-like of shape (n_windows,), default=None
            The subject of each window.
        method : {"pca", "tsne", "umap"}, default="pca"
            The projection to two dimensions, see :func:`project`.
        perplexity : float or None, default=None
            Approximate number of neighbours considered by t-SNE and UMAP.
        random_state : int, RandomState instance or None, default=0
            Seed of t-SNE and UMAP.
        mark_subjects : bool, default=False
            Whether each subject has a marker of its own.
        ax : matplotlib axes or array of axes, default=None
            Where to draw; a single axes is divided among the models. A new figure if None.

        Returns
        -------
        RepresentationDisplay
        """
        if not isinstance(representations, Mapping) or not representations:
            raise ValueError(
                "representations must be a dict from titles to arrays of shape (n_windows, "
                f"n_features), got {type(representations).__name__}."
            )
        separation = {
            name: class_separation(values, y, subjects) for name, values in representations.items()
        }
        projected = {
            name: project(values, method, perplexity=perplexity, random_state=random_state)
            for name, values in representations.items()
        }
        display = cls(
            {name: points for name, (points, _) in projected.items()},
            y,
            subjects=subjects,
            separation=pd.DataFrame(separation).T,
            axis_names={name: names for name, (_, names) in projected.items()},
        )
        return display.plot(ax, mark_subjects=mark_subjects)

    def plot(
        self,
        ax: "Axes | Sequence[Axes] | NDArray[Any] | None" = None,
        *,
        mark_subjects: bool = False,
    ) -> Self:
        """Draw one panel per model.

        Parameters
        ----------
        ax : matplotlib axes or array of axes, default=None
            Where to draw; a single axes is divided among the models. A new figure if None.
        mark_subjects : bool, default=False
            Whether each subject has a marker of its own; the markers repeat after fourteen.

        Returns
        -------
        self
        """
        n_models = len(self.points)
        size = (max(3.4, 3.1 * n_models) + 0.9 * mark_subjects, 4.6)
        self.axes_ = check_panels(ax, n_columns=n_models, figsize=size)[0]
        self.figure_ = self.axes_[0].figure
        y, subjects = _check_rows(len(next(iter(self.points.values()))), self.y, self.subjects)
        if mark_subjects and subjects is None:
            raise ValueError(
                "mark_subjects=True needs the subject of each window: pass subjects=..."
            )
        if not mark_subjects:
            subjects = np.zeros(len(y))
        self.artists_ = {
            name: _scatter(panel, points, y, subjects)
            for panel, (name, points) in zip(self.axes_, self.points.items(), strict=True)
        }
        for panel, name in zip(self.axes_, self.points, strict=True):
            n_outside = _set_limits(panel, self.points[name])
            panel.set(title=to_printable(str(name)), xticks=[], yticks=[])
            names = ("", "") if self.axis_names is None else self.axis_names[name]
            lines = [names[0]]
            if self.separation_ is not None:
                lines += _describe(self.separation_.loc[name])
            if n_outside:
                lines.append(f"({n_outside} far away, not shown)")
            panel.set_xlabel("\n".join(lines), linespacing=1.4)
            panel.set_ylabel(names[1])
        self._add_legend(mark_subjects, np.unique(y), np.unique(subjects))
        return self

    def _add_legend(self, mark_subjects, classes, subjects):
        from matplotlib.lines import Line2D

        keys = [
            Line2D(
                [], [], color=color_of(i), marker="o", linestyle="", label=to_printable(str(label))
            )
            for i, label in enumerate(classes)
        ]
        if mark_subjects:
            keys += [
                Line2D(
                    [],
                    [],
                    color="0.4",
                    marker=_marker_of(i),
                    linestyle="",
                    label=to_printable(str(name)),
                )
                for i, name in enumerate(subjects)
            ]
        place = {"loc": "best"}
        if mark_subjects:
            place = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)}
        self.axes_[-1].legend(handles=keys, fontsize="small", handletextpad=0.2, **place)


def _represent(name, estimator, X):
    classifier, rows = enter_last_step(estimator, X)
    if not hasattr(classifier, "transform"):
        raise ValueError(
            f"{name!r} ends in {type(classifier).__name__}, which has no transform method and "
            "therefore no representation. To draw its input instead, pass that to "
            "RepresentationDisplay.from_representations."
        )
    return classifier.transform(rows)


def _check_rows(n_windows, y, subjects):
    y = column_or_1d(y)
    subjects = None if subjects is None else column_or_1d(subjects)
    check_consistent_length(np.empty(n_windows), y, subjects)
    return y, subjects


def _scatter(panel, points, y, subjects):
    """Draw the points of each class and subject, smaller where there are many."""
    size = float(np.clip(3000 / len(points), 6, 36))
    return [
        panel.scatter(
            *points[(y == label) & (subjects == subject)].T,
            s=size,
            color=color_of(i),
            marker=_marker_of(j),
            alpha=0.7,
            linewidths=0,
        )
        for i, label in enumerate(np.unique(y))
        for j, subject in enumerate(np.unique(subjects))
    ]


def _set_limits(panel, points):
    """Set square limits that ignore a few outliers; return how many points lie outside."""
    low, high = np.quantile(points, [0.02, 0.98], axis=0)
    reach = 0.75 * (high - low).max()
    near = points[(np.abs(points - (low + high) / 2) <= reach + (high - low) / 2).all(axis=1)]
    centre = (near.min(axis=0) + near.max(axis=0)) / 2
    half = 0.53 * np.ptp(near, axis=0).max() or 1.0
    panel.set(xlim=(centre[0] - half, centre[0] + half), ylim=(centre[1] - half, centre[1] + half))
    panel.set(box_aspect=1, anchor="N")
    return int((np.abs(points - centre) > half).any(axis=1).sum())


def _marker_of(i):
    return _MARKERS[i % len(_MARKERS)]


def _describe(separation):
    """Return the lines of text with the numbers below a panel."""
    lines = [
        f"silhouette {separation['silhouette']:.2f}",
        f"Davies–Bouldin {separation['davies_bouldin']:.2f}",
        f"Fisher ratio {separation['fisher_ratio']:.2f}",
    ]
    if np.isfinite(separation["probe_balanced_accuracy"]):
        lines.append(f"linear probe {100 * separation['probe_balanced_accuracy']:.0f} %")
    return lines
