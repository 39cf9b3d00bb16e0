"""Energy valleys on sounds whose syllables are known."""

import numpy as np
import pytest

from components.errors import InputError
from components.models import ModelStore
from components.speech import RATE, Clip
from components.speech.energy_valleys import EnergyValleys

MODELS = ModelStore()


def pulses(count, seconds=0.25, hush=0.5):
    """Vowel-like pulses of 500 Hz, each rising and falling once, between two stretches of silence."""
    t = np.arange(int(count * seconds * RATE)) / RATE
    sound = np.sin(np.pi * t / seconds) ** 2 * np.sin(2 * np.pi * 500 * t)
    gap = np.zeros(int(hush * RATE))
    return Clip(np.concatenate([gap, 0.5 * sound, gap]).astype(np.float32))


@pytest.mark.parametrize("count", [1, 2, 7, 20])
def test_a_train_of_pulses_gives_one_segment_each(count):
    found = EnergyValleys()(pulses(count), MODELS)
    assert len(found.bounds) == count
    inner = found.bounds[1:, 0]
    np.testing.assert_allclose(inner, 0.5 + 0.25 * np.arange(1, count), atol=0.015)
    assert found.embeddings.shape == (count, 40)
    assert found.bounds[0, 0] == pytest.approx(0.5, abs=0.08)


def test_the_threshold_drawn_is_the_one_that_gates():
    found = EnergyValleys(silence=20)(pulses(3), MODELS)
    level = found.traces[0]
    loud = level.values >= level.threshold
    times = np.arange(len(loud)) / found.rate + found.offset
    inside = (times >= found.bounds[0, 0]) & (times < found.bounds[-1, 1])
    assert loud[inside].mean() > 0.9 and not loud[~inside].any()


def test_a_deeper_dip_gives_fewer_segments():
    clip = pulses(6)
    noisy = clip.samples * (1 + 0.3 * np.sin(2 * np.pi * 22 * np.arange(len(clip.samples)) / RATE))
    counts = [
        len(EnergyValleys(dip=dip, smoothing=20)(Clip(noisy.astype(np.float32)), MODELS).bounds)
        for dip in (0.5, 4.0, 12.0)
    ]
    assert counts == sorted(counts, reverse=True) and counts[0] > counts[-1] >= 6


def test_silence_and_a_constant_have_no_syllables():
    for samples in (np.zeros(RATE), np.full(RATE, 0.5)):
        found = EnergyValleys()(Clip(samples.astype(np.float32)), MODELS)
        assert len(found.bounds) <= 2  # the constant's switching on and off is a click
    assert len(EnergyValleys()(Clip(np.zeros(1600, np.float32)), MODELS).bounds) == 0


def test_refuses_knobs_out_of_range():
    with pytest.raises(InputError, match="dip=99 is out of range"):
        EnergyValleys(dip=99)


def test_claim():
    finding = EnergyValleys.check(MODELS)
    assert finding.holds, finding.measured
