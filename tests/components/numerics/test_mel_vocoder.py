"""Mel spectrogram and back: framing, the inverse of the filters, and phases that agree with themselves."""

import numpy as np
import pytest

from components.numerics.mel_vocoder import (
    BANDS,
    FLOOR,
    HOP,
    OVERSHOOT,
    RATE,
    WINDOW,
    _signal,
    _spectrum,
    _with_bands,
    magnitudes,
    mel_spectrogram,
    waveform,
)
from components.numerics.spectra import mel_filters


@pytest.fixture(scope="module")
def glide():
    """A voice-like glide: harmonics of 120 to 180 Hz under one broad resonance, then a hiss."""
    rng = np.random.default_rng(0)
    pitch = np.linspace(120, 180, RATE)
    turn = 2 * np.pi * np.cumsum(pitch) / RATE
    voice = sum(np.cos(k * turn) / (1 + ((k * 150 - 900) / 500) ** 2) for k in range(1, 30))
    return np.concatenate([0.1 * voice, 0.02 * rng.standard_normal(RATE // 2)]).astype(np.float32)


def test_a_tone_lies_in_its_band_and_its_frame():
    clip = np.zeros(RATE, np.float32)
    clip[8000:] = 0.3 * np.sin(2 * np.pi * 1000 * np.arange(8000) / RATE)
    mel = mel_spectrogram(clip)
    assert mel.shape == (RATE // HOP, BANDS)
    filters = mel_filters(BANDS, WINDOW // 2 + 1, RATE)
    assert mel[60].argmax() == filters[round(1000 * WINDOW / RATE)].argmax()
    assert np.allclose(mel[:36], np.log(FLOOR))
    assert mel[42, mel[60].argmax()] > mel[38, mel[60].argmax()] + 1


def test_framing_and_overlap_undo_one_another():
    signal = np.random.default_rng(1).standard_normal(WINDOW + 40 * HOP).astype(np.float32)
    again = _signal(_spectrum(signal))
    np.testing.assert_allclose(again[100:-100], signal[100:-100], atol=1e-4)


def test_magnitudes_have_the_wanted_bands(glide):
    mel = mel_spectrogram(glide)
    found = magnitudes(mel)
    assert found.min() >= 0
    bands = np.log(np.maximum(found @ mel_filters(BANDS, WINDOW // 2 + 1, RATE), FLOOR))
    assert np.abs(bands - mel).mean() < 0.15


def test_the_signal_has_the_spectrogram_that_it_was_made_of(glide):
    mel = mel_spectrogram(glide)
    apart = [np.abs(mel_spectrogram(waveform(mel, n)) - mel).mean() for n in (0, 32)]
    assert len(waveform(mel, 0)) == HOP * len(mel)
    assert apart[1] < 0.3 < apart[0]


def test_rounds_bring_the_bands_of_what_is_heard_to_within_half_a_decibel(glide):
    """The oracle of the vocoder: analysed again, its signal has the bands asked for, loud and quiet ones."""
    mel = mel_spectrogram(glide)[4:-4]
    found = mel_spectrogram(waveform(mel))
    apart = np.abs(found - mel) * 20 / np.log(10)
    loud = mel > mel.max() - 4
    assert apart[loud].mean() < 0.5  # with the magnitudes of the pseudo-inverse kept: 1.2
    assert apart.mean() < 1.0


def test_quiet_sounds_under_a_hundredth_of_the_speech_survive(glide):
    quiet = mel_spectrogram(0.02 * glide)
    assert (quiet > np.log(FLOOR)).mean() > 0.8  # under a floor of 0.01: a third
    again = mel_spectrogram(waveform(quiet))
    assert np.abs(again - quiet).mean() < 0.3


def test_bands_are_restored_by_a_gain_that_leaves_what_lies_within_them(glide):
    wanted = np.exp(mel_spectrogram(glide))
    size = magnitudes(mel_spectrogram(glide))
    filters = mel_filters(BANDS, WINDOW // 2 + 1, RATE)
    scaled = _with_bands(2 * size, size @ filters)
    inside = filters.sum(1) > 0
    left = 2 ** (1 - OVERSHOOT)
    np.testing.assert_allclose(scaled[:, inside], size[:, inside] * left, rtol=1e-4, atol=1e-6)
    assert (scaled[:, ~inside] == 0).all()
    other = size * np.geomspace(0.2, 5, size.shape[1], dtype=np.float32)  # too bright
    before, after = (
        np.abs(np.log(np.maximum(x @ filters, FLOOR)) - np.log(wanted)).mean()
        for x in (other, _with_bands(other, wanted))
    )
    assert after < before / 2  # a gain upside down doubles it


def test_a_seed_gives_one_signal_and_silence_stays_silent(glide):
    mel = mel_spectrogram(glide)[:40]
    np.testing.assert_array_equal(waveform(mel, 2, seed=1), waveform(mel, 2, seed=1))
    assert not np.array_equal(waveform(mel, 2, seed=1), waveform(mel, 2, seed=2))
    assert np.abs(waveform(mel_spectrogram(np.zeros(8000, np.float32)))).max() < 1e-3
