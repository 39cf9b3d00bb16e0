import numpy as np
import pytest
from sklearn.decomposition import PCA

from components.numerics.projection import MapPoints, nearest, pca, umap


def test_pca_equals_scikit_learn_up_to_sign():
    vectors = np.random.default_rng(1).normal(size=(60, 12)) * np.arange(1, 13)
    expected = PCA(2, svd_solver="full").fit_transform(vectors)
    found = pca(vectors)
    assert np.allclose(np.abs(found), np.abs(expected), atol=1e-8)


def test_pca_does_not_depend_on_the_order_of_rows():
    vectors = np.random.default_rng(2).normal(size=(40, 7))
    order = np.random.default_rng(3).permutation(40)
    assert np.allclose(pca(vectors)[order], pca(vectors[order]), atol=1e-9)


@pytest.mark.parametrize("shape", [(0, 4), (1, 4), (3, 1), (5, 0)])
def test_pca_of_next_to_nothing(shape):
    assert pca(np.ones(shape)).shape == (shape[0], 2)
    assert np.isfinite(pca(np.ones(shape))).all()


def test_nearest_equals_brute_force():
    vectors = np.random.default_rng(4).normal(size=(30, 5))
    for i in range(30):
        cosines = [float(v @ vectors[i] / np.linalg.norm(v) / np.linalg.norm(vectors[i])) for v in vectors]
        expected = sorted((j for j in range(30) if j != i), key=lambda j: -cosines[j])[:4]
        assert [j for j, _ in nearest(vectors, i, 4)] == expected


def test_nearest_with_a_zero_vector_is_finite():
    assert all(np.isfinite(c) for _, c in nearest(np.array([[0.0, 0.0], [1.0, 0.0]]), 0))


def test_umap_keeps_clusters_together_and_repeats():
    rng = np.random.default_rng(5)
    centres = rng.normal(size=(3, 10)) * 10
    truth = np.repeat(np.arange(3), 20)
    vectors = centres[truth] + rng.normal(size=(60, 10))
    points = umap(vectors, seed=7)
    assert np.array_equal(points, umap(vectors, seed=7))
    for i in range(60):
        distances = np.linalg.norm(points - points[i], axis=1)
        assert (truth[np.argsort(distances)[1:6]] == truth[i]).mean() > 0.5


def test_columns_of_different_length_are_a_bug():
    with pytest.raises(ValueError, match="differ in length"):
        MapPoints(("a",), np.ones((2, 2)), ("a", "b"), (0, 0), ("m",))
    with pytest.raises(ValueError, match="unique"):
        MapPoints(("a", "a"), np.ones((2, 2)), ("a", "b"), (0, 0), ("m",))
