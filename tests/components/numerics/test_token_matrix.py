import numpy as np
import pytest

from components.errors import InputError
from components.numerics.token_matrix import TokenMatrix, compose, identity, merging, pruning
from components.numerics.token_merging import bipartite_match

rng = np.random.default_rng(0)
KEYS = rng.standard_normal((17, 5))
TOKENS = rng.standard_normal((17, 9))


def steps():
    merged = merging(bipartite_match(KEYS, 5), np.ones(17))
    again = merging(bipartite_match(KEYS[:12], 4), merged.sizes)
    return {
        "prune": (pruning(np.array([7, 2, 11]), KEYS, np.ones(17)),),
        "merge": (merged,),
        "merge twice": (merged, again),
        "merge, then prune": (merged, pruning(np.array([0, 4]), KEYS[:12], merged.sizes)),
    }


@pytest.mark.parametrize("kind", steps())
def test_rows_sum_to_one_both_ways(kind):
    forward, back = compose(steps()[kind], 17)
    assert forward.dense().sum(axis=1) == pytest.approx(1)
    assert back.dense().sum(axis=1) == pytest.approx(1)
    assert forward.shape == back.shape[::-1]
    assert forward.dense()[0].tolist() == [1.0] + 16 * [0.0]
    assert back.dense()[0, 0] == 1
    assert not back.dense()[1:, 0].any()


def test_pruning_is_indexing():
    (step,) = steps()["prune"]
    assert np.array_equal(step.forward.apply(TOKENS), TOKENS[[0, 3, 8, 12]])
    assert step.forward.one_hot
    assert step.order == (8, 3, 12)


def test_merging_is_the_size_weighted_mean_and_keeps_the_mass():
    first, second = steps()["merge twice"]
    groups = bipartite_match(KEYS, 5)
    by_hand = np.stack([TOKENS[groups == g].mean(axis=0) for g in range(12)])
    assert np.abs(first.forward.apply(TOKENS) - by_hand).max() < 1e-12
    twice = second.forward.apply(by_hand)
    forward, _ = compose((first, second), 17)
    assert np.abs(forward.apply(TOKENS) - twice).max() < 1e-12
    # a token merged twice is the plain mean of all that it is made of, only because sizes weigh
    for row in forward.dense():
        assert row[row > 0] == pytest.approx(1 / (row > 0).sum())
    assert second.sizes.sum() == pytest.approx(17)
    assert second.sizes.tolist() == [(row > 0).sum() for row in forward.dense()]


def test_the_sparse_product_is_the_dense_one():
    first, second = steps()["merge, then prune"]
    forward, back = compose((first, second), 17)
    assert np.allclose(forward.dense(), second.forward.dense() @ first.forward.dense())
    assert np.allclose(back.dense(), first.back.dense() @ second.back.dense())
    assert np.allclose(forward.sparse().toarray(), forward.dense())


def test_a_dropped_token_is_filled_from_the_kept_patch_with_the_nearest_key():
    (step,) = steps()["prune"]
    unit = KEYS / np.linalg.norm(KEYS, axis=1, keepdims=True)
    kept = [3, 8, 12]
    for token in range(1, 17):
        expected = (
            kept.index(token) if token in kept else int(np.argmax([unit[token] @ unit[k] for k in kept]))
        )
        assert step.back.dense()[token].argmax() == 1 + expected


def test_keeping_everything_is_the_identity():
    step = pruning(np.arange(16), KEYS, np.ones(17))
    assert np.array_equal(step.forward.dense(), np.eye(17))
    assert np.array_equal(step.back.dense(), np.eye(17))
    assert np.array_equal(merging(np.arange(17), np.ones(17)).forward.dense(), np.eye(17))
    assert np.array_equal(identity(3).dense(), np.eye(3))


def test_the_strongest_column_of_a_row():
    step = merging(np.array([0, 1, 1, 2]), np.array([1.0, 1.0, 3.0, 1.0]))
    assert step.forward.strongest().tolist() == [0, 2, 3]


def test_keeping_nothing_is_refused():
    with pytest.raises(InputError, match="at least one"):
        pruning(np.array([], dtype=np.int64), KEYS, np.ones(17))


@pytest.mark.parametrize("seed", range(5))
def test_the_product_of_soft_matrices_is_the_dense_one(seed):
    random = np.random.default_rng(seed)

    def soft(rows, columns):
        full = random.random((rows, columns)) * (random.random((rows, columns)) < 0.4)
        full[np.arange(rows), random.integers(columns, size=rows)] += 0.5  # no row without an entry
        at = np.nonzero(full)
        return TokenMatrix(at[0], at[1], full[at], full.shape)

    first, second = soft(7, 11), soft(4, 7)
    product = second.after(first)
    assert np.allclose(product.dense(), second.dense() @ first.dense())
    assert (np.diff(product.rows) >= 0).all()
    assert len(set(zip(product.rows.tolist(), product.columns.tolist(), strict=True))) == len(product.rows)
