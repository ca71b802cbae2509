"""Attention weights: means over subjects, absent modalities, and what is drawn."""

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC

from skemo import (
    CrossModalAttentionClassifier,
    ModalityAwareAttentionClassifier,
    SignalArray,
    signal_frame,
)
from skemo.displays.attention import AttentionDisplay

plt = pytest.importorskip("matplotlib.pyplot")

WEIGHTS = pd.DataFrame(
    {
        "ecg": [0.2, 0.4, 0.8, 0.0, 0.6, np.nan],
        "eeg": [0.5, 0.7, 0.9, 0.3, 0.1, 0.3],
    },
    index=[7, 3, 9, 1, 0, 2],
)
Y = np.array(["calm", "calm", "stress", "calm", "stress", "stress"])
SUBJECTS = np.array(["a", "a", "a", "b", "b", "b"])


def test_each_subject_counts_once_however_many_windows_there_are():
    display = AttentionDisplay.from_predictions(WEIGHTS, Y, subjects=SUBJECTS)
    assert display.class_means_.loc["calm", "eeg"] == pytest.approx((0.6 + 0.3) / 2)
    assert display.class_means_.loc["stress", "eeg"] == pytest.approx((0.9 + 0.2) / 2)
    spread = display.class_spread_.loc["calm", "eeg"]
    assert spread == pytest.approx(np.std([0.6, 0.3], ddof=1))


def test_zero_and_nan_count_as_absent_not_as_low_weights():
    display = AttentionDisplay.from_predictions(WEIGHTS, Y, subjects=SUBJECTS)
    assert display.absent_.to_dict() == pytest.approx({"ecg": 2 / 6, "eeg": 0})
    assert np.isnan(display.subject_means_.loc[("b", "calm"), "ecg"])
    assert display.subject_means_.loc[("b", "stress"), "ecg"] == pytest.approx(0.6)
    assert display.class_means_.loc["calm", "ecg"] == pytest.approx(0.3)
    labels = [label.get_text() for label in display.ax_.get_xticklabels()]
    assert labels == ["ecg\nabsent in 33.3 %", "eeg"]


def test_bars_are_means_over_subjects_and_points_are_means_of_subjects():
    display = AttentionDisplay.from_predictions(WEIGHTS, Y, subjects=SUBJECTS)
    for label, bars in zip(["calm", "stress"], display.bars_, strict=True):
        heights = [bar.get_height() for bar in bars]
        np.testing.assert_allclose(heights, display.class_means_.loc[label])
        assert bars.get_label() == label
    points = {round(y, 9) for line in display.ax_.lines for y in line.get_ydata() if y > 0}
    assert {0.3, 0.6, 0.9, 0.2} <= points
    assert display.ax_.get_ylabel().endswith("(mean ± SD over subjects)")
    assert display.ax_.get_ylim() == (0, 1)


def test_without_classes_and_subjects_windows_are_averaged():
    display = AttentionDisplay.from_predictions(WEIGHTS)
    assert display.class_means_.index.tolist() == ["all windows"]
    assert display.class_means_["eeg"].item() == pytest.approx(WEIGHTS["eeg"].mean())
    assert display.class_spread_["eeg"].item() == pytest.approx(WEIGHTS["eeg"].std())
    assert display.ax_.get_ylabel().endswith("over windows)")
    assert display.ax_.get_legend() is None


def test_the_map_has_one_row_per_subject_and_says_what_is_absent():
    display = AttentionDisplay.from_predictions(WEIGHTS, Y, subjects=SUBJECTS, kind="subject")
    drawn = display.image_.get_array()
    expected = [[0.3, 0.8, 0.6, 0.9], [np.nan, 0.6, 0.3, 0.2]]
    np.testing.assert_allclose(np.ma.filled(drawn, np.nan), expected)
    texts = [text.get_text() for text in display.ax_.texts]
    assert texts == ["0.30", "0.80", "0.60", "0.90", "absent", "0.60", "0.30", "0.20"]
    assert [tick.get_text() for tick in display.ax_.get_yticklabels()] == ["a", "b"]
    columns = [tick.get_text() for tick in display.ax_.get_xticklabels()]
    assert columns == ["ecg\ncalm", "ecg\nstress", "eeg\ncalm", "eeg\nstress"]


