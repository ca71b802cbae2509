"""Streams give what the recording as a whole would give, whatever the chunks."""

import gc
import threading
import tracemalloc
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

import skemo
from skemo import PerSubject, QualityTransformer, Recording, Stream, segment
from skemo.datasets import make_emotion_recordings
from skemo.io import replay
from skemo.models.streaming import fitted_signals

RATES = {"eeg": 500.0, "ecg": 128.0, "pulse": 31.25, "eda": 4.1}


class Keeper(BaseEstimator):
    """A model that keeps the tables it is given."""

    def __init__(self):
        self.tables = []

    def predict(self, X):
        self.tables.append(X)
        return np.arange(len(X))

    @property
    def windows(self):
        return pd.concat(self.tables, ignore_index=True)


def make_recording(seed, seconds=60.0, starts=False):
    rng = np.random.default_rng(seed)
    signals = {
        name: rng.normal(size=(2 if name == "eeg" else 1, int(seconds * rate + rng.integers(9))))
        for name, rate in RATES.items()
    }
    signals["ecg"] = signals["ecg"].astype(np.float32)
    signals["pulse"] = (signals["pulse"] * 100).astype(np.int16)
    begin = {name: rng.uniform(0, 3) for name in RATES} if starts else {}
    channels = {"eeg": ["F3", "F4"]}
    return Recording(signals, RATES, channels, subject="S1", trial="a", starts=begin)


def random_chunks(recording, seed, timed=False):
    """Yield chunks of 1 to 10,000 samples, of the signal that is furthest behind."""
    rng = np.random.default_rng(seed)
    sent = dict.fromkeys(recording.signals, 0)
    left = set(recording.signals)
    while left:
        name = min(left, key=lambda name: sent[name] / recording.sampling_rates[name])
        first = sent[name]
        sent[name] = last = min(
            first + int(10 ** rng.uniform(0, 4)), recording.signals[name].shape[1]
        )
        if last == recording.signals[name].shape[1]:
            left.discard(name)
        times = recording.starts[name] + np.arange(first, last) / recording.sampling_rates[name]
        chunk = {name: recording.signals[name][:, first:last]}
        yield chunk, {name: times} if timed else None


def assert_same_windows(stream, expected):
    windows = stream.model.windows
    pd.testing.assert_frame_equal(windows, expected, check_dtype=True)
    for name in RATES.keys() & windows.columns:
        np.testing.assert_array_equal(windows[name].array.values, expected[name].array.values)


@pytest.fixture(scope="module")
def recordings():
    return make_emotion_recordings(
        n_subjects=4, n_trials=2, modalities=("ecg", "eda"), random_state=0
    )


@pytest.fixture(scope="module")
def windows(recordings):
    return segment(recordings, duration=10.0)


@pytest.fixture(scope="module")
def features():
    return skemo.make_modality_transformer(
        ecg=skemo.HRVTransformer(features=["HRV_MeanNN", "HRV_RMSSD"]), eda=skemo.EDATransformer()
    )


@pytest.fixture(scope="module")
def lda(windows, features):
    return skemo.make_lda(features).fit(windows, windows["label"])


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("timed", [False, True])
def test_chunks_of_any_size_give_the_windows_of_segment_to_the_bit(seed, timed):
    duration, step = np.random.default_rng(seed).uniform(0.5, 9, size=2)
    recording = make_recording(seed, starts=timed)
    stream = Stream(
        Keeper(),
        duration,
        step,
        sampling_rates=RATES,
        channels={"eeg": ["F3", "F4"]},
        subject="S1",
        trial="a",
        max_wait=np.inf,
    )
    for chunks, times in random_chunks(recording, seed, timed):
        stream.push(times=times, **chunks)
    assert_same_windows(stream, segment(recording, duration, step))


def test_signals_sent_together_give_the_windows_of_segment_without_waiting():
    recording = make_recording(0)
    stream = Stream(
        Keeper(),
        5.0,
        2.0,
        sampling_rates=RATES,
        channels={"eeg": ["F3", "F4"]},
        subject="S1",
        trial="a",
        max_wait=0.5,
    )
    for chunks, times in replay(recording, chunk=0.37):
        stream.push(times=times, **chunks)
    assert_same_windows(stream, segment(recording, 5.0, 2.0))


