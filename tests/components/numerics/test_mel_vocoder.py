"""Mel spectrogram and back: framing, the inverse of the filters, and phases that agree with themselves."""

import numpy as np
import pytest

from components.numerics.mel_vocoder import (
    BANDS,
    FLOOR,
    HOP,
    RATE,
    WINDOW,
    _signal,
    _spectrum,
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


def test_a_seed_gives_one_signal_and_silence_stays_silent(glide):
    mel = mel_spectrogram(glide)[:40]
    np.testing.assert_array_equal(waveform(mel, 2, seed=1), waveform(mel, 2, seed=1))
    assert not np.array_equal(waveform(mel, 2, seed=1), waveform(mel, 2, seed=2))
    assert np.abs(waveform(mel_spectrogram(np.zeros(8000, np.float32)))).max() < 1e-3
