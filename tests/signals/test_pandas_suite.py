"""pandas' own suite for extension arrays, on signal columns."""

import operator

import numpy as np
import pandas as pd
import pandas._testing as tm
import pytest
from pandas.tests.extension import base
from pandas.tests.extension.conftest import *  # noqa: F403

from skemo import SignalArray, SignalDtype

PANDAS_3 = int(pd.__version__.split(".")[0]) >= 3


@pytest.fixture(params=[(1, 1), (2, 3)], ids=["one-sample", "many-samples"])
def dtype(request):
    return SignalDtype("float32", request.param, 4.0, [f"c{i}" for i in range(request.param[0])])


def make(dtype, levels):
    """Windows whose samples are all one number, their level; NaN is a missing window."""
    values = np.empty((len(levels), *dtype.shape), dtype.value_type)
    values[:] = np.reshape(levels, (-1, 1, 1))
    return SignalArray(values, sampling_rate=dtype.sampling_rate, channels=dtype.channels)


@pytest.fixture
def data(dtype):
    return make(dtype, np.arange(1, 11 if PANDAS_3 else 101))


@pytest.fixture
def data_missing(dtype):
    return make(dtype, [np.nan, 1])


@pytest.fixture
def data_for_sorting(dtype):
    return make(dtype, [2, 3, 1])


@pytest.fixture
def data_missing_for_sorting(dtype):
    return make(dtype, [2, np.nan, 1])


@pytest.fixture
def data_for_grouping(dtype):
    return make(dtype, [2, 2, np.nan, np.nan, 1, 1, 2, 3])


@pytest.fixture
def na_cmp():
    return lambda one, other: np.all(np.isnan(one)) and np.all(np.isnan(other))


# pandas keeps these fixtures in its own conftest, which needs further packages.


@pytest.fixture(params=[None, lambda series: series], ids=["no-key", "identity"])
def sort_by_key(request):
    return request.param


@pytest.fixture(params=tm.arithmetic_dunder_methods)
def all_arithmetic_operators(request):
    return request.param


@pytest.fixture(params=["eq", "ne", "le", "lt", "ge", "gt"])
def comparison_op(request):
    return getattr(operator, request.param)


NUMERIC_REDUCTIONS = ["count", "sum", "max", "min", "mean", "prod"]
NUMERIC_REDUCTIONS += ["std", "var", "median", "kurt", "skew", "sem"]


@pytest.fixture(params=NUMERIC_REDUCTIONS)
def all_numeric_reductions(request):
    return request.param


@pytest.fixture(params=["all", "any"])
def all_boolean_reductions(request):
    return request.param


@pytest.fixture(params=["cumsum", "cumprod", "cummin", "cummax"])
def all_numeric_accumulations(request):
    return request.param


# What cannot apply, and why. The elements of a signal column are arrays, and pandas and its
# suite take an array for a sequence of values in many places.
SEQUENCE = (
    "pandas takes one window for a sequence of values here; SignalArray([...]) or "
    "`frame[column].array[i] = window` does it"
)
NOT_APPLICABLE = {
    "test_setitem_scalar": SEQUENCE,
    "test_setitem_loc_scalar_mixed": SEQUENCE,
    "test_setitem_loc_scalar_single": SEQUENCE,
    "test_setitem_loc_scalar_multiple_homogoneous": SEQUENCE,
    "test_setitem_iloc_scalar_mixed": SEQUENCE,
    "test_setitem_iloc_scalar_single": SEQUENCE,
    "test_setitem_iloc_scalar_multiple_homogoneous": SEQUENCE,
    "test_setitem_mask_broadcast": SEQUENCE,
    "test_setitem_loc_iloc_slice": SEQUENCE,
    "test_setitem_with_expansion_row": SEQUENCE,
    "test_setitem_2d_values": "the test compares an object Series with one window: " + SEQUENCE,
    "test_series_constructor_scalar_with_index": SEQUENCE,
    "test_fillna_scalar": SEQUENCE,
    "test_fillna_no_op_returns_copy": SEQUENCE,
    "test_fillna_series": SEQUENCE,
    "test_fillna_frame": SEQUENCE,
    "test_fillna_copy_frame": SEQUENCE,
    "test_fillna_copy_series": SEQUENCE,
    "test_combine_le": "`<=` of two windows is an array, not a truth value",
    "test_contains": "a missing window is an array of NaN, which is not equal to itself",
    "test_unstack": "the test wants plain NaN, not a window of NaN, in an object cell",
    "test_to_numpy": "np.asarray gives the block, and to_numpy the cells that a frame needs",
    "test_no_values_attribute": "`.values` is the documented access to the block",
}
# The same, where the window goes through a Series and not into the array.
NOT_IN_SERIES = {
    "test_setitem_sequence_broadcasts": SEQUENCE,
    "test_setitem_mask": SEQUENCE,
    "test_setitem_mask_boolean_array_with_na": SEQUENCE,
    "test_setitem_integer_array": SEQUENCE,
    "test_setitem_slice": SEQUENCE,
}
# These pass with windows of one sample.
NOT_WITH_MANY_SAMPLES = {
    "test_arith_frame_with_scalar": "pandas takes the window for a table of the frame's shape",
}
READ_ONLY = "pandas marks the arrays of an Index read-only; a signal column is none"
if PANDAS_3:
    NOT_APPLICABLE |= {
        "test_compare_scalar": SEQUENCE,
        "test_fillna_readonly": SEQUENCE,
        "test_fillna_limit_frame": SEQUENCE,
        "test_fillna_limit_series": SEQUENCE,
        "test_where_series_listlike_other": SEQUENCE,
        "test_where_series_listlike_other_wrong_length": SEQUENCE,
        "test_mask_listlike_other_inplace": SEQUENCE,
        "test_loc_setitem_with_expansion_preserves_ea_index_dtype": SEQUENCE,
        "test_plot_on_y_axis": "a window of samples is not a number to plot",
        "test_readonly_property": READ_ONLY,
        "test_readonly_propagates_to_numpy_array": READ_ONLY,
        "test_readonly_propagates_to_numpy_array_method": READ_ONLY,
        "test_getitem_propagates_readonly_property": READ_ONLY,
    }


@pytest.mark.filterwarnings("ignore:matching against an empty string:pytest.PytestWarning")
class TestSignalArray(base.ExtensionTests):
    @pytest.fixture(autouse=True)
    def skip_what_cannot_apply(self, request):
        name = request.node.originalname
        params = request.node.callspec.params if hasattr(request.node, "callspec") else {}
        reason = NOT_APPLICABLE.get(name)
        if params.get("box_in_series"):
            reason = reason or NOT_IN_SERIES.get(name)
        if params.get("dtype") != (1, 1):
            reason = reason or NOT_WITH_MANY_SAMPLES.get(name)
        if reason:
            pytest.skip(reason)

    def _compare_other(self, series, data, op, other):
        # The base compares with pandas' loop over elements, which are arrays here.
        if op not in (operator.eq, operator.ne):
            with pytest.raises(TypeError, match="not supported"):
                op(series, other)
            return
        same = [np.array_equal(window, data[0]) and np.ndim(other) > 0 for window in data]
        expected = np.array(same) if op is operator.eq else ~np.array(same)
        tm.assert_series_equal(op(series, other), pd.Series(expected))


def test_skipped_tests_exist():
    listed = NOT_APPLICABLE | NOT_IN_SERIES | NOT_WITH_MANY_SAMPLES
    assert all(hasattr(TestSignalArray, name) for name in listed)
