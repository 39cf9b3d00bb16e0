"""Spectra of signals whose spectra are known."""

import numpy as np
import pytest

from components.numerics.spectra import band_level, extremes, group_means, log_mel, power_frames, wide_band

RATE = 16_000


def sine(hertz, seconds=1.0, amplitude=1.0):
    return (amplitude * np.sin(2 * np.pi * hertz * np.arange(int(seconds * RATE)) / RATE)).astype(np.float32)


def test_blocks_equal_one_transform_of_each_frame():
    samples = np.random.default_rng(0).normal(size=90_000).astype(np.float32)
    power = np.concatenate(list(power_frames(samples, hop=16, window=80)))
    assert len(power) == 90_000 // 16 > 4096
    frame = samples[5000 * 16 - 32 : 5000 * 16 + 48] * np.hanning(82)[1:-1]
    np.testing.assert_allclose(power[5000], np.abs(np.fft.rfft(frame)) ** 2, rtol=1e-3, atol=1e-4)


def test_a_full_scale_sine_inside_the_band_is_at_0_db():
    level = band_level(sine(1000), RATE, 160, 300, 3000)
    assert level[10:-10] == pytest.approx(0.0, abs=0.1)
    assert band_level(sine(1000, amplitude=0.1), RATE, 160, 300, 3000)[50] == pytest.approx(-20, abs=0.1)
    assert band_level(sine(5000), RATE, 160, 300, 3000)[50] < -60


def test_the_mel_band_of_a_sine_rises_with_its_frequency():
    bands = [int(log_mel(sine(hertz), RATE, 320)[20].argmax()) for hertz in (200, 800, 2000, 6000)]
    assert bands == sorted(set(bands))


def test_frames_are_counted_as_whole_hops_and_at_least_one():
    assert log_mel(np.zeros(3500, np.float32), RATE, 320).shape == (10, 40)
    assert log_mel(np.zeros(5, np.float32), RATE, 320).shape == (1, 40)


def test_the_spectrogram_is_bounded_and_shows_a_sine_in_its_row():
    picture = wide_band(sine(2000, 20.0), RATE, columns=300, rows=100, top=5000)
    assert picture.shape == (100, 300)
    assert picture.max() == 0
    assert abs(int(picture[:, 150].argmax()) - 40) <= 1  # 2 of 5 kHz


def test_group_means_keep_the_total():
    values = np.arange(26.0, dtype=np.float32).reshape(13, 2)
    means = group_means(values, 4)
    assert means.shape == (4, 2)
    assert (means * np.array([3, 3, 3, 4])[:, None]).sum() == pytest.approx(values.sum())


def test_extremes_keep_every_peak():
    samples = np.random.default_rng(1).normal(size=10_000)
    at, values = extremes(samples, 500)
    assert len(at) == len(values) == 500
    assert values.max() == samples.max() and values.min() == samples.min()
    assert extremes(samples[:20], 500)[1].tolist() == samples[:20].tolist()
