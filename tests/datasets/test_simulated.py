"""Simulated recordings: what they look like, the planted effect, and chance without it."""

import numpy as np
import pandas as pd
import pytest
from scipy.signal import butter, find_peaks, sosfiltfilt
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import KFold, LeaveOneGroupOut, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skemo import (
    RespirationTransformer,
    TemperatureTransformer,
    make_modality_transformer,
    segment,
)
from skemo.datasets import make_emotion_recordings
from skemo.kernels.entropy import differential_entropy

CLASSIFIERS = {
    "lda": LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
    "svm": SVC(),
}


def rr_intervals(ecg, rate):
    """Return RR intervals in seconds, from the peaks of the high-pass filtered ECG."""
    ecg = sosfiltfilt(butter(2, 8, "highpass", fs=rate, output="sos"), ecg)
    peaks, _ = find_peaks(ecg, height=0.4 * np.percentile(ecg, 99.5), distance=0.3 * rate)
    return np.diff(peaks) / rate


def measures(windows):
    """Compute simple measures of each window, by name."""
    ecg = windows["ecg"].array.values[:, 0]
    rr = [rr_intervals(window, windows["ecg"].dtype.sampling_rate) for window in ecg]
    eda = windows["eda"].array.values[:, 0]
    eeg = windows["eeg"].dtype
    entropy = differential_entropy(windows["eeg"].array.values, eeg.sampling_rate)[..., 0]
    table = {
        "heart_rate": [60 / intervals.mean() for intervals in rr],
        "log_rmssd": [np.log(np.sqrt(np.mean(np.diff(x) ** 2))) for x in rr],
        "tonic": np.log(np.quantile(eda, 0.1, axis=1)),
        "phasic": np.log(np.diff(eda, axis=1).std(axis=1)),
    }
    for b, band in enumerate(("theta", "alpha", "beta", "gamma")):
        table |= {f"{band}_{name}": entropy[:, b, c] for c, name in enumerate(eeg.channels)}
    return pd.DataFrame(table)


def accuracy(model, features, windows, split):
    model = make_pipeline(StandardScaler(), CLASSIFIERS[model])
    y, groups = windows["label"], None
    if split == "segments":
        cv = KFold(10, shuffle=True, random_state=0)
    elif split == "subjects":
        cv, groups = LeaveOneGroupOut(), windows["subject"]
    else:
        # The k-th calm and the k-th aroused trial of everyone together: a fold of single
        # trials would leave the other label in the majority of the rest.
        trials = windows.drop_duplicates(["subject", "trial"])
        pair = trials.groupby(["subject", "label"]).cumcount()
        keys = pd.MultiIndex.from_frame(trials[["subject", "trial"]])
        which = pd.MultiIndex.from_frame(windows[["subject", "trial"]])
        cv, groups = LeaveOneGroupOut(), pd.Series(pair.values, keys).reindex(which).values
    return cross_val_score(model, features, y, cv=cv, groups=groups).mean()


@pytest.fixture(scope="module", params=[0, 1])
def with_effect(request):
    windows = segment(make_emotion_recordings(random_state=request.param), 10.0)
    return measures(windows), windows


@pytest.fixture(scope="module", params=[0, 1])
def without_effect(request):
    recordings = make_emotion_recordings(effect_size=0, random_state=request.param)
    windows = segment(recordings, 10.0)
    return measures(windows), windows


# What a model sees


@pytest.mark.parametrize("model", CLASSIFIERS)
def test_splitting_by_window_is_optimistic(with_effect, model):
    by_segment = accuracy(model, *with_effect, "segments")
    by_subject = accuracy(model, *with_effect, "subjects")
    assert by_segment > 0.85
    assert 0.62 < by_subject < 0.85
    assert by_segment - by_subject > 0.1


@pytest.mark.parametrize("model", CLASSIFIERS)
@pytest.mark.parametrize("split", ["subjects", "trials"])
def test_without_effect_a_model_is_at_chance_for_new_people_and_trials(
    without_effect, model, split
):
    # 72 trials: three standard errors of a proportion are 0.18.
    assert accuracy(model, *without_effect, split) == pytest.approx(0.5, abs=0.15)


def test_without_effect_a_model_still_knows_the_trials_that_it_has_seen(without_effect):
    assert accuracy("svm", *without_effect, "segments") > 0.75


# The planted effect


def differences(effect_size):
    """Compute the difference of aroused and calm in each measure, with one row per subject."""
    recordings = make_emotion_recordings(40, 4, 40.0, effect_size=effect_size, random_state=1)
    windows = segment(recordings, 40.0)
    means = measures(windows).groupby([windows["subject"], windows["label"]]).mean()
    return means.xs("aroused", level="label") - means.xs("calm", level="label")


