"""Valleys of curves whose valleys are known."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from components.numerics.sonority import loudness_syllables, valleys


def literal(level, dip):
    """A valley is the first minimum between two points that both lie `dip` above it, taken greedily."""
    found, start = [], 0
    while True:
        for end in range(start + 1, len(level) + 1):
            part = level[start:end]
            for v in range(len(part)):
                if max(part[: v + 1]) >= part[v] + dip and part[-1] >= part[v] + dip and v < len(part) - 1:
                    lows = [k for k in range(len(part)) if max(part[: k + 1]) >= part[k] + dip]
                    found.append(start + min(lows, key=lambda k: (part[k], k)))
                    break
            else:
                continue
            start = end - 1
            break
        else:
            return found


@given(st.lists(st.integers(0, 12), max_size=40), st.integers(1, 5))
def test_equals_the_literal_rule(level, dip):
    assert valleys(np.array(level, float), dip) == literal(level, dip)


def test_a_valley_shallower_than_the_dip_is_none():
    assert valleys(np.array([0, 5, 3.5, 5, 0]), 2.0) == []
    assert valleys(np.array([0, 5, 3.0, 5, 0]), 2.0) == [2]


def test_pulses_give_one_segment_each():
    t = np.arange(500)
    level = -20 + 15 * np.cos(2 * np.pi * (t - 25) / 50)  # ten pulses
    pieces = loudness_syllables(level, dip=3, silence=60, pause=5)
    assert len(pieces) == 10
    assert np.abs(np.diff(pieces[:, 0]) - 50).max() <= 1


def test_long_pauses_split_short_ones_do_not():
    level = np.full(100, -10.0)
    level[20:23] = -80
    level[60:80] = -80
    assert loudness_syllables(level, dip=90, silence=30, pause=10).tolist() == [[0, 60], [80, 100]]


def test_silence_has_no_syllables():
    assert loudness_syllables(np.full(50, -120.0), 2, 25, 10).shape == (0, 2)
    assert loudness_syllables(np.zeros(0), 2, 25, 10).shape == (0, 2)
