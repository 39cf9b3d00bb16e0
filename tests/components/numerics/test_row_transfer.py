"""Training-free rows for new tokens, by hand and against scikit-learn's ridge regression."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from components.errors import InputError
from components.numerics.row_transfer import mean_row, neighbour_means, piece_means, ridge_map


def test_means_of_all_and_of_pieces():
    base = np.arange(12.0).reshape(4, 3)
    assert mean_row(base, 2).tolist() == [[4.5, 5.5, 6.5]] * 2
    rows = piece_means(base, np.array([[1, -1, -1], [0, 3, -1], [2, 2, 0]]))
    assert rows.tolist() == [[3, 4, 5], [4.5, 5.5, 6.5], [4, 5, 6]]
    with pytest.raises(InputError, match="no pieces"):
        piece_means(base, np.array([[0], [-1]]))


def test_neighbours_by_hand():
    shared, base = np.array([[1.0, 0], [0, 2], [-1, 0]]), np.array([[10.0], [20], [40]])
    donor = np.array([[3.0, 4.0]])  # cosines .6, .8, -.6
    weights = np.exp(np.array([0.6, 0.8]) / 0.1)
    expected = (weights * [10, 20]).sum() / weights.sum()
    assert neighbour_means(shared, base, donor, 2)[0, 0] == pytest.approx(expected)
    assert neighbour_means(shared, base, donor, 1)[0, 0] == 20
    assert neighbour_means(shared, base, donor, 99)[0, 0] == pytest.approx(expected, rel=1e-3)


def test_ridge_equals_scikit_learn_and_finds_a_linear_map():
    random = np.random.default_rng(1)
    x, new = random.normal(size=(50, 8)) * 3, random.normal(size=(5, 8))
    y = random.normal(size=(50, 6))
    penalty = 2.5 * ((x - x.mean(0)) ** 2).mean()
    assert np.allclose(ridge_map(x, y, new, 2.5), Ridge(alpha=penalty).fit(x, y).predict(new))
    turn = random.normal(size=(8, 6))
    assert np.allclose(ridge_map(x, x @ turn + 1, new, 1e-9), new @ turn + 1, atol=1e-5)
