"""Band and channel importance: electrodes, planted effects, and what is drawn."""

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from skemo import (
    DifferentialEntropyTransformer,
    ModalityAwareAttentionClassifier,
    PerSubject,
    SignalArray,
    make_lda,
    make_modality_transformer,
    make_svm,
    segment,
    signal_frame,
)
from skemo.datasets import fetch_eegmat, make_emotion_recordings
from skemo.displays.importance import ChannelImportanceDisplay, band_channel_importance
from skemo.displays.scalp import (
    _mne_positions,
    electrode_positions,
    interpolate,
    standard_positions,
)

plt = pytest.importorskip("matplotlib.pyplot")

CHANNELS = ("Fz", "Cz", "Pz", "O1", "O2")


def features(n_windows=200, planted="alpha_O1", seed=0):
    """Return noise named by band and channel, and labels decided by one feature alone."""
    names = [f"{band}_{channel}" for band in ("theta", "alpha") for channel in CHANNELS]
    X = np.random.default_rng(seed).normal(size=(n_windows, len(names)))
    X = pd.DataFrame(X, columns=names)
    return X, (X[planted] > 0).to_numpy()


def stump(X, y):
    """Return a classifier that uses a single feature."""
    return DecisionTreeClassifier(max_depth=1, random_state=0).fit(X, y)


BANDS = ["theta", "alpha"]


# Electrodes


def test_electrodes_are_where_the_10_20_system_says():
    places = standard_positions()
    expected = {
        "Cz": (0, 0),
        "Fz": (0, 0.4),
        "Fpz": (0, 0.8),
        "Oz": (0, -0.8),
        "C3": (-0.4, 0),
        "T8": (0.8, 0),
        "T10": (1, 0),
        "Nz": (0, 1),
        "F8": (0.8 * np.sin(0.3 * np.pi), 0.8 * np.cos(0.3 * np.pi)),
    }
    for name, place in expected.items():
        assert places[name] == pytest.approx(place, abs=1e-9), name
    assert places["T3"] == places["T7"]
    assert places["T6"] == places["P8"]


def test_the_positions_are_symmetric_from_left_to_right_and_front_to_back():
    places = standard_positions()
    pairs = [("F3", "F4"), ("FC5", "FC6"), ("P9", "P10"), ("AF7", "AF8"), ("O1", "O2")]
    for left, right in pairs:
        assert places[left] == pytest.approx((-places[right][0], places[right][1]))
    for front, back in [("F3", "P3"), ("FC2", "CP2"), ("AF4", "PO4"), ("Fp1", "O1")]:
        assert places[front] == pytest.approx((places[back][0], -places[back][1]))


def test_no_two_electrodes_share_a_position():
    older = {"T3", "T4", "T5", "T6"}
    points = [place for name, place in standard_positions().items() if name not in older]
    points = np.array(points)
    distance = np.linalg.norm(points[:, None] - points, axis=-1) + np.eye(len(points))
    assert distance.min() > 0.08
    assert np.linalg.norm(points, axis=1).max() <= 1 + 1e-9


def test_positions_are_close_to_those_measured_on_a_head():
    pytest.importorskip("mne")
    measured = _mne_positions()
    ours = {name: place for name, place in standard_positions().items() if name in measured}
    assert len(ours) >= 80
    apart = [np.hypot(*np.subtract(place, measured[name])) for name, place in ours.items()]
    assert np.mean(apart) < 0.04  # of the head's radius
    assert np.max(apart) < 0.11


def test_names_may_be_written_in_any_case():
    np.testing.assert_array_equal(electrode_positions(["FP1", "cz"])[1], [0, 0])
    assert tuple(electrode_positions(["FP1"])[0]) == standard_positions()["Fp1"]


def test_unknown_electrodes_are_listed_with_the_remedy():
    with pytest.raises(ValueError, match=r"electrodes \['X1', 'EXG'\].* pass positions="):
        electrode_positions(["Cz", "X1", "EXG"])