def test_flush_gives_windows_in_which_some_signals_are_incomplete():
    recording = make_recording(3)
    short = {**recording.signals, "ecg": recording.signals["ecg"][:, :4000]}
    recording = Recording(short, RATES, {"eeg": ["F3", "F4"]}, subject="S1", trial="a")
    stream = Stream(
        Keeper(),
        5.0,
        sampling_rates=RATES,
        channels={"eeg": ["F3", "F4"]},
        subject="S1",
        trial="a",
        max_wait=np.inf,
    )
    stream.push(**recording.signals)
    assert len(stream.model.windows) == 6
    stream.flush()
    assert_same_windows(stream, segment(recording, 5.0, missing="keep"))
    assert stream.flush().empty


def test_predictions_equal_those_for_the_recording(recordings, lda):
    offline = segment(recordings[3], 10.0, 2.5)
    stream = Stream(lda, 10.0, 2.5, subject=recordings[3].subject)
    results = [stream.push(times=times, **chunks) for chunks, times in replay(recordings[3])]
    result = pd.concat(results, ignore_index=True)
    assert result["start"].tolist() == offline["start"].tolist()
    assert (result["stop"] - result["start"] == 10).all()
    assert result["prediction"].tolist() == lda.predict(offline).tolist()
    probabilities = result[[f"probability {label}" for label in lda.classes_]]
    # A product of matrices rounds differently for one row than for many.
    np.testing.assert_allclose(probabilities, lda.predict_proba(offline), rtol=1e-12)


def test_a_forest_predicts_the_same_as_for_the_recording_to_the_bit(recordings, windows, features):
    forest = skemo.make_random_forest(features, n_estimators=5, random_state=0)
    forest.fit(windows, windows["label"])
    stream = Stream(forest, 10.0, 3.3, max_wait=np.inf)
    results = [stream.push(**chunks) for chunks, _ in random_chunks(recordings[0], 0)]
    result = pd.concat(results, ignore_index=True)
    offline = forest.predict_proba(segment(recordings[0], 10.0, 3.3))
    np.testing.assert_array_equal(result.filter(like="probability"), offline)


def test_a_network_predicts_the_same_as_for_the_recording_to_the_bit(recordings, windows):
    signals = skemo.make_modality_transformer(
        ecg=skemo.HRVTransformer("series"), eda=skemo.ResampleTransformer(4)
    )
    network = skemo.ModalityAwareAttentionClassifier(max_epochs=1, random_state=0, device="cpu")
    model = make_pipeline(signals, network).fit(windows, windows["label"])
    stream = Stream(model, 10.0, 2.5)
    results = [stream.push(times=times, **chunks) for chunks, times in replay(recordings[1])]
    result = pd.concat(results)
    offline = segment(recordings[1], 10.0, 2.5)
    assert result["prediction"].tolist() == model.predict(offline).tolist()
    np.testing.assert_array_equal(result.filter(like="probability"), model.predict_proba(offline))


def test_a_window_does_not_wait_for_a_late_signal_longer_than_max_wait():
    stream = Stream(Keeper(), 2.0, sampling_rates={"ecg": 100, "eda": 10}, max_wait=1.0, quality={})
    assert stream.push(ecg=np.ones(250), eda=np.ones(15)).empty
    assert stream.push(ecg=np.ones(50)).empty  # second 3: just not beyond
    late = stream.push(ecg=np.ones(1))
    assert late["start"].tolist() == [0]
    assert late["quality ecg"].tolist() == [1]
    assert late["quality eda"].isna().all()
    with pytest.warns(UserWarning, match="'eda' is late: samples of second 1.5 arrived when"):
        assert stream.push(eda=np.ones(20)).empty
    assert stream.push(ecg=np.ones(99), eda=np.ones(5))["quality eda"].tolist() == [1]
    assert stream.received == {"ecg": 4.0, "eda": 4.0}


