"""The linear segmentation against a literal retelling of its rules, and on features whose cuts are known."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.numerics.syllable_cuts import cut_syllables, segment_means


def cosine(a, b):
    return float(a @ b) / max(np.sqrt(float(a @ a)) * np.sqrt(float(b @ b)), 1e-12)


def swept(features, norm_threshold, merge_threshold):
    """Norm gate and greedy sweep, one frame at a time: the pieces, and the boundaries inside speech."""
    pieces, mids, opened = [], [], None
    for t, frame in enumerate(features):
        if np.sqrt(frame @ frame) < norm_threshold:
            if opened is not None:
                pieces.append([opened, t])
            opened = None
        elif opened is None:
            opened = t
        elif cosine(features[opened:t].mean(0), frame) < merge_threshold:
            pieces.append([opened, t])
            mids.append(t)
            opened = t
    if opened is not None:
        pieces.append([opened, len(features)])
    return pieces, mids


def literal(features, norm_threshold, merge_threshold):
    """The rules as they are told, every mean taken anew."""
    pieces, mids = swept(features, norm_threshold, merge_threshold)
    for b in mids:
        k = next(i for i, piece in enumerate(pieces) if piece[0] == b)
        (s, _), (_, e) = pieces[k - 1], pieces[k]
        left, right = features[s:b].mean(0), features[b:e].mean(0)
        if cosine(left, right) >= merge_threshold:
            pieces[k - 1 : k + 1] = [[s, e]]
            continue
        low, high = max(s, b - max(1, (b - s) // 2)), min(e, b + max(1, (e - b) // 2))

        def score(split, low=low, high=high, left=left, right=right):
            before = sum(cosine(left, features[t]) for t in range(low, split))
            return before + sum(cosine(right, features[t]) for t in range(split, high))

        best = max(range(low + 1, high), key=score)
        if score(best) > score(b) + 1e-9:
            pieces[k - 1], pieces[k] = [s, best], [best, e]
    return pieces


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(0, 90),
    st.integers(1, 5),
    st.floats(0.05, 0.98),
    st.floats(0.0, 2.0),
    st.floats(0.0, 1.0),
)
def test_equals_the_literal_rules(seed, frames, dim, merge, gate, inertia):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(frames, dim))
    for t in range(1, frames):  # neighbours resemble each other, or every segment would have one frame
        features[t] += inertia * 2 * features[t - 1]
    assert cut_syllables(features, gate, merge).bounds.tolist() == literal(features, gate, merge)


def test_piecewise_constant_features_give_their_own_bounds():
    rng = np.random.default_rng(3)
    truth, rows, at = [], [], 0
    for k in range(40):
        length = int(rng.integers(1, 40))
        vector = np.zeros(8)
        if k % 5:  # every fifth piece is silence
            vector[k % 8] = 3.0
            truth.append([at, at + length])
        rows += [vector] * length
        at += length
    assert cut_syllables(np.array(rows), 1.0, 0.8).bounds.tolist() == truth


def test_the_refinement_moves_a_late_boundary_back():
    # the second vector creeps in over two mixed frames that the running mean still accepts
    a, b = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    mixed = np.array([0.6, 0.8])
    features = np.array([a] * 6 + [mixed] * 2 + [b] * 6)
    greedy = cut_syllables(features, 0.1, 0.55)
    assert greedy.cosines[6] == pytest.approx(0.6)
    assert greedy.bounds.tolist() == [[0, 6], [6, 14]]


def test_the_refinement_merges_neighbours_whose_means_are_alike():
    # one frame 40 degrees off opens a segment, whose other frames lie at 10 degrees and pull its mean back
    angles = np.radians([0] * 5 + [40] + [10] * 20)
    features = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    cuts = cut_syllables(features, 0.1, 0.8)
    assert cuts.cosines[5] < 0.8 and cuts.cosines[0] == 1
    assert cuts.bounds.tolist() == [[0, 26]]


def test_speech_mask_gates_frames_besides_the_norm():
    features = np.ones((10, 2))
    mask = np.arange(10) >= 4
    assert cut_syllables(features, 0.1, 0.8, mask).bounds.tolist() == [[4, 10]]


def test_nothing_to_cut():
    assert cut_syllables(np.zeros((0, 4)), 0.5, 0.8).bounds.shape == (0, 2)
    assert cut_syllables(np.zeros((7, 4)), 0.5, 0.8).bounds.shape == (0, 2)


def test_segment_means_are_the_means():
    features = np.arange(12.0).reshape(6, 2)
    means = segment_means(features, np.array([[0, 2], [3, 6]]))
    np.testing.assert_allclose(means, [[1, 2], [8, 9]])
    assert segment_means(features, np.zeros((0, 2), np.int64)).shape == (0, 2)


def test_work_grows_in_proportion_to_length():
    rng = np.random.default_rng(0)
    syllables = np.repeat(rng.normal(size=(4000, 64)), 10, axis=0) + 0.3 * rng.normal(size=(40_000, 64))

    def seconds(frames):
        times = []
        for _ in range(3):
            start = time.process_time()
            cut_syllables(syllables[:frames], 0.5, 0.8)
            times.append(time.process_time() - start)
        return min(times)

    assert seconds(40_000) < 16 * seconds(5_000)  # 8 times as long; a quadratic pass would take 64 times