def test_mne_knows_the_electrodes_of_the_10_05_system():
    pytest.importorskip("mne")
    (x, y), _, (x4, y4) = electrode_positions(["FFC1h", "Cz", "FC1"])
    assert np.hypot(x - x4, y - y4) < 0.2
    assert x < 0 < y


# Interpolation


def test_interpolation_goes_through_the_electrodes_and_keeps_a_constant():
    places = electrode_positions(CHANNELS)
    values = np.array([1.0, -2.0, 0.5, 3.0, 0.0])
    np.testing.assert_allclose(interpolate(places, values, places), values, atol=1e-9)
    grid = np.random.default_rng(0).uniform(-0.7, 0.7, (50, 2))
    np.testing.assert_allclose(interpolate(places, np.full(5, 2.0), grid), 2.0)
    lacking = np.where(values == 3.0, np.nan, values)
    np.testing.assert_allclose(interpolate(places, lacking, places[:3]), values[:3], atol=1e-9)


# Importance


def test_only_the_feature_that_the_model_uses_is_important():
    X, y = features()
    found = band_channel_importance(stump(X, y), X, y, bands=BANDS)
    assert found["mean"].index.tolist() == BANDS
    assert found["mean"].columns.tolist() == list(CHANNELS)
    assert found["mean"].loc["alpha", "O1"] == pytest.approx(0.5, abs=0.1)
    assert found["std"].loc["alpha", "O1"] > 0
    assert (found["mean"].drop(columns="O1") == 0).all(axis=None)
    assert found["mean"].loc["theta", "O1"] == 0


def test_permuting_within_subjects_keeps_the_differences_between_subjects():
    X, _ = features()
    subjects = np.arange(200) % 4
    X["alpha_O1"] = subjects * 1.0
    y = subjects >= 2
    model = stump(X, y)
    within = band_channel_importance(model, X, y, bands=BANDS, subjects=subjects)
    assert (within["mean"] == 0).all(axis=None)
    assert band_channel_importance(model, X, y, bands=BANDS)["mean"].loc["alpha", "O1"] > 0.3


def test_the_same_seed_gives_the_same_result_and_leaves_the_windows_unchanged():
    X, y = features()
    before = X.copy()
    one, same, other = (
        band_channel_importance(stump(X, y), X, y, bands=BANDS, random_state=seed)
        for seed in (1, 1, 2)
    )
    pd.testing.assert_frame_equal(one, same)
    assert not one.equals(other)
    pd.testing.assert_frame_equal(X, before)


def test_within_reach_channels_are_permuted_together():
    X, y = features()
    found = band_channel_importance(stump(X, y), X, y, bands=BANDS, reach=0.65)["mean"]
    near = found.loc["alpha", ["O1", "O2", "Pz"]]  # 0.49 and 0.43 from O1
    assert (near > 0.3).all()
    assert (found.loc["alpha", ["Fz", "Cz"]] == 0).all()
    assert (found.loc["theta"] == 0).all()


def test_the_map_of_a_network_is_permuted_by_band_and_channel():
    rng = np.random.default_rng(0)
    y = np.arange(160) % 2
    maps = rng.normal(size=(160, 2, 5, 3))
    maps[:, 1, 3] += 3 * y[:, None]  # alpha, O1
    X = signal_frame(eeg=SignalArray(maps, channels=CHANNELS))
    network = ModalityAwareAttentionClassifier(
        n_filters=4, depth=1, max_epochs=12, lr=0.01, dropout=0.0, random_state=0
    ).fit(X[:120], y[:120])
    found = band_channel_importance(network, X[120:], y[120:], bands=BANDS)["mean"]
    assert found.stack().idxmax() == ("alpha", "O1")
    assert found.loc["alpha", "O1"] > 0.3
    assert found.drop(columns="O1").abs().max(axis=None) < 0.1
    np.testing.assert_array_equal(X["eeg"].array.values, maps)


