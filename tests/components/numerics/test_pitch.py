"""Pitch of signals whose period is known, and what is called unvoiced."""

import numpy as np
import pytest

from components.numerics.pitch import pitch, segment_prosody

RATE, HOP = 16_000, 200


def buzz(hertz, seconds=1.0, harmonics=12, first=1):
    """Return harmonics `first` and up of a tone, with falling strength."""
    t = np.arange(int(seconds * RATE)) / RATE
    parts = [np.cos(2 * np.pi * k * hertz * t) / k for k in range(first, harmonics + 1)]
    return (0.1 * sum(parts)).astype(np.float32)


@pytest.mark.parametrize("hertz", [83.0, 131.7, 220.0, 352.9])
def test_a_buzz_has_its_own_pitch_even_without_its_first_harmonic(hertz):
    for first in (1, 2):
        found = pitch(buzz(hertz, first=first), RATE, HOP)[8:-8]
        np.testing.assert_allclose(found, hertz, rtol=0.005)


def test_noise_and_silence_have_no_pitch():
    noise = 0.1 * np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    assert (pitch(noise, RATE, HOP) > 0).mean() < 0.02
    assert not pitch(np.zeros(RATE, np.float32), RATE, HOP).any()


def test_frames_follow_a_glide_at_their_own_centres():
    rise = np.linspace(120, 240, RATE)
    wave = np.sign(np.sin(2 * np.pi * np.cumsum(rise) / RATE)).astype(np.float32)
    found = pitch(wave, RATE, HOP)
    assert len(found) == RATE // HOP
    np.testing.assert_allclose(found[8:-8], rise[HOP // 2 :: HOP][8:-8], rtol=0.02)


def test_segments_get_the_mean_pitch_and_level_of_what_lies_in_them():
    clip = np.concatenate([buzz(110), np.zeros(RATE, np.float32), 0.5 * np.sign(buzz(200))])
    tones, levels = segment_prosody(clip, RATE, np.array([[0.1, 0.9], [1.1, 1.9], [2.1, 2.9]]))
    assert tones == pytest.approx([110, 0, 200], rel=0.01)
    assert levels[1:] == pytest.approx([-120, 20 * np.log10(0.5)], abs=0.01)