def test_arousal_changes_heart_skin_and_brain_in_the_known_directions():
    change = differences(1.0).mean()
    assert change["heart_rate"] == pytest.approx(8, abs=2)
    # The planted -0.4, and that a given change of rate moves short intervals less, and by
    # smaller steps: twice the logarithm of their shortening.
    assert change["log_rmssd"] == pytest.approx(-0.4 + 2 * np.log(70 / 78), abs=0.15)
    assert change["tonic"] == pytest.approx(0.2, abs=0.1)
    assert change["phasic"] > 0.1
    # 1/f activity in the bands dilutes the changes of the rhythms, -0.35 and 0.25.
    assert -0.35 < change[["alpha_O1", "alpha_O2"]].mean() < -0.15
    assert 0.05 < change[["beta_F3", "beta_F4"]].mean() < 0.25
    assert abs(change[["alpha_O1", "alpha_O2"]].mean()) > 2 * abs(change["gamma_O1"])
    assert abs(change[["theta_F3", "theta_F4"]].mean()) < 0.1


def test_arousal_makes_breaths_shallower_and_cools_the_skin():
    recordings = make_emotion_recordings(40, 4, 60.0, modalities=["resp", "temp"], random_state=1)
    windows = segment(recordings, 60.0)
    features = make_modality_transformer(
        resp=RespirationTransformer(features=["RSP_Rate_Mean", "RAV_Mean"]),
        temp=TemperatureTransformer(features=["TEMP_Slope"]),
    )
    table = features.fit_transform(windows)
    table["RAV_Mean"] = np.log(table["RAV_Mean"])
    means = table.groupby([windows["subject"], windows["label"]]).mean()
    change = (means.xs("aroused", level=1) - means.xs("calm", level=1)).mean()
    assert change["RAV_Mean"] == pytest.approx(-0.3, abs=0.06)
    assert 60 * change["TEMP_Slope"] == pytest.approx(-0.2, abs=0.08)
    assert change["RSP_Rate_Mean"] == pytest.approx(0, abs=0.6)


def test_respiration_has_the_rate_that_it_has_in_the_ecg():
    recordings = make_emotion_recordings(10, 4, 60.0, modalities=["ecg", "resp"], random_state=0)
    windows = segment(recordings, 60.0)
    belt, heart = (
        RespirationTransformer(signal=name, features="rate").fit_transform(windows[[name]])
        for name in ("resp", "ecg")
    )
    assert np.isfinite(belt).all()
    seen = np.isfinite(heart)
    assert seen.mean() > 0.75
    assert np.abs(belt - heart)[seen].max() < 1.5


def test_without_effect_no_measure_depends_on_the_label():
    change = differences(0.0)
    t = change.mean() / (change.std() / np.sqrt(len(change)))
    assert (t.abs() < 3.8).all()


def test_the_effect_grows_with_its_size_and_changes_sign_with_it():
    small, large = differences(0.5).mean(), differences(1.5).mean()
    turned = differences(-0.5).mean()
    for name in ("heart_rate", "log_rmssd", "tonic", "alpha_O1", "beta_F3"):
        assert abs(large[name]) > abs(small[name])
        assert np.sign(turned[name]) == -np.sign(large[name])


def test_people_differ_by_more_than_arousal_does():
    windows = segment(make_emotion_recordings(30, 2, 30.0, random_state=2), 30.0)
    calm = (windows["label"] == "calm").to_numpy()
    spread = measures(windows)[calm].std()
    assert 5 < spread["heart_rate"] < 14
    assert spread[["log_rmssd", "tonic"]].min() > 0.25
    assert spread["alpha_O1"] > 0.25


# The recordings


def test_each_person_has_as_many_calm_as_aroused_trials_in_random_order():
    recordings = make_emotion_recordings(8, 6, 5.0, modalities=["eda"], random_state=0)
    labels = np.array([r.labels[0][2] for r in recordings]).reshape(8, 6)
    assert ((labels == "calm").sum(axis=1) == 3).all()
    assert ((labels == "aroused").sum(axis=1) == 3).all()
    assert len({tuple(row) for row in labels}) > 4
    assert [(r.subject, r.trial) for r in recordings[5:7]] == [("00", "5"), ("01", "0")]
    assert recordings[0].labels[0][:2] == (0.0, 5.0)


def test_signals_have_the_requested_rates_lengths_units_and_channels():
    (recording, _) = make_emotion_recordings(
        1,
        2,
        12.5,
        sampling_rates={"ecg": 256, "eda": 4},
        channels=["AF3", "Cz", "O2"],
        random_state=0,
    )
    assert recording.sampling_rates == {"ecg": 256.0, "eda": 4.0, "eeg": 128.0}
    shapes = {name: signal.shape for name, signal in recording.signals.items()}
    assert shapes == {"ecg": (1, 3200), "eda": (1, 50), "eeg": (3, 1600)}
    assert recording.channels["eeg"] == ("AF3", "Cz", "O2")
    assert recording.units == {"ecg": "mV", "eda": "µS", "eeg": "µV"}
    assert {signal.dtype for signal in recording.signals.values()} == {np.dtype("float32")}


