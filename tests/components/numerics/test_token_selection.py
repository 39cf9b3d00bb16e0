import numpy as np
import pytest

from components.errors import InputError
from components.numerics import token_selection as ts


def cosines(x):
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    return unit @ unit.T


def greedy_by_definition(x, k, pivot, score):
    """Recompute every candidate's score against the whole chosen set at every step."""
    near = cosines(x)
    chosen = [pivot]
    while len(chosen) < k:
        free = [v for v in range(len(x)) if v not in chosen]
        chosen.append(max(free, key=lambda v: (score([1 - near[v, c] for c in chosen]), -v)))
    return chosen


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("rule", "score"), [(ts.k_center, min), (ts.max_sum, sum)])
def test_the_greedy_rules_are_their_definitions(rule, score, seed):
    x = np.random.default_rng(seed).standard_normal((40, 7))
    assert rule(x, 12, seed).tolist() == greedy_by_definition(x, 12, seed, score)


def test_k_center_covers_and_max_sum_clumps():
    """Of two far clusters and a middle one max-sum takes the extremes, k-center the middle third."""
    angles = np.concatenate([np.full(5, 0.0), np.full(5, np.pi), np.full(5, np.pi / 2)])
    x = np.stack([np.cos(angles), np.sin(angles)], axis=1) + 1e-3 * np.arange(15)[:, None]
    assert ts.k_center(x, 3, 0)[2] >= 10
    assert ts.cover_radius(x, ts.k_center(x, 3, 0)) < 0.01
    assert ts.max_sum(x, 4, 0).max() < 10


def test_identical_tokens_are_chosen_once_each():
    x = np.ones((6, 3))
    for rule in (ts.k_center, ts.max_sum):
        assert sorted(rule(x, 6, 2).tolist()) == [0, 1, 2, 3, 4, 5]
    assert sorted(ts.k_center(np.zeros((4, 2)), 4, 0).tolist()) == [0, 1, 2, 3]


def test_attention_takes_the_largest_first_and_the_lower_index_at_a_tie():
    assert ts.by_attention(np.array([0.1, 0.4, 0.4, 0.05, 0.2]), 4).tolist() == [1, 2, 4, 0]


def test_random_repeats_with_its_seed_and_every_token_is_equally_likely():
    assert ts.at_random(50, 9, 3).tolist() == ts.at_random(50, 9, 3).tolist()
    counts = np.bincount(np.concatenate([ts.at_random(10, 3, s) for s in range(3000)]), minlength=10)
    assert np.abs(counts / 900 - 1).max() < 0.15


@pytest.mark.parametrize("k", [0, 11])
def test_too_few_or_too_many_are_refused(k):
    with pytest.raises(InputError, match="at least one"):
        ts.at_random(10, k, 0)
    with pytest.raises(InputError, match="at least one"):
        ts.k_center(np.ones((10, 2)), k, 0)


def test_a_pivot_that_is_no_token_is_refused():
    with pytest.raises(InputError, match="pivot"):
        ts.max_sum(np.ones((3, 2)), 2, 3)
