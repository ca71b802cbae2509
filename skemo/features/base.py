"""What the transformers of windows share."""

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin

from skemo.signals.array import SignalArray
from skemo.signals.checks import signal_columns


def choose_features(features, groups):
    """Return the names that `features` names, one by one or by groups, each once.

    Parameters
    ----------
    features : str or list of str
        Names of features, and of groups of them; ``"all"`` is every feature.
    groups : dict of str to sequence of str
    """
    every = [name for group in groups.values() for name in group]
    groups = {**groups, "all": every}
    asked = list(features) if isinstance(features, list | tuple) else [features]
    unknown = [name for name in asked if name not in groups and name not in every]
    if unknown or not asked:
        raise ValueError(
            f"features={features!r} must name some of the groups {', '.join(groups)} or "
            f"the features {', '.join(every)}."
        )
    names = [name for entry in asked for name in groups.get(entry, [entry])]
    return list(dict.fromkeys(names))


def wrap_signals(values, X, name, *, sampling_rate=None, channels=None):
    """Return `values` in the kind of container that `X` is.

    A signal column gives a DataFrame with one signal column called `name`; a table or
    array of two dimensions gives two dimensions, an array of three gives `values`.
    """
    if isinstance(X, pd.Series):
        X = X.to_frame()
    if signal_columns(X):
        array = SignalArray(values, sampling_rate=sampling_rate, channels=channels)
        return pd.DataFrame({name: array}, index=X.index, copy=False)
    return values.reshape(len(values), -1) if np.asarray(X).ndim == 2 else values


class WindowTransformer(TransformerMixin, BaseEstimator):
    """What it returns for a row depends on that row alone."""
