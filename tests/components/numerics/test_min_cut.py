"""The search against trying every segmentation, and on frames whose pieces are known."""

from itertools import combinations

import numpy as np
import pytest

from components.numerics.min_cut import min_cut


def cost(features, bounds):
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    graph = np.maximum(unit @ unit.T, 0)
    return sum(1 - graph[a:b, a:b].sum() / graph[a:b].sum() for a, b in bounds)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("pieces", [1, 2, 4])
def test_no_segmentation_is_cheaper(seed, pieces):
    features = np.random.default_rng(seed).normal(size=(11, 3)).cumsum(axis=0)
    found = min_cut(features, pieces)
    ways = combinations(range(1, 11), pieces - 1)
    all_bounds = [list(zip((0, *way), (*way, 11), strict=True)) for way in ways]
    assert cost(features, found) == pytest.approx(min(cost(features, bounds) for bounds in all_bounds))


def test_piecewise_constant_frames_give_their_own_pieces():
    features = np.repeat(np.eye(5), [7, 12, 3, 20, 9], axis=0)
    assert min_cut(features, 5)[:, 1].tolist() == [7, 19, 22, 42, 51]


def test_pieces_are_no_longer_than_asked():
    bounds = min_cut(np.ones((100, 2)), 2, longest=30)
    assert np.diff(bounds, axis=1).max() <= 30 and bounds[0, 0] == 0 and bounds[-1, 1] == 100


def test_nothing_and_more_pieces_than_frames():
    assert min_cut(np.zeros((0, 3)), 4).shape == (0, 2)
    assert min_cut(np.zeros((3, 3)), 9).tolist() == [[0, 1], [1, 2], [2, 3]]
