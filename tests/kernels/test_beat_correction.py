"""Correction of beats against NeuroKit2, and where nothing is to be corrected."""

import warnings

import numpy as np
import pytest

from skemo.kernels.beat_correction import KINDS, classify_beats, correct_beats

RATE = 1_000_000  # NeuroKit2 cuts times to whole samples each time that it corrects them


def sinus_beats(seed, n_beats=120):
    rng = np.random.default_rng(seed)
    breath = 0.04 * np.sin(2 * np.pi * 0.25 * 0.8 * np.arange(n_beats) + rng.uniform(0, 6))
    return 0.5 + np.cumsum(0.8 + breath + rng.normal(0, 0.01, n_beats)).round(3)


def disturbed_beats(seed, n_beats=120):
    """Sinus rhythm with some beats missed, added and ectopic."""
    rng = np.random.default_rng(seed)
    beats = sinus_beats(seed, n_beats)
    places = rng.choice(np.arange(8, n_beats - 8, 6), 6, replace=False)
    beats[places[:2]] -= rng.uniform(0.15, 0.35, 2).round(3)
    added = (beats[places[4:]] + rng.uniform(0.3, 0.5, 2)).round(3)
    return np.unique(np.append(np.delete(beats, places[2:4]), added))


def as_rows(series):
    table = np.full((len(series), max(map(len, series)) + 6), np.nan)
    for row, beats in zip(table, series, strict=True):
        row[: len(beats)] = beats
    return table


def by_neurokit(beats):
    nk = pytest.importorskip("neurokit2")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        samples = np.rint(beats * RATE).astype(int)
        return nk.signal_fixpeaks(samples, sampling_rate=RATE, method="kubios", iterative=True)


def test_disturbed_beats_are_corrected_as_by_neurokit():
    series = [disturbed_beats(seed) for seed in range(60)]
    corrected = correct_beats(as_rows(series))
    for ours, beats in zip(corrected, series, strict=True):
        theirs = by_neurokit(beats)[1] / RATE
        np.testing.assert_allclose(ours[~np.isnan(ours)], theirs, atol=1e-5)


@pytest.mark.parametrize("n_beats", [8, 15, 40, 300])
def test_beats_are_classified_as_by_neurokit(n_beats):
    nk = pytest.importorskip("neurokit2")
    rng = np.random.default_rng(n_beats)
    series = [np.cumsum(rng.choice([0.4, 0.8, 0.83, 0.79, 1.6], n_beats)) for _ in range(10)]
    series += [sinus_beats(seed, n_beats) for seed in range(10)]
    kinds = classify_beats(as_rows(series))
    for ours, beats in zip(kinds, series, strict=True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            samples = np.rint(beats * RATE).astype(int)
            found, _ = nk.signal_fixpeaks(
                samples, sampling_rate=RATE, method="kubios", iterative=False
            )
        names = dict(zip(KINDS, ("", "ectopic", "missed", "extra", "longshort"), strict=True))
        for kind, name in list(names.items())[1:]:
            assert np.flatnonzero(ours == KINDS.index(kind)).tolist() == found[name], kind


def test_a_missed_and_an_extra_beat_are_put_right():
    beats = sinus_beats(0)
    wrong = np.sort(np.append(np.delete(beats, 40), beats[80] + 0.4))
    corrected = correct_beats(as_rows([wrong]))[0]
    corrected = corrected[~np.isnan(corrected)]
    assert len(corrected) == len(beats)
    np.testing.assert_allclose(corrected, beats, atol=0.06)


def test_regular_beats_stay_as_they_are():
    beats = as_rows([0.4 + 0.8 * np.arange(50), sinus_beats(3), sinus_beats(4)[:5], [0.3], []])
    np.testing.assert_array_equal(correct_beats(beats)[[0, 2, 3, 4]], beats[[0, 2, 3, 4]])


def test_a_shift_of_all_beats_shifts_the_corrected_ones():
    beats = as_rows([disturbed_beats(seed) for seed in range(5)])
    np.testing.assert_allclose(correct_beats(beats + 100), correct_beats(beats) + 100, atol=1e-9)


def test_stretches_between_breaks_are_corrected_each_for_itself():
    first, second = disturbed_beats(1, 60), disturbed_beats(2, 60) + 60
    together = correct_beats(as_rows([np.concatenate([first, [np.nan], second])]))[0]
    apart = correct_beats(as_rows([first, second]))
    (gap,) = np.flatnonzero(np.isnan(together[: np.flatnonzero(~np.isnan(together))[-1]]))
    np.testing.assert_array_equal(together[:gap], apart[0][~np.isnan(apart[0])])
    rest = together[gap + 1 :]
    np.testing.assert_array_equal(rest[~np.isnan(rest)], apart[1][~np.isnan(apart[1])])


def test_a_series_is_corrected_alike_alone_and_among_others():
    beats = as_rows([disturbed_beats(seed, 60 + 10 * seed) for seed in range(8)])
    alone = np.concatenate([correct_beats(row[np.newaxis]) for row in beats])
    np.testing.assert_array_equal(correct_beats(beats), alone)