def test_a_signal_that_never_arrives_is_missing_and_costs_no_memory():
    stream = Stream(Keeper(), 4.0, sampling_rates={"ecg": 500, "eda": 10}, quality={})
    chunk = np.zeros((1, 500))
    sizes = []
    tracemalloc.start()
    for second in range(300):
        given = stream.push(ecg=chunk + second)
        assert given["quality eda"].isna().all()
        stream.model.tables.clear()
        if second in (50, 299):
            gc.collect()
            sizes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert sizes[1] - sizes[0] < 100_000  # all samples would need ten times as much


def test_a_signal_that_comes_back_is_placed_by_its_times():
    stream = Stream(Keeper(), 2.0, sampling_rates={"ecg": 100, "eda": 10}, max_wait=0.5)
    quality = []
    for second in range(12):
        chunks, times = {"ecg": np.ones(100) + second}, {"ecg": second}
        if not 3 <= second < 7:
            chunks["eda"], times["eda"] = np.ones(10), second
        quality += stream.push(times=times, **chunks)["quality eda"].tolist()
    # The last window did wait, since the signal is back: a second of two is missing in it.
    assert np.isnan(quality).tolist() == [False, True, True, False, False, False]


def test_a_gap_in_times_is_nan_as_in_a_recording_from_a_table():
    rng = np.random.default_rng(0)
    seconds = np.delete(np.arange(4000) / 100, [*range(500, 620), 1000, *range(2000, 2005)])
    values = rng.normal(size=len(seconds))
    table = pd.DataFrame({"time": seconds, "eda": values})
    recording = Recording.from_frame(table, subject="", time="time", sampling_rate=100)
    expected = segment(recording, 3.0)["eda"].array.values
    stream = Stream(Keeper(), 3.0, sampling_rates={"eda": 100}, max_gap=0.005)
    for part in np.array_split(np.arange(len(seconds)), 37):
        stream.push(times={"eda": seconds[part]}, eda=values[part])
    found = stream.model.windows["eda"].array.values
    lost = np.isnan(found)
    assert lost.sum() == 120 + 1 + 5
    np.testing.assert_array_equal(found[~lost], expected[~lost])  # one lost sample is interpolated


@pytest.mark.parametrize("seed", range(4))
def test_irregular_times_are_placed_in_the_same_way_for_any_chunks(seed):
    rng = np.random.default_rng(seed)
    steps = rng.choice(
        [0.01, 0.012, 0.008, 0.0, -0.02, 0.3], p=[0.5, 0.2, 0.2, 0.05, 0.03, 0.02], size=3000
    )
    seconds = 5 + np.cumsum(steps)
    values = rng.normal(size=3000)
    found = []
    for size in (1, 17, 3000):
        stream = Stream(Keeper(), 1.0, sampling_rates={"eda": 100}, max_gap=0.02)
        for i in range(0, 3000, size):
            stream.push(times={"eda": seconds[i : i + size]}, eda=values[i : i + size])
        found.append(stream.model.windows)
    pd.testing.assert_frame_equal(found[0], found[1])
    pd.testing.assert_frame_equal(found[0], found[2])


@pytest.mark.parametrize("drift", [0.003, -0.003])
def test_a_clock_that_drifts_is_followed_to_within_max_gap(drift):
    seconds = np.arange(60_000) / 100 * (1 + drift)  # ten minutes
    stream = Stream(Keeper(), 10.0, sampling_rates={"eda": 100}, max_gap=0.05)
    for part in np.array_split(np.arange(len(seconds)), 100):
        stream.push(times={"eda": seconds[part]}, eda=seconds[part])
    windows = stream.model.windows
    placed = windows["start"].to_numpy()[:, np.newaxis] + np.arange(1000) / 100
    assert np.nanmax(np.abs(windows["eda"].array.values[:, 0] - placed)) <= 0.05 + 1e-9
    assert np.isnan(windows["eda"].array.values).mean() < 0.01


