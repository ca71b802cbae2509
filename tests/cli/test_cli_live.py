"""``python -m skemo live``: recordings and streams followed in the terminal."""

import io
import re
import socket
import struct
import threading
import time
import uuid

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from sklearn.pipeline import make_pipeline

import skemo
import skemo.io
from skemo import CrossModalAttentionClassifier, segment
from skemo.cli.live import draw, format_line, selected
from skemo.cli.main import main
from skemo.datasets import make_emotion_recordings
from skemo.io import LSLStreams, replay
from skemo.models.streaming import fitted_signals


@pytest.fixture
def pylsl():
    try:
        import pylsl
    except (ImportError, RuntimeError) as error:  # RuntimeError without the library liblsl
        pytest.skip(f"pylsl is not installed ({error})")
    return pylsl


@pytest.fixture(scope="module")
def recordings():
    return make_emotion_recordings(3, 2, modalities=("ecg", "eda"), random_state=0)


@pytest.fixture(scope="module")
def model(recordings):
    windows = segment(recordings, duration=10.0)
    network = CrossModalAttentionClassifier(max_epochs=1, device="cpu", random_state=0)
    return network.fit(windows[["ecg", "eda"]], windows["label"])


@pytest.fixture(scope="module")
def saved(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "model.skemo"
    skemo.save(model, path)
    return str(path)


@pytest.fixture(scope="module")
def table(recordings, tmp_path_factory):
    """A CSV file whose rows are those of the ECG; the EDA is empty in between."""
    signals = recordings[0].signals
    n_times = signals["ecg"].shape[1]
    columns = {"seconds": np.arange(n_times) / 128, "chest": signals["ecg"][0]}
    columns["eda"] = np.full(n_times, np.nan)
    columns["eda"][::16] = signals["eda"][0]
    path = tmp_path_factory.mktemp("recordings") / "one.csv"
    pd.DataFrame(columns).to_csv(path, index=False)
    return str(path)


def test_a_recording_is_replayed_and_logged(model, saved, table, recordings, tmp_path, capsys):
    log = tmp_path / "log.csv"
    source = ["--replay", table, "--time", "seconds", "--signal", "ecg=chest", "--speed", "inf"]
    assert main(["live", saved, *source, "--step", "5", "--log", str(log)]) == 0
    offline = segment(recordings[0], 10.0, 5.0)
    expected = model.predict(offline[["ecg", "eda"]])
    logged = pd.read_csv(log)
    assert logged["start"].tolist() == offline["start"].tolist()
    assert logged["prediction"].tolist() == expected.tolist()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"0.0-10.0 s: {expected[0]}; aroused 0.")
    assert len(lines) == len(offline)


def test_a_log_is_continued_and_never_overwritten(saved, table, tmp_path, capsys):
    log = tmp_path / "log.csv"
    arguments = ["--replay", table, "--time", "seconds", "--speed", "inf", "--log", str(log)]
    main(["live", saved, *arguments])
    first = log.read_text()
    main(["live", saved, *arguments])
    assert log.read_text() == first + first.partition("\n")[2]
    log.write_text("a,b\n1,2\n")
    with pytest.raises(SystemExit, match="2"):
        main(["live", saved, *arguments])
    assert "log.csv has the columns a,b, but the results have start," in capsys.readouterr().err
    assert log.read_text() == "a,b\n1,2\n"


def test_a_sensor_that_is_not_in_the_source_is_missing(saved, table, capsys):
    arguments = ["--replay", table, "--time", "seconds", "--speed", "inf"]
    assert main(["live", saved, *arguments]) == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert first.startswith("Missing in all windows: ecg. The source has chest, eda; --signal ecg=")
    assert lines
    assert all("quality ecg missing, eda 0.9" in line or "eda 1.0" in line for line in lines)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no.skemo", "--replay", "no.csv"], "no file 'no.skemo'"),
        (["MODEL", "--replay", "no.edf"], "no.edf does not exist"),
        (["MODEL", "--replay", "TABLE", "--time", "seconds", "--signal", "ecg=x"], "no signal 'x'"),
        (
            ["MODEL", "--replay", "TABLE", "--time", "seconds", "--signal", "foo=chest"],
            "The model has no signal 'foo'; it has ecg, eda.",
        ),
        (["MODEL", "--replay", "TABLE", "--signal", "ecg"], "'ecg' is not NAME=SOURCE"),
        (["MODEL", "--replay", "TABLE", "--speed", "0"], "0 is not a positive number"),
        (["MODEL"], "one of the arguments --lsl --replay is required"),
        (["TABLE", "--lsl"], "one.csv"),
    ],
)
def test_wrong_arguments_are_named(arguments, message, saved, table, capsys):
    arguments = [{"MODEL": saved, "TABLE": table}.get(text, text) for text in arguments]
    with pytest.raises(SystemExit) as end:
        main(["live", *arguments])
    assert end.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("skemo live: error: ")
    assert message in error