def test_names_come_from_the_pipeline_and_sub_windows_stay_together():
    recordings = make_emotion_recordings(
        n_subjects=2, n_trials=2, modalities=("eeg",), random_state=0
    )
    windows = segment(recordings, 10.0)
    entropy = DifferentialEntropyTransformer(bands={"low": (4, 8), "high": (8, 30)}, sub_windows=2)
    model = make_svm(make_modality_transformer(eeg=entropy))
    model.fit(windows[["eeg"]], windows["label"])
    found = band_channel_importance(model, windows[["eeg"]], windows["label"], n_repeats=1)
    assert found["mean"].index.tolist() == ["low", "high"]
    assert found["mean"].columns.tolist() == ["F3", "F4", "C3", "C4", "P3", "P4", "O1", "O2"]
    assert found["std"].isna().all(axis=None)  # of a single permutation


def test_the_best_model_of_a_search_is_measured():
    X, y = features()
    grid = GridSearchCV(DecisionTreeClassifier(random_state=0), {"max_depth": [1]}).fit(X, y)
    found = band_channel_importance(grid, X, y, bands=BANDS)
    pd.testing.assert_frame_equal(found, band_channel_importance(stump(X, y), X, y, bands=BANDS))


def test_features_are_permuted_before_a_step_that_mixes_them():
    X, y = features()
    model = make_pipeline(StandardScaler(), PCA(), LogisticRegression()).fit(X, y)
    found = band_channel_importance(model, X, y, bands=BANDS)["mean"]
    assert found.stack().idxmax() == ("alpha", "O1")


@pytest.fixture(scope="module")
def emotion():
    recordings = make_emotion_recordings(
        n_subjects=10, modalities=("eeg",), effect_size=1.5, random_state=0
    )
    windows = segment(recordings, 10.0)
    held_out = windows["subject"] >= "06"
    model = make_lda(
        make_pipeline(
            make_modality_transformer(eeg=DifferentialEntropyTransformer(), subject="passthrough"),
            PerSubject(),
        )
    ).fit(windows.loc[~held_out, ["eeg", "subject"]], windows.loc[~held_out, "label"])
    return model, windows[held_out]


def test_the_planted_bands_and_regions_are_found_in_simulated_recordings(emotion):
    model, windows = emotion
    found = band_channel_importance(
        model,
        windows[["eeg", "subject"]],
        windows["label"],
        subjects=windows["subject"],
        scoring="neg_log_loss",
        reach=0.5,
    )["mean"]
    back, front = ["P3", "P4", "O1", "O2"], ["F3", "F4"]
    assert found.loc["alpha", back].mean() > 0.1 + found.loc["alpha", front].mean()
    assert found.loc["beta", front].mean() > 0.1 + found.loc["beta", ["O1", "O2"]].mean()
    planted = min(found.loc["alpha", back].max(), found.loc["beta", front].max())
    assert planted > found.loc[["theta", "gamma"]].max(axis=None)


def test_resting_with_closed_eyes_shows_in_alpha_over_the_back_of_the_head(data_home):
    windows = segment(fetch_eegmat(data_home / "eegmat", modalities=["eeg"], lazy=True), 10.0)
    held_out = windows["subject"].isin(windows["subject"].unique()[16:])
    entropy = DifferentialEntropyTransformer()
    features = make_modality_transformer(eeg=entropy, subject="passthrough")
    model = make_svm(make_pipeline(features, PerSubject()))
    model.fit(windows.loc[~held_out, ["eeg", "subject"]], windows.loc[~held_out, "label"])
    windows = windows[held_out]
    found = band_channel_importance(
        model,
        windows[["eeg", "subject"]],
        windows["label"],
        subjects=windows["subject"],
        n_repeats=2,
        reach=0.7,
    )["mean"]
    back, front = ["Pz", "P3", "P4", "O1", "O2"], ["Fz", "F3", "F4", "Fp1", "Fp2"]
    assert found.loc["alpha", back].mean() > max(0, found.loc["alpha", front].mean())