def test_a_day_without_samples_is_skipped_at_once():
    stream = Stream(Keeper(), 1.0, 0.01, sampling_rates={"ecg": 100, "eda": 10})
    chunk = {"ecg": np.ones(200), "eda": np.ones(20)}
    assert len(stream.push(times={"ecg": 0, "eda": 0}, **chunk)) == 101
    later = stream.push(times={"ecg": 864e5, "eda": 864e5}, **chunk)
    assert later["start"].iloc[[0, 98]].tolist() == [1.01, 1.99]
    assert later["start"].iloc[99] == pytest.approx(864e5 - 0.99, abs=1e-6)
    assert later["start"].iloc[-1] == 864e5 + 1


def test_signals_pushed_by_threads_are_cut_together():
    recording = make_recording(1)
    stream = Stream(
        Keeper(),
        5.0,
        sampling_rates=RATES,
        channels={"eeg": ["F3", "F4"]},
        subject="S1",
        trial="a",
        max_wait=np.inf,
    )

    def send(name):
        for part in np.array_split(recording.signals[name], 50, axis=1):
            stream.push(**{name: part})

    threads = [threading.Thread(target=send, args=[name]) for name in RATES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert_same_windows(stream, segment(recording, 5.0))


def test_the_model_gets_earlier_windows_within_the_context():
    stream = Stream(Keeper(), 2.0, sampling_rates={"eda": 10}, context=4.0)
    results = [stream.push(eda=np.ones(20) + i) for i in range(5)]
    assert [table["start"].tolist() for table in stream.model.tables] == [
        [0], [0, 2], [0, 2, 4], [2, 4, 6], [4, 6, 8]
    ]  # fmt: skip
    assert [result["start"].tolist() for result in results] == [[0], [2], [4], [6], [8]]
    assert results[-1]["prediction"].tolist() == [2]


def test_a_person_seen_in_the_fit_is_standardised_by_their_own_statistics(windows, recordings):
    features = skemo.make_modality_transformer(eda=skemo.EDATransformer(), subject="passthrough")
    model = skemo.make_lda(make_pipeline(features, PerSubject())).fit(windows, windows["label"])
    one = recordings[0]
    stream = Stream(model, 10.0, subject=one.subject)
    result = pd.concat(
        [stream.push(eda=part) for part in np.array_split(one.signals["eda"], 9, axis=1)]
    )
    expected = model.predict_proba(segment(one, 10.0))
    np.testing.assert_allclose(result.filter(like="probability"), expected, rtol=1e-9)


def test_quality_equals_that_of_the_quality_transformer(recordings, lda):
    stream = Stream(lda, 10.0)
    result = stream.push(**recordings[2].signals)
    offline = segment(recordings[2], 10.0)
    for name in ("ecg", "eda"):
        measure = QualityTransformer(signal=name, features=[f"{name.upper()}_Quality"])
        expected = measure.fit_transform(offline[[name]])[:, 0]
        np.testing.assert_array_equal(result[f"quality {name}"], expected)


def test_numbers_and_several_targets_have_columns_of_their_own():
    class Two(Keeper):
        classes_ = [np.array(["high", "low"]), np.array([1, 2, 3])]  # noqa: RUF012

        def predict(self, X):
            return np.array([["low", 2]] * len(X), object)

        def predict_proba(self, X):
            return [np.full((len(X), 2), 0.5), np.full((len(X), 3), 1 / 3)]

    settings = {"sampling_rates": {"eda": 10}, "targets": ["arousal", "valence"]}
    names = ["prediction arousal", "prediction valence", "probability arousal high",
             "probability arousal low", "probability valence 1"]  # fmt: skip
    stream = Stream(Two(), 2.0, **settings)
    assert stream.push(eda=np.ones(19)).columns[2:7].tolist() == names
    result = stream.push(eda=np.ones(1))
    assert result.columns[2:7].tolist() == names
    assert result["prediction valence"].tolist() == [2]
    assert Stream(Keeper(), 2.0, **settings).push(eda=np.ones(20)).columns.tolist() == [
        "start", "stop", "prediction", "quality eda"
    ]  # fmt: skip


def test_results_without_windows_can_be_joined_to_others(recordings, lda):
    stream = Stream(lda, 10.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        results = [stream.push(times=t, **c) for c, t in replay(recordings[0], chunk=5.0)]
        assert pd.concat(results).dtypes.equals(results[1].dtypes)


def test_the_signals_of_a_model_are_found_in_its_parts(lda, windows):
    assert fitted_signals(lda) == {name: windows[name].dtype for name in ("ecg", "eda")}
    network = skemo.CrossModalAttentionClassifier(max_epochs=1, device="cpu", random_state=0)
    network.fit(windows[["eda"]], windows["label"])
    assert fitted_signals(network) == {"eda": windows["eda"].dtype}
    assert repr(Stream(network, 10.0, 5.0)) == (
        "<Stream of eda at 8 Hz: windows of 10 s, one every 5 s, for CrossModalAttentionClassifier>"
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"duration": 0}, "duration must be a positive number of seconds, got 0."),
        ({"step": -1}, "step must be a positive"),
        ({"max_wait": -1}, "max_wait must be a number of seconds of at least 0, got -1."),
        ({"duration": 9.0}, "with a different number of samples in a window"),
        (
            {"sampling_rates": {"ecg": 100, "eda": 64}},
            "'ecg' with a different sampling rate.* resampl",
        ),
        ({"channels": {"ecg": ["I", "II"]}}, "'ecg' with a different number of channels: 1, not 2"),
        ({"channels": {"eeg": 2}}, "channels has 'eeg', but the signals are"),
        ({"channels": {"eda": 0}}, "channels\\['eda'\\] must be names or a positive number"),
        ({"sampling_rates": {"start": 4}}, "A signal cannot be called 'start'"),
        ({"sampling_rates": {}}, "sampling_rates must map signals to hertz"),
        ({"quality": {"ecg": "heart"}}, "quality must map signals among"),
    ],
)
def test_settings_that_do_not_fit_the_model_are_refused(lda, settings, message):
    with pytest.raises(ValueError, match=message):
        Stream(lda, **{"duration": 10.0, **settings})