def test_somebody_whom_the_model_has_not_measured_is_an_error(recordings, table, tmp_path, capsys):
    windows = segment(recordings, duration=10.0)
    features = skemo.make_modality_transformer(eda=skemo.EDATransformer(), subject="passthrough")
    model = skemo.make_lda(make_pipeline(features, skemo.PerSubject()))
    skemo.save(model.fit(windows, windows["label"]), tmp_path / "model.skemo")
    command = ["live", str(tmp_path / "model.skemo"), "--replay", str(table), "--time", "seconds"]
    command += ["--speed", "inf"]
    with pytest.raises(SystemExit, match="2"):
        main([*command, "--subject", "visitor"])
    message = "has not measured 'visitor'.* skemo.enroll .* has measured 00,"
    assert re.search(message, capsys.readouterr().err)
    main([*command, "--subject", "00"])
    assert "quality eda" in capsys.readouterr().out


def test_channels_are_chosen_by_their_labels(tmp_path):
    eeg = np.random.default_rng(0).normal(size=(3, 64 * 20))
    one = skemo.Recording(
        {"eeg": eeg[:2]},
        {"eeg": 64},
        {"eeg": ["Fp1", "C3"]},
        subject="a",
        labels=[(0, 10, "x"), (10, 20, "y")],
    )
    windows = segment(one, 2.0)
    network = CrossModalAttentionClassifier(max_epochs=1, device="cpu", random_state=0)
    network.fit(windows[["eeg"]], windows["label"])
    rows = {
        "seconds": np.arange(64 * 20) / 64,
        "EEG C3": eeg[1],
        "EEG Oz": eeg[2],
        "EEG FP1": eeg[0],
    }
    pd.DataFrame(rows).to_csv(tmp_path / "one.csv", index=False)
    chosen = {"eeg": ["EEG C3", "EEG Oz", "EEG FP1"]}
    recording = skemo.io.read_csv(tmp_path / "one.csv", time="seconds", signals=chosen)
    fitted = fitted_signals(network)
    source, rates, channels = selected(
        replay(recording), recording.channels, recording.sampling_rates, fitted
    )
    stream = skemo.Stream(network, 2.0, sampling_rates=rates, channels=channels)
    found = pd.concat([stream.push(times=times, **chunks) for chunks, times in source])
    offline = network.predict_proba(windows[["eeg"]])
    np.testing.assert_array_equal(found.filter(like="probability"), offline)


def test_a_window_is_drawn_as_bars():
    row = {"start": 10.0, "stop": 20.0, "prediction": "rest", "probability rest": 0.8}
    row = pd.Series({**row, "probability [red]": 0.2, "quality ecg": np.nan})
    text = io.StringIO()
    Console(file=text, width=80).print(draw(row))
    title, *lines = text.getvalue().splitlines()
    assert title.strip() == "10.0 to 20.0 s: rest"
    assert [line.split()[0] for line in lines] == ["probability", "[red]", "quality"]
    assert lines[2].rstrip().endswith("missing")
    assert format_line(row).endswith("; rest 0.80, [red] 0.20; quality ecg missing")


def test_a_recording_sent_through_lsl_gets_the_same_predictions(model, recordings, pylsl):
    recording = recordings[0]
    names = {name: f"{name}-{uuid.uuid4().hex}" for name in recording.signals}
    outlets = {}
    for name, rate in recording.sampling_rates.items():
        info = pylsl.StreamInfo(names[name], name.upper(), 1, rate, "float32", names[name])
        outlets[name] = pylsl.StreamOutlet(info)
    with LSLStreams(names, timeout=10.0) as streams:
        assert streams.sampling_rates == recording.sampling_rates
        for outlet in outlets.values():
            assert outlet.wait_for_consumers(10)
        begin = pylsl.local_clock()

        def send():
            for chunks, times in replay(recording, chunk=0.5, speed=50):
                for name, chunk in chunks.items():
                    outlets[name].push_chunk(chunk.T.tolist(), begin + times[name][-1])

        sender = threading.Thread(target=send)
        sender.start()
        stream = skemo.Stream(model, 10.0, max_wait=30.0, max_gap=0.1)
        results, stop = [], time.monotonic() + 60
        for chunks, times in streams:
            results.append(stream.push(times=times, **chunks))
            if sum(map(len, results)) >= 5 or time.monotonic() > stop:
                break
        sender.join()
    found = pd.concat(results)
    offline = segment(recording, 10.0)
    assert found["prediction"].tolist()[:5] == model.predict(offline[["ecg", "eda"]]).tolist()[:5]


def test_a_recording_sent_through_a_socket_gets_the_same_predictions(model, recordings):
    recording = recordings[1]
    server = socket.create_server(("127.0.0.1", 0))

    def send():
        with socket.create_connection(server.getsockname()) as connection:
            for chunks, times in replay(recording, chunk=0.25):
                for name, chunk in chunks.items():
                    header = struct.pack("<3sdI", name.encode(), times[name][0], chunk.shape[1])
                    connection.sendall(header + chunk[0].astype("<f4").tobytes())

    sender = threading.Thread(target=send)
    sender.start()
    connection, _ = server.accept()
    stream = skemo.Stream(model, 10.0)
    results = []
    with server, connection, connection.makefile("rb") as file:
        while header := file.read(struct.calcsize("<3sdI")):
            name, begin, n_times = struct.unpack("<3sdI", header)
            name, samples = name.decode(), np.frombuffer(file.read(4 * n_times), "<f4")
            results.append(stream.push(times={name: begin}, **{name: samples}))
    sender.join()
    expected = model.predict(segment(recording, 10.0)[["ecg", "eda"]])
    assert pd.concat(results)["prediction"].tolist() == expected.tolist()
