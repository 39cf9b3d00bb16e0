"""Peaks inside speech against a slow reference, and on curves worked out by hand."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.numerics.boundary_peaks import between_frames, peak_frames, runs, segments

CURVE = st.lists(st.integers(0, 9), min_size=1, max_size=60).map(lambda xs: np.array(xs) / 10)


def slow_peaks(curve, threshold, distance):
    """Take the highest local maximum, strike out all near it, and so on."""
    height = {}
    for i, value in enumerate(curve):
        left = curve[i - 1] if i else -1.0
        right = curve[i + 1] if i + 1 < len(curve) else -1.0
        if left < value >= right and value >= threshold:
            height[i] = value
    kept = []
    while height:
        best = min(height, key=lambda i: (-height[i], i))
        kept.append(best)
        height = {i: v for i, v in height.items() if abs(i - best) >= distance}
    return sorted(kept)


def slow_segments(boundary, speech, threshold, gap, pause):
    """Decode frame by frame, at one frame a second and no offset."""
    mask = [bool(s >= 0.5) for s in speech]
    for start in range(len(mask)):
        for end in range(start + 1, min(start + pause, len(mask))):
            if start > 0 and mask[start - 1] and mask[end] and not any(mask[start:end]):
                mask[start:end] = [True] * (end - start)
    peaks = between_frames(boundary, np.array(slow_peaks(boundary, threshold, gap), int))
    bounds, frame = [], 0
    while frame < len(mask):
        end = frame
        while end < len(mask) and mask[end]:
            end += 1
        if end - frame >= gap:
            edge = []
            for time in (frame - 0.5, end - 0.5):
                near = min(peaks, key=lambda p: abs(p - time), default=np.inf)
                edge.append(near if abs(near - time) <= pause / 2 else time)
            inner = [p for p in peaks if edge[0] + gap <= p + 1e-9 and p - 1e-9 < edge[1] - gap]
            cuts = [max(0.0, edge[0]), *inner, edge[1]]
            bounds += [[a, b] for a, b in pairwise(cuts) if b > a]
        frame = end + 1
    return np.array(bounds).reshape(-1, 2)


@given(CURVE, st.sampled_from([0.0, 0.35, 0.8]), st.integers(1, 6))
def test_peaks_equal_the_slow_reference(curve, threshold, distance):
    assert peak_frames(curve, threshold, distance).tolist() == slow_peaks(curve, threshold, distance)


@settings(max_examples=300)
@given(CURVE, st.randoms(use_true_random=False), st.integers(1, 4), st.integers(1, 5))
def test_segments_equal_the_slow_reference(boundary, random, gap, pause):
    speech = np.repeat([random.choice([0.1, 0.9]) for _ in range(20)], 3)[: len(boundary)]
    fast = segments(boundary, speech, 1.0, 0.0, threshold=0.35, distance=gap, shortest_pause=pause)
    np.testing.assert_allclose(fast, slow_segments(boundary, speech, 0.35, gap, pause), atol=1e-9)


@settings(max_examples=200)
@given(CURVE, st.randoms(use_true_random=False))
def test_segments_are_in_order_and_never_overlap(boundary, random):
    speech = np.array([random.choice([0.1, 0.9, 0.9]) for _ in boundary])
    bounds = segments(boundary, speech, 50.0, 0.01)
    assert (bounds[:, 1] > bounds[:, 0]).all()
    assert (bounds[1:, 0] >= bounds[:-1, 1] - 1e-9).all()
    assert (bounds >= 0).all()


def test_a_curve_worked_out_by_hand():
    speech, boundary = np.zeros(50), np.zeros(50)
    speech[10:40] = 1.0
    boundary[[10, 25, 39]] = 0.9  # frame 25 is centred at 0.51 s
    boundary[26] = 0.9  # the top of two equal frames lies between them
    bounds = segments(boundary, speech, 50.0, 0.01)
    np.testing.assert_allclose(bounds, [[0.21, 0.52], [0.52, 0.79]], atol=1e-9)


def test_silence_has_no_segments_and_runs_are_half_open():
    assert segments(np.ones(30), np.zeros(30), 50.0, 0.01).shape == (0, 2)
    assert runs(np.array([True, True, False, True])).tolist() == [[0, 2], [3, 4]]


@pytest.mark.parametrize(("pause", "count"), [(0.06, 2), (0.2, 1)])
def test_short_pauses_are_closed(pause, count):
    speech = np.ones(40)
    speech[18:23] = 0.0  # 100 ms
    assert len(segments(np.zeros(40), speech, 50.0, 0.01, shortest_pause=pause)) == count
