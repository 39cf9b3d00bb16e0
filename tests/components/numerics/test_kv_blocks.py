import math

import numpy as np
import pytest

from components.errors import InputError
from components.numerics import kv_blocks


@pytest.fixture
def queries():
    return np.random.default_rng(0).standard_normal((2, 5, 3)).astype(np.float32)


@pytest.fixture
def keys():
    return np.random.default_rng(1).standard_normal((2, 14, 3)).astype(np.float32)


def bias_by_hand(queries):
    found = []
    for i in range(queries.shape[1]):
        total = 0.0
        for head in queries.astype(float):
            mean = sum(head[j] for j in range(len(head))) / len(head)
            total += sum((head[i][c] - mean[c]) ** 2 for c in range(len(mean)))
        found.append(math.sqrt(total))
    return found


def test_activation_bias_is_its_definition(queries):
    assert kv_blocks.activation_bias(queries) == pytest.approx(bias_by_hand(queries))


@pytest.mark.parametrize("power", [1.0, 2.0, 3.5])
def test_the_probe_is_the_weighted_mean(queries, power):
    weights = [b**power for b in bias_by_hand(queries)]
    probe = kv_blocks.activation_probe(queries, power)
    for head in range(2):
        for channel in range(3):
            by_hand = sum(w * float(queries[head, i, channel]) for i, w in enumerate(weights)) / sum(weights)
            assert probe[head, channel] == pytest.approx(by_hand, abs=1e-6)


def test_power_none_is_the_mean_and_much_is_the_one_that_stands_out(queries):
    assert np.allclose(kv_blocks.activation_probe(queries, 0.0), kv_blocks.mean_probe(queries))
    assert np.allclose(kv_blocks.mean_probe(queries), queries.mean(1))
    first = int(np.argmax(bias_by_hand(queries)))
    assert np.allclose(kv_blocks.activation_probe(queries, 1e5), queries[:, first], atol=1e-5)


def test_the_last_probe_is_the_last_query(queries):
    assert np.array_equal(kv_blocks.last_probe(queries), queries[:, -1])


def test_equal_queries_have_the_mean_as_probe(queries):
    for window in (1, 4, 7):
        same = np.repeat(queries[:, :1], window, axis=1) / 3
        assert np.allclose(kv_blocks.activation_probe(same), same[:, 0])


@pytest.mark.parametrize("by", ["mean", "max"])
@pytest.mark.parametrize("size", [1, 4, 6, 20])
def test_block_scores_are_their_definition(queries, keys, by, size):
    probe = queries[:, 0]
    by_hand = []
    for start in range(0, 14, size):
        block = range(start, min(14, start + size))
        products = [sum(float(probe[h] @ keys[h, t]) for h in range(2)) for t in block]
        by_hand.append(max(products) if by == "max" else sum(products) / len(products))
    assert kv_blocks.block_scores(probe, keys, size, by) == pytest.approx(by_hand, abs=1e-5)


def test_the_best_blocks_are_kept_in_order():
    scores = np.array([0.1, 3.0, 2.0, 3.0, -1.0])
    assert kv_blocks.kept(scores, 3).tolist() == [1, 2, 3]
    assert kv_blocks.kept(scores, 1).tolist() == [1]
    assert kv_blocks.kept(scores, 0).tolist() == [1]
    assert kv_blocks.kept(scores, 9).tolist() == [0, 1, 2, 3, 4]


def test_recent_and_random_blocks():
    assert kv_blocks.recent(10, 3).tolist() == [7, 8, 9]
    assert kv_blocks.recent(2, 3).tolist() == [0, 1]
    drawn = [kv_blocks.at_random(10, 3, s) for s in range(600)]
    assert all(len(set(d.tolist())) == 3 and (np.diff(d) > 0).all() for d in drawn)
    assert np.bincount(np.concatenate(drawn), minlength=10).min() > 120  # 180 expected
    assert np.array_equal(kv_blocks.at_random(10, 3, 5), drawn[5])


def test_tokens_of_blocks_stop_at_the_end():
    assert kv_blocks.tokens_of(np.array([0, 2]), 6, 14).tolist() == [0, 1, 2, 3, 4, 5, 12, 13]


def test_density_is_the_entropy_of_the_scores():
    assert kv_blocks.information_density(np.zeros(8)) == pytest.approx(3)
    assert kv_blocks.information_density(np.array([1000.0, 0, 0])) == pytest.approx(0)
    scores = np.random.default_rng(2).standard_normal(6)
    p = [math.exp(s) for s in scores]
    by_hand = -sum(x / sum(p) * math.log2(x / sum(p)) for x in p)
    assert kv_blocks.information_density(scores) == pytest.approx(by_hand)


def test_budgets_add_up_and_follow_density():
    assert kv_blocks.layer_budgets(np.array([1.0, 3.0]), 10).tolist() == [3, 7]
    assert kv_blocks.layer_budgets(np.array([0.0, 0.0, 0.0]), 8).tolist() == [3, 3, 2]
    for seed in range(20):
        densities = np.random.default_rng(seed).random(5)
        budgets = kv_blocks.layer_budgets(densities, 23, 2)
        assert budgets.sum() == 23
        assert budgets.min() >= 2
        shares = 2 + 13 * densities / densities.sum()
        assert np.abs(budgets - shares).max() < 1


def test_what_does_not_fit_is_refused(keys):
    with pytest.raises(InputError, match="blocks of 0"):
        kv_blocks.block_scores(keys[:, 0], keys, 0)
    with pytest.raises(InputError, match="0 keys"):
        kv_blocks.block_scores(keys[:, 0], keys[:, :0], 4)
    with pytest.raises(InputError, match="median"):
        kv_blocks.block_scores(keys[:, 0], keys, 4, "median")
    with pytest.raises(InputError, match="too few"):
        kv_blocks.layer_budgets(np.ones(4), 3)
