import itertools

import numpy as np
import pytest

from components.numerics import late_interaction
from components.numerics.late_interaction import best_matches, max_sim, max_sim_of


def made(lengths, dim=6, seed=0):
    rng = np.random.default_rng(seed)
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    query = rng.normal(size=(5, dim)).astype(np.float32)
    return query, rng.normal(size=(starts[-1], dim)).astype(np.float32), starts


def by_loops(query, states, starts):
    scores = []
    for a, b in itertools.pairwise(starts):
        scores.append(sum(max((float(q @ d) for d in states[a:b]), default=0.0) for q in query))
    return scores


@pytest.mark.parametrize("lengths", [[1], [3, 1, 7, 2], [0, 2, 0, 0, 3, 0], [0, 0], [40] * 30])
@pytest.mark.parametrize("block", [1 << 22, 35])
def test_equals_the_double_loop(lengths, block, monkeypatch):
    monkeypatch.setattr(late_interaction, "BLOCK", block)
    query, states, starts = made(lengths)
    expected = by_loops(query, states, starts)
    np.testing.assert_allclose(max_sim(query, states, starts), expected, rtol=1e-5, atol=1e-5)


def test_chosen_documents_score_as_among_all():
    query, states, starts = made([3, 1, 7, 2])
    chosen = np.array([3, 0])
    np.testing.assert_allclose(
        max_sim_of(query, states, starts, chosen), max_sim(query, states, starts)[chosen], rtol=1e-6
    )


def test_an_empty_query_scores_nothing():
    _, states, starts = made([3, 1])
    np.testing.assert_array_equal(max_sim(states[:0], states, starts), [0, 0])


def test_best_matches_sum_to_the_score():
    query, states, starts = made([9])
    best, similarity = best_matches(query @ states.T)
    np.testing.assert_allclose(similarity.sum(), max_sim(query, states, starts)[0], rtol=1e-5)
    np.testing.assert_allclose(similarity, np.einsum("qd,qd->q", query, states[best]), rtol=1e-5)