def test_a_modality_missing_from_all_windows_is_drawn_as_absent():
    weights = WEIGHTS.assign(eda=0.0)
    display = AttentionDisplay.from_predictions(weights, Y, subjects=SUBJECTS)
    assert display.class_means_["eda"].isna().all()
    assert display.ax_.get_xticklabels()[2].get_text() == "eda\nabsent in 100.0 %"
    display.figure_.canvas.draw()
    display.plot("subject")
    display.figure_.canvas.draw()
    assert np.ma.getmaskarray(display.image_.get_array())[:, 4:].all()


def test_weights_up_to_2_are_drawn_around_the_line_of_no_attention():
    display = AttentionDisplay.from_predictions(2 * WEIGHTS, Y, subjects=SUBJECTS)
    assert display.ax_.get_ylim() == (0, 2)
    lines = [line for line in display.ax_.lines if list(line.get_ydata()) == [1, 1]]
    assert [line.get_linestyle() for line in lines] == ["--"]
    assert display.plot("subject").image_.get_clim() == (0, 2)


def test_it_draws_on_the_given_axes():
    ax = plt.figure().add_subplot()
    assert AttentionDisplay.from_predictions(WEIGHTS, ax=ax).ax_ is ax
    assert AttentionDisplay(WEIGHTS).plot(ax=ax).figure_ is ax.figure


@pytest.mark.parametrize(
    "network", [ModalityAwareAttentionClassifier, CrossModalAttentionClassifier]
)
def test_weights_of_a_network_are_drawn_and_a_missing_modality_is_absent(network):
    rng = np.random.default_rng(0)
    y = np.arange(40) % 2
    values = rng.normal(size=(40, 1, 64)) + y[:, None, None]
    other = rng.normal(size=(40, 1, 64))
    other[:10] = np.nan
    X = signal_frame(ecg=SignalArray(values), eda=SignalArray(other))
    subjects = np.repeat(["a", "b", "c", "d"], 10)
    small = {"n_filters": 4, "max_epochs": 1, "random_state": 0}
    small |= {"depth": 1} if network is ModalityAwareAttentionClassifier else {"pool_size": 2}
    pipeline = make_pipeline(FunctionTransformer(), network(**small)).fit(X, y)
    display = AttentionDisplay.from_estimator(pipeline, X, y, subjects=subjects)
    weights = pipeline[-1].attention_weights(X)
    assert display.absent_["eda"] == 0.25
    expected = weights.loc[(subjects == "c") & (y == 1), "eda"].mean()
    assert display.subject_means_.loc[("c", 1), "eda"] == pytest.approx(expected)
    assert display.subject_means_.loc["a", "eda"].isna().all()
    alone = AttentionDisplay.from_estimator(pipeline[-1], X, y, subjects=subjects)
    pd.testing.assert_frame_equal(alone.class_means_, display.class_means_)


def test_an_estimator_without_attention_is_refused():
    for model in (SVC(), ModalityAwareAttentionClassifier(attention=None)):
        with pytest.raises(ValueError, match=r"has no attention weights: AttentionDisplay takes"):
            AttentionDisplay.from_estimator(model, WEIGHTS)


def test_invalid_arguments_are_named():
    with pytest.raises(ValueError, match='kind="subject" needs the subject of each window'):
        AttentionDisplay(WEIGHTS).plot("subject")
    with pytest.raises(ValueError, match=r'kind must be "class" or "subject", got \'map\''):
        AttentionDisplay(WEIGHTS).plot("map")
    with pytest.raises(ValueError, match=r"between 0 and 2, or NaN, .* got 6 windows from -0.4"):
        AttentionDisplay(WEIGHTS - 0.4).plot()
    with pytest.raises(ValueError, match=r"from 0\.0 to 2\.7"):
        AttentionDisplay(3 * WEIGHTS).plot()
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        AttentionDisplay(WEIGHTS, y=Y[:3]).plot()
    with pytest.raises(ValueError, match="subjects must be one name or number per window"):
        AttentionDisplay(WEIGHTS, subjects=[(1, 2), *"abcde"]).plot()