def test_an_input_without_bands_and_channels_is_refused():
    X, y = features()
    model = stump(X, y)
    with pytest.raises(ValueError, match="the estimator has no DifferentialEntropyTransformer"):
        band_channel_importance(model, X, y)
    with pytest.raises(ValueError, match="No step of DecisionTreeClassifier takes bands"):
        band_channel_importance(model, X, y, bands=["delta"])
    with pytest.raises(ValueError, match="n_repeats must be at least 1, got 0"):
        band_channel_importance(model, X, y, bands=BANDS, n_repeats=0)
    maps = signal_frame(eeg=SignalArray(np.zeros((4, 2, 5, 3))))
    with pytest.raises(ValueError, match=r"'eeg' is a map of 2 bands, but 1 are named"):
        band_channel_importance(model, maps, [0, 1, 0, 1], bands=["alpha"])


# What is drawn


def test_each_band_has_a_head_and_all_heads_share_one_scale():
    table = pd.DataFrame(
        np.random.default_rng(0).normal(size=(3, 5)), ["theta", "alpha", "beta"], CHANNELS
    )
    display = ChannelImportanceDisplay.from_importances(table, label="weight")
    assert [panel.get_title() for panel in display.axes_] == ["theta", "alpha", "beta"]
    limit = table.abs().max(axis=None)
    assert {image.get_clim() for image in display.images_} == {(-limit, limit)}
    assert display.colorbar_.ax.get_ylabel() == "weight"
    for panel in display.axes_:
        assert [text.get_text() for text in panel.texts] == list(CHANNELS)


def test_the_image_has_the_value_of_each_electrode_at_its_position():
    table = pd.DataFrame([[0.1, -0.2, 0.3, 0.0, 0.2]], ["alpha"], CHANNELS)
    display = ChannelImportanceDisplay.from_importances(table)
    picture = display.images_[0].get_array()
    for channel, (x, y) in zip(CHANNELS, electrode_positions(CHANNELS), strict=True):
        pixel = picture[round((y + 1) * 50), round((x + 1) * 50)]
        assert pixel == pytest.approx(table[channel].item(), abs=0.02)


def test_measured_importance_is_drawn_as_it_is():
    X, y = features()
    display = ChannelImportanceDisplay.from_estimator(
        stump(X, y), X, y, bands=BANDS, scoring="neg_log_loss", n_repeats=2
    )
    expected = band_channel_importance(
        stump(X, y), X, y, bands=BANDS, scoring="neg_log_loss", n_repeats=2
    )
    pd.testing.assert_frame_equal(display.importances, expected)
    pd.testing.assert_frame_equal(display.importances_, expected["mean"])
    assert display.colorbar_.ax.get_ylabel() == "rise of log loss"


def test_positions_may_be_given_for_unknown_electrodes():
    table = pd.DataFrame([[0.0, 1.0]], ["alpha"], ["L", "R"])
    display = ChannelImportanceDisplay(table, positions={"L": (-0.5, 0), "R": (0.5, 0)}).plot()
    picture = display.images_[0].get_array()
    assert picture[50, 75] > 0.9 > 0.1 > picture[50, 25]
    with pytest.raises(
        ValueError, match=r"positions must be a dict with an entry for each .*'L', 'R'"
    ):
        ChannelImportanceDisplay(table, positions={"L": (0, 0)}).plot()


def test_it_draws_on_the_given_axes_and_can_leave_out_the_names():
    table = pd.DataFrame(np.eye(2), ["alpha", "beta"], ["O1", "O2"])
    axes = plt.subplots(1, 2)[1]
    display = ChannelImportanceDisplay(table).plot(axes, names=False)
    assert list(display.axes_) == list(axes)
    assert not display.axes_[0].texts
    ChannelImportanceDisplay.from_importances(table * 0).figure_.canvas.draw()
