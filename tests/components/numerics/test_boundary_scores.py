"""Boundary scores against hand-worked cases and against every possible matching."""

from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.numerics.boundary_scores import BoundaryScores, edges, hits, score

GRID = st.lists(st.integers(0, 60), max_size=6).map(lambda xs: np.array(xs, float) * 0.02)


def brute_hits(reference: np.ndarray, predicted: np.ndarray, tolerance: float) -> int:
    """Try all one-to-one assignments."""
    few, many = sorted((list(reference), list(predicted)), key=len)
    for size in range(len(few), 0, -1):
        for chosen in combinations(few, size):
            for partner in permutations(many, size):
                if all(abs(a - b) <= tolerance + 1e-9 for a, b in zip(chosen, partner, strict=True)):
                    return size
    return 0


@given(GRID, GRID, st.sampled_from([0.0, 0.02, 0.05, 0.11]))
def test_hits_equal_the_best_of_all_matchings(reference, predicted, tolerance):
    assert hits(reference, predicted, tolerance) == brute_hits(reference, predicted, tolerance)


def test_one_prediction_serves_one_reference_only():
    found = score(np.array([1.00, 1.04]), np.array([1.02]), 0.05)
    assert (found.hits, found.recall, found.precision) == (1, 0.5, 1.0)


def test_the_tolerance_itself_is_a_hit():
    assert hits(np.array([1.0]), np.array([1.05]), 0.05) == 1
    assert hits(np.array([1.0]), np.array([1.0501]), 0.05) == 0


def test_hand_worked_scores():
    # 3 of 4 references met by 5 predictions: P 3/5, R 3/4, F1 6/9; OS = 1/4,
    # r1 = hypot(1/4, 1/4) = 0.35355, r2 = (0.75 - 1 - 0.25) / sqrt 2 = -0.35355, R-value = 1 - 0.35355
    found = score(np.array([0.1, 0.5, 0.9, 1.3]), np.array([0.11, 0.3, 0.52, 0.7, 1.28]))
    assert (found.precision, found.recall) == (0.6, 0.75)
    assert found.f1 == pytest.approx(2 / 3)
    assert found.r_value == pytest.approx(1 - 0.5 / np.sqrt(2))


def test_perfect_is_one_and_twice_as_many_is_punished():
    reference = np.arange(10) * 0.3
    assert score(reference, reference).r_value == pytest.approx(1.0)
    # P 1/2, R 1: OS = 1, r1 = 1, r2 = -1 / sqrt 2, R-value = 1 - (1 + 0.7071) / 2
    doubled = np.sort(np.concatenate([reference, reference + 0.15]))
    assert score(reference, doubled).r_value == pytest.approx(1 - (1 + np.sqrt(0.5)) / 2)


def test_shift_is_added_to_the_prediction():
    assert score(np.array([1.0]), np.array([1.1]), shift=-0.1).hits == 1
    assert score(np.array([1.0]), np.array([1.1]), shift=0.1).hits == 0


def test_counts_of_clips_add_up():
    assert BoundaryScores(1, 2, 3) + BoundaryScores(4, 5, 6) == BoundaryScores(5, 7, 9)


def test_nothing_predicted_or_nothing_to_find_scores_zero():
    for found in (score(np.array([1.0]), np.array([])), score(np.array([]), np.array([1.0]))):
        assert (found.f1, found.r_value, found.precision * found.recall) == (0.0, 0.0, 0.0)


def test_edges_of_touching_segments_count_once():
    assert edges(np.array([[0.1, 0.3], [0.3, 0.5], [0.7, 0.9]])).tolist() == [0.1, 0.3, 0.5, 0.7, 0.9]