def test_values_are_plausible_for_a_human():
    for recording in make_emotion_recordings(20, 2, 30.0, random_state=3):
        rr = rr_intervals(recording.signals["ecg"][0], 128)
        assert rr.min() > 0.4
        assert rr.max() < 1.7
        assert 0.4 < np.quantile(recording.signals["ecg"], 0.999) < 3.5  # millivolt
        eda = recording.signals["eda"]
        assert eda.min() > 0.5
        assert eda.max() < 30  # microsiemens
        assert (np.std(recording.signals["eeg"], axis=1) > 3).all()  # microvolt
        assert np.abs(recording.signals["eeg"]).max() < 200


def test_the_spectrum_falls_with_frequency_and_peaks_at_alpha_over_the_back():
    recordings = make_emotion_recordings(20, 2, 30.0, effect_size=0, random_state=3)
    windows = segment(recordings, 30.0)
    bands = {f"{low}": (low, low + 1) for low in range(2, 40)}
    entropy = differential_entropy(windows["eeg"].array.values, 128, bands)[..., 0].mean(axis=0)
    occipital = entropy[:, -2:].mean(axis=1)
    assert 2 + np.argmax(occipital[4:14]) + 4 in (9, 10, 11)
    assert occipital[0] > occipital[15] > occipital[37]


# Reproducibility


def assert_same(one, other, modalities=("ecg", "eda", "eeg")):
    for a, b in zip(one, other, strict=True):
        assert a.labels == b.labels
        for name in modalities:
            np.testing.assert_array_equal(a.signals[name], b.signals[name])


def test_the_same_seed_gives_the_same_recordings_and_another_seed_others():
    one, same = (make_emotion_recordings(2, 2, 10.0, random_state=5) for _ in range(2))
    assert_same(one, same)
    other = make_emotion_recordings(2, 2, 10.0, random_state=6)
    assert not np.array_equal(one[0].signals["eeg"], other[0].signals["eeg"])


def test_the_global_generator_is_left_alone():
    state = np.random.get_state()  # noqa: NPY002
    make_emotion_recordings(1, 2, 10.0)
    np.testing.assert_array_equal(np.random.get_state()[1], state[1])  # noqa: NPY002


def test_a_generator_is_advanced():
    rng = np.random.default_rng(0)
    one, other = (make_emotion_recordings(1, 2, 10.0, random_state=rng) for _ in range(2))
    assert not np.array_equal(one[0].signals["ecg"], other[0].signals["ecg"])


def test_more_people_or_fewer_modalities_do_not_change_the_others():
    few = make_emotion_recordings(2, 2, 10.0, random_state=5)
    many = make_emotion_recordings(4, 2, 10.0, random_state=5)
    assert_same(few, many[:4])
    alone = make_emotion_recordings(2, 2, 10.0, modalities=["eeg"], random_state=5)
    assert list(alone[0].signals) == ["eeg"]
    assert_same(few, alone, ["eeg"])
    every = ("ecg", "eda", "eeg", "resp", "temp")
    assert_same(few, make_emotion_recordings(2, 2, 10.0, modalities=every, random_state=5))


def test_calm_trials_do_not_depend_on_the_effect_size():
    none = make_emotion_recordings(3, 2, 10.0, effect_size=0, random_state=5)
    large = make_emotion_recordings(3, 2, 10.0, effect_size=2, random_state=5)
    calm = [i for i, r in enumerate(none) if r.labels[0][2] == "calm"]
    assert_same([none[i] for i in calm], [large[i] for i in calm], ["ecg", "eeg"])
    for i in calm:
        np.testing.assert_allclose(none[i].signals["eda"], large[i].signals["eda"], atol=1e-5)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_subjects": 0}, "n_subjects must be at least 1, got 0"),
        ({"n_trials": 3}, "n_trials must be even, half calm and half aroused, .*got 3"),
        ({"n_trials": 0}, "n_trials must be even"),
        ({"duration": 4}, r"duration must be at least 5 \(seconds\), got 4"),
        ({"effect_size": np.nan}, "effect_size must be a finite number, got nan"),
        (
            {"modalities": ["ecg", "emg"]},
            r"modalities must be among ecg, eda, eeg, resp, temp, got \['ecg', '",
        ),
        ({"modalities": "ecg"}, "modalities must be among ecg, eda, eeg, resp, temp, got 'ecg'"),
        ({"modalities": 3}, "modalities must be among ecg, eda, eeg, resp, temp, got 3"),
        ({"modalities": []}, "modalities must be among"),
        (
            {"sampling_rates": {"emg": 4}},
            "sampling_rates must be among ecg, eda, eeg, resp, temp, got",
        ),
        ({"sampling_rates": {"ecg": 32}}, "sampling_rates: 'ecg' needs at least 64 Hz, got 32"),
        ({"channels": ["F3", "X1"]}, "channels must be among AF3, .*got"),
    ],
)
def test_an_invalid_parameter_is_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        make_emotion_recordings(**parameters)
