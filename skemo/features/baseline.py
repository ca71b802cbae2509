"""Features relative to those of a baseline before each event."""

from typing import Literal

import numpy as np
import pandas as pd

from skemo.signals.labels import BASELINE

_BEFORE = f" {BASELINE}"  # ends the name of a recording of the baseline of a trial


def correct_baseline(
    features: pd.DataFrame,
    windows: pd.DataFrame,
    *,
    method: Literal["subtract", "divide"] = "subtract",
    label: str = BASELINE,
) -> pd.DataFrame:
    """Subtract from features, or divide them by, those of the baseline before each event.

    What people feel shows in how much their physiology changes. The baseline windows are those
    labelled ``"baseline"``, as ``skemo.signals.labels.from_events(..., baseline=5.0)`` labels
    them. A window is corrected by the mean over the baseline windows that come last before it in
    the same recording. The loaders of data sets return the baseline of a trial as a recording of
    its own, named ``"<trial> baseline"``; its windows come before those of the trial. Only
    earlier windows and no labels but the baseline's are used, so features may be corrected
    before cross-validation.

    The baseline windows are left out of the result, so that they are neither trained on nor
    scored. This changes the number of rows, so it is a function and not a step of a Pipeline.

    Parameters
    ----------
    features : DataFrame of n_windows rows
        Columns of numbers, in the rows of `windows`.
    windows : DataFrame of n_windows rows
        The table that `segment` returned, with the columns ``subject``, ``trial``, ``start`` and
        ``label``.
    method : {"subtract", "divide"}, default="subtract"
        "divide" for features that are positive and change in proportion, such as powers; a
        baseline of 0 gives NaN.
    label : str, default="baseline"
        The label of the baseline windows.

    Returns
    -------
    DataFrame
        The corrected features of the other windows, with their index, so that
        ``windows.loc[corrected.index]`` are the windows. NaN where there is no baseline before a
        window, or the baseline is NaN.

    Raises
    ------
    ValueError
        If the tables do not fit together, or no window is labelled as a baseline.

    Examples
    --------
    >>> import pandas as pd
    >>> from skemo import correct_baseline
    >>> windows = pd.DataFrame({"subject": "A", "trial": "1", "start": [0.0, 5.0, 10.0]})
    >>> windows["label"] = ["baseline", "calm", "calm"]
    >>> features = pd.DataFrame({"rate": [60.0, 66.0, 63.0]})
    >>> correct_baseline(features, windows)["rate"].tolist()
    [6.0, 3.0]
    """
    if method not in ("subtract", "divide"):
        raise ValueError(f"method must be 'subtract' or 'divide', got {method!r}.")
    for name, table in (("features", features), ("windows", windows)):
        if not isinstance(table, pd.DataFrame):
            raise ValueError(f"{name} must be a DataFrame, got {type(table).__name__}.")
    absent = [name for name in ("subject", "trial", "start", "label") if name not in windows]
    if absent:
        raise ValueError(
            f"windows must be the table that skemo.segment returned, but the column "
            f"{absent[0]!r} is missing."
        )
    if len(features) != len(windows) or not features.index.equals(windows.index):
        raise ValueError(
            f"features ({len(features)} rows) and windows ({len(windows)} rows) must have the same "
            "index."
        )
    unusable = [c for c in features if not pd.api.types.is_numeric_dtype(features[c])]
    if unusable:
        raise ValueError(f"features must be columns of numbers, but {unusable[0]!r} is not.")
    if not pd.api.types.is_numeric_dtype(windows["start"]):
        raise ValueError("The column 'start' of windows must be numbers, in seconds.")
    if np.ndim(label):
        raise ValueError(f"label must be one label, got {label!r}.")
    is_baseline = windows["label"].eq(label).to_numpy(bool)
    if not is_baseline.any():
        raise ValueError(
            f"No window has the label {label!r}. Label the time before each event with it, for "
            "example with skemo.signals.labels.from_events(..., baseline=<seconds>)."
        )
    values = features.to_numpy(np.float64, na_value=np.nan)
    references = np.full_like(values, np.nan)
    positions = pd.Series(np.arange(len(windows)))
    trials = windows["trial"].astype(str)
    before = trials.str.endswith(_BEFORE).to_numpy(bool)
    groups = [windows["subject"].to_numpy(), trials.str.removesuffix(_BEFORE).to_numpy()]
    starts = windows["start"].to_numpy()
    for _, group in positions.groupby(groups, sort=False, dropna=False):
        rows = group.to_numpy()
        rows = rows[np.lexsort((starts[rows], ~before[rows]))]
        begins = is_baseline[rows] & ~np.append(False, is_baseline[rows][:-1])
        n_before = np.cumsum(begins)  # baselines before each window, or beginning with it
        for i in range(1, n_before[-1] + 1):
            found = rows[n_before == i]
            known = pd.DataFrame(values[found[is_baseline[found]]])
            references[found] = known.mean().to_numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        corrected = values - references if method == "subtract" else values / references
    corrected[~np.isfinite(corrected)] = np.nan
    table = pd.DataFrame(corrected, index=features.index, columns=features.columns)
    return table[~is_baseline]
