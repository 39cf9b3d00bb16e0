"""The lab measures what it says: slopes of known times, and the claim itself."""

import numpy as np
import pytest

from components.speech import Clip
from components.speech.labs import linear_time
from components.speech.labs.linear_time import LinearTime, slope


def test_slope_of_known_powers():
    lengths = np.array([5.0, 10, 20, 40])
    assert slope(lengths, 0.3 * lengths) == pytest.approx(1)
    assert slope(lengths, 2 * lengths**2) == pytest.approx(2)


def test_panels_hold_one_line_a_stage(random_models, monkeypatch):
    monkeypatch.setattr(linear_time, "LENGTHS", (1.0, 2.0, 21.0))
    clip = Clip(np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32))
    curves, bars, table = LinearTime(repeats=1)(clip, random_models)
    assert set(curves.lines) == set(bars.values) == {"encoder", "linear pass", "min-cut"}
    assert curves.lines["linear pass"][0].tolist() == [1.0, 2.0, 21.0]
    assert curves.lines["min-cut"][0].tolist() == [1.0, 2.0]
    assert all(times.min() > 0 for _, times in curves.lines.values())
    assert [row[0] for row in table.rows] == list(curves.lines)


def test_claim(models):
    finding = LinearTime.check(models)
    assert finding.holds, finding.measured