def test_a_model_that_is_not_fitted_is_refused():
    eda = skemo.make_modality_transformer(eda=skemo.EDATransformer())
    for model in (skemo.make_lda(eda), skemo.CrossModalAttentionClassifier()):
        with pytest.raises(NotFittedError, match="is not fitted yet"):
            Stream(model, 10.0, sampling_rates={"eda": 4})


def test_a_model_of_beats_of_whole_recordings_is_refused(recordings):
    found = segment(map(skemo.find_beats, recordings), 10.0)
    hrv = skemo.make_modality_transformer(beats=skemo.HRVTransformer(signal="beats"))
    model = skemo.make_lda(hrv).fit(found, found["label"])
    with pytest.raises(ValueError, match="'beats' has no sampling rate; it may be the heartbeats"):
        Stream(model, 10.0)
    with pytest.raises(ValueError, match="The model does not know its signals"):
        Stream(Keeper(), 10.0)


@pytest.mark.parametrize(
    ("chunks", "times", "message"),
    [
        ({"emg": [1.0]}, None, "'emg' is not one of the signals"),
        ({"eda": [np.inf]}, None, "'eda' contains infinity"),
        ({"eda": np.ones((2, 3))}, None, "must have shape \\(1, n_times\\), got \\(2, 3\\)"),
        ({"eda": [1.0]}, {"ecg": [0.0]}, "times has 'ecg', but there is no such chunk"),
        ({"eda": [1.0]}, {"eda": [0.0, 1.0]}, "for each of its 1 samples"),
        ({"eda": [1.0]}, {"eda": [np.nan]}, "for each of its 1 samples"),
        ({"eda": [1.0], "ecg": [1.0]}, {"eda": 9.0}, "for all chunks of all signals, or for none"),
        ({"eda": [1.0]}, None, "or for none: earlier chunks had times"),
        ({"eda": [1.0]}, [0.0], "times must be a mapping .* {'eda': times}, got list"),
        ({"ecg": [1.0]}, None, "for all chunks of all signals, or for none"),
        ({"eda": [1.0]}, {"eda": 2.0}, "go back by 2 s"),
    ],
)
def test_a_wrong_chunk_is_refused_and_changes_nothing(chunks, times, message):
    stream = Stream(
        Keeper(), 10.0, sampling_rates={"ecg": 100, "eda": 10}, channels={"eda": 1}, max_wait=1.0
    )
    stream.push(times={"eda": 3.0}, eda=np.ones(10))
    with pytest.raises(ValueError, match=message):
        stream.push(times=times, **chunks)
    assert stream.received == {"ecg": pytest.approx(np.nan, nan_ok=True), "eda": 4}


