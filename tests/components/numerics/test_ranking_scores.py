import warnings

import numpy as np
import pytest

from components.numerics.ranking_scores import (
    average_precision,
    ndcg,
    paired_bootstrap,
    recall,
    reciprocal_rank,
    spearman,
    top,
)


def made(seed, documents=60):
    rng = np.random.default_rng(seed)
    ids = [f"d{i}" for i in range(documents)]
    judged = {d: int(rng.integers(0, 4)) for d in rng.choice(ids, 12, replace=False)}
    judged[ids[0]] = 2
    ranked = list(rng.permutation(ids)[: rng.integers(1, documents)])
    return ranked, judged


def test_agrees_with_ranx():
    cases = {f"q{seed}": made(seed) for seed in range(8)}
    names = ["ndcg@10", "map", "recall@20", "mrr@10"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ranx import Qrels, Run, evaluate

        run = {
            q: {d: float(len(ranked) - i) for i, d in enumerate(ranked)} for q, (ranked, _) in cases.items()
        }
        theirs = evaluate(
            Qrels({q: judged for q, (_, judged) in cases.items()}), Run(run), names, return_mean=False
        )
    for i, query in enumerate(sorted(cases)):
        ranked, judged = cases[query]
        ours = [ndcg(ranked, judged), average_precision(ranked, judged)]
        ours += [recall(ranked, judged, 20), reciprocal_rank(ranked, judged)]
        assert ours == pytest.approx([theirs[name][i] for name in names]), query


def test_perfect_and_empty_rankings():
    judged = {"a": 3, "b": 1, "c": 0}
    assert ndcg(["a", "b", "c"], judged) == 1
    assert ndcg(["b", "a"], judged) < 1
    for score in (ndcg, average_precision, recall, reciprocal_rank):
        assert score([], judged) == 0
        assert score(["a"], {}) == 0
        assert score(["c"], {"c": 0}) == 0


def test_bootstrap_knows_a_sure_gain_from_noise():
    rng = np.random.default_rng(1)
    base = rng.random(200)
    gain, low, high = paired_bootstrap(base, base + 0.1)
    assert gain == pytest.approx(0.1) and low == pytest.approx(0.1) and high == pytest.approx(0.1)
    _, low, high = paired_bootstrap(base, base + rng.normal(0, 0.2, 200))
    assert low < 0 < high
    assert paired_bootstrap(base, base[::-1], seed=3) == paired_bootstrap(base, base[::-1], seed=3)


def test_top_breaks_ties_by_order():
    scores, order = np.array([1.0, 3.0, 1.0, 3.0, 0.0]), np.array([4, 3, 2, 1, 0])
    assert list(top(scores, order, 3)) == [3, 1, 2]
    assert list(top(scores, order, 9)) == [3, 1, 2, 0, 4]


def test_spearman_agrees_with_scipy():
    from scipy.stats import spearmanr

    rng = np.random.default_rng(2)
    first = rng.integers(0, 5, 40).astype(float)
    second = first + rng.normal(0, 2, 40)
    rho, low, high = spearman(first, second)
    assert rho == pytest.approx(spearmanr(first, second).statistic)
    assert low < rho < high
    assert spearman([1, 1, 1], [1, 2, 3])[0] == 0
