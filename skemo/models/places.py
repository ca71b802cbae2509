"""Placeholders for networks and trees in a saved model, and checks of a loaded one.

scikit-learn's trees and libsvm read their arrays in C without checking bounds: arrays of the wrong
size, in a damaged or hostile file, could crash the process. Their sizes are therefore checked
first.
"""

from functools import cache
from typing import Any

import numpy as np
from sklearn import ensemble, svm
from sklearn.tree import BaseDecisionTree, DecisionTreeClassifier

_MOST_CLASSES = 10**6
# Forests call their trees without checking the number of columns again.
_FORESTS = (
    ensemble.ExtraTreesClassifier,
    ensemble.ExtraTreesRegressor,
    ensemble.RandomForestClassifier,
    ensemble.RandomForestRegressor,
    ensemble.RandomTreesEmbedding,
)
# So do these, in ways for which there is no check here.
_UNCHECKED = (
    ensemble.GradientBoostingClassifier,
    ensemble.GradientBoostingRegressor,
    ensemble.IsolationForest,
)
_SUPPORT_VECTORS = (svm.SVC, svm.NuSVC, svm.SVR, svm.NuSVR, svm.OneClassSVM)


class NetworkPlace:
    """Takes the place of network number `position` in a saved model."""

    def __init__(self, position: int) -> None:
        self.position = position


class TreePlace:
    """Takes the place of a decision tree's tree in a saved model, and holds its numbers.

    Parameters
    ----------
    tree : sklearn.tree._tree.Tree
    """

    def __init__(self, tree: Any) -> None:
        _, (self.n_features, self.n_classes, self.n_outputs), state = tree.__reduce__()
        self.max_depth, self.nodes = state["max_depth"], state["nodes"]
        self.values = state["values"]

    def build(self) -> Any:
        """Return the tree; raise a ValueError unless its numbers fit together."""
        n_nodes = len(self.nodes)
        plain = {
            "n_features": self.n_features,
            "n_outputs": self.n_outputs,
            "depth": self.max_depth,
        }
        if not all(type(value) is int and 0 <= value < 2**31 for value in plain.values()):
            raise ValueError(f"a tree has {plain}")
        known = _example().__reduce__()[2]["nodes"].dtype
        n_classes, values = self.n_classes, self.values
        if (
            not _is_array(self.nodes, known, (n_nodes,))
            or n_nodes == 0
            or not _is_array(n_classes, np.dtype(np.intp), (self.n_outputs,))
            or len(n_classes) == 0
            or n_classes.min() < 1
            or n_classes.max() > _MOST_CLASSES
            or not _is_array(
                values, np.dtype(np.float64), (n_nodes, self.n_outputs, n_classes.max())
            )
        ):
            raise ValueError("a tree has arrays of the wrong size")
        places = np.arange(n_nodes)
        inner = (self.nodes["left_child"] != -1) | (self.nodes["right_child"] != -1)
        feature = self.nodes["feature"][inner]
        for name in ("left_child", "right_child"):
            child = self.nodes[name][inner]
            if (child <= places[inner]).any() or (child >= n_nodes).any():
                raise ValueError("a tree has nodes with invalid children")
        if (feature < 0).any() or (feature >= self.n_features).any():
            raise ValueError("a tree has nodes with an invalid feature")
        tree = type(_example())(self.n_features, n_classes, self.n_outputs)
        state = {"max_depth": self.max_depth, "node_count": n_nodes, "nodes": self.nodes}
        tree.__setstate__({**state, "values": values})
        return tree


@cache
def _example() -> Any:
    """Return a tree of scikit-learn, for its class and the type of its nodes."""
    return DecisionTreeClassifier().fit([[0], [1]], [0, 1]).tree_


def is_tree(part: object) -> bool:
    """Return whether an object is the tree of a fitted decision tree."""
    return isinstance(part, type(_example()))


def _is_array(values: Any, dtype: np.dtype, shape: tuple[int, ...]) -> bool:
    return type(values) is np.ndarray and values.dtype == dtype and values.shape == shape


def check_estimator(part: object) -> None:
    """Raise a ValueError unless the arrays that scikit-learn reads unchecked fit together."""
    if isinstance(part, _UNCHECKED):
        raise ValueError(f"{type(part).__name__} is not saved, since its trees cannot be checked")
    if isinstance(part, BaseDecisionTree) and hasattr(part, "tree_"):  # noqa: SIM102
        if not is_tree(part.tree_) or part.tree_.n_features != part.n_features_in_:
            raise ValueError("a tree does not have the number of features of its estimator")
    if isinstance(part, _FORESTS):
        trees = list(getattr(part, "estimators_", []))
        if any(
            not isinstance(tree, BaseDecisionTree) or tree.n_features_in_ != part.n_features_in_
            for tree in trees
        ):
            raise ValueError("the trees of a forest have different numbers of features")
    if isinstance(part, _SUPPORT_VECTORS) and hasattr(part, "support_vectors_"):
        _check_support_vectors(part)


def _check_support_vectors(part: Any) -> None:
    if part.kernel not in ("linear", "poly", "rbf", "sigmoid"):
        raise ValueError(f"a support vector machine has the kernel {part.kernel!r}")
    learned = vars(part)
    hidden = learned.keys() & set(dir(type(part)))
    if hidden:
        raise ValueError(f"a support vector machine overrides attributes of its class: {hidden}")
    n_vectors = len(part.support_vectors_)
    is_classifier = isinstance(part, svm.SVC | svm.NuSVC)
    n_classes = len(part.classes_) if is_classifier else 2
    n_pairs = n_classes * (n_classes - 1) // 2
    # The arrays that libsvm reads have the names of public attributes, some with an underscore.
    shapes: dict[str, list[tuple[int, ...]]] = {
        "support": [(n_vectors,)],
        "support_vectors": [(n_vectors, part.n_features_in_)],
        "n_support": [(n_classes,)],
        "dual_coef": [(n_classes - 1, n_vectors)],
        "intercept": [(n_pairs,)],
        "probA": [(0,), (n_pairs,)],
        "probB": [(0,), (n_pairs,)],
    }
    for name, value in learned.items():
        allowed = shapes.get(name.strip("_"))
        if allowed is not None and (type(value) is not np.ndarray or value.shape not in allowed):
            raise ValueError(f"a support vector machine has {name} of the wrong size")
    for name, value in learned.items():
        if name.strip("_") == "n_support":
            counts = value if is_classifier else value[:1]
            if (value < 0).any() or counts.sum() != n_vectors:
                raise ValueError(f"a support vector machine has {name} of the wrong size")