@pytest.mark.parametrize("chunk", [0.7, 25.0])
def test_a_causal_context_gives_the_same_as_for_the_recording_to_the_bit(
    recordings, windows, chunk
):
    keys = dict.fromkeys(("subject", "trial", "start"), "passthrough")
    features = skemo.make_modality_transformer(eda=skemo.EDATransformer(), **keys)
    context = skemo.ContextTransformer(reach=20.0, causal=True)
    forest = skemo.make_random_forest(
        make_pipeline(features, context), n_estimators=5, random_state=0
    )
    forest.fit(windows, windows["label"])
    one = recordings[0]
    stream = Stream(forest, 10.0, 5.0, context=20.0, subject=one.subject, trial=one.trial)
    results = [
        stream.push(times={"eda": times["eda"]}, eda=chunks["eda"])
        for chunks, times in replay(one, chunk=chunk)
    ]
    found = pd.concat(results).filter(like="probability")
    np.testing.assert_array_equal(found, forest.predict_proba(segment(one, 10.0, 5.0)))


def test_an_enrolled_person_is_classified_as_with_all_their_windows(recordings, windows):
    features = skemo.make_modality_transformer(eda=skemo.EDATransformer(), subject="passthrough")
    others = windows[windows["subject"] != recordings[-1].subject]
    model = skemo.make_lda(make_pipeline(features, PerSubject())).fit(others, others["label"])
    own = segment(recordings[-1], 10.0)
    stream = Stream(skemo.enroll(model, own), 10.0, subject=recordings[-1].subject)
    chunks = np.array_split(recordings[-1].signals["eda"], 9, axis=1)
    found = pd.concat([stream.push(eda=chunk) for chunk in chunks])
    np.testing.assert_allclose(
        found.filter(like="probability"), model.predict_proba(own), rtol=1e-9
    )


def test_somebody_whom_the_model_has_not_measured_is_not_followed(recordings):
    windows = segment(recordings[:3], duration=10.0)
    features = skemo.make_modality_transformer(eda=skemo.EDATransformer(), subject="passthrough")
    model = skemo.make_lda(make_pipeline(features, PerSubject()))
    model.fit(windows[["eda", "subject"]], windows["label"])
    with pytest.raises(ValueError, match=r"has not measured 'visitor'.*skemo\.enroll"):
        Stream(model, 10.0, subject="visitor")
    with pytest.raises(ValueError, match=r"pass subject= .* This model has measured 00, 01"):
        Stream(model, 10.0)
    Stream(model, 10.0, subject=recordings[0].subject)


def test_a_model_that_does_not_fit_the_stream_does_not_replace_the_one_in_use(recordings, lda):
    windows = segment(recordings[:3], duration=5.0)
    features = skemo.make_modality_transformer(eda=skemo.EDATransformer(), subject="passthrough")
    model = skemo.make_lda(make_pipeline(features, PerSubject())).fit(windows, windows["label"])
    stream = Stream(lda, 10.0, subject="visitor")
    with pytest.raises(ValueError, match="has not measured 'visitor'"):
        stream.model = model
    stream.subject = recordings[0].subject
    with pytest.raises(ValueError, match="different number of samples in a window"):
        stream.model = model
    assert stream.model is lda


def test_results_have_the_classes_of_the_model_in_use(windows, lda, features):
    stream = Stream(lda, 10.0)
    stream.model = skemo.make_lda(features).fit(windows, np.resize([1, 2], len(windows)))
    assert stream.flush().columns[3:5].tolist() == ["probability 1", "probability 2"]


def test_a_path_instead_of_a_model_is_refused():
    with pytest.raises(ValueError, match=r"got 'model.skemo'. Read .* skemo\.load\(path\)"):
        Stream("model.skemo", 10.0)
