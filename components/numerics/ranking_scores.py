"""How good a ranking is against graded judgements (as trec_eval counts), and which of two is better."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Judged = Mapping[str, int]


def ndcg(ranked: Sequence[str], judged: Judged, k: int = 10) -> float:
    """Return nDCG@k, linear gain: Σ grade / log2(rank + 1) over that of the ideal order; 0 if none."""
    ideal = _discounted(sorted((g for g in judged.values() if g > 0), reverse=True)[:k])
    return _discounted([max(judged.get(d, 0), 0) for d in ranked[:k]]) / ideal if ideal else 0.0


def average_precision(ranked: Sequence[str], judged: Judged) -> float:
    """Return the mean of the precision at each relevant document's rank; one that is not ranked counts 0."""
    relevant = _relevant(judged)
    hits, total = 0, 0.0
    for rank, document in enumerate(ranked, start=1):
        if document in relevant:
            hits += 1
            total += hits / rank
    return total / len(relevant) if relevant else 0.0


def recall(ranked: Sequence[str], judged: Judged, k: int = 100) -> float:
    """Return the share of the relevant documents among the first `k`."""
    relevant = _relevant(judged)
    return len(relevant.intersection(ranked[:k])) / len(relevant) if relevant else 0.0


def reciprocal_rank(ranked: Sequence[str], judged: Judged, k: int = 10) -> float:
    """Return 1 / rank of the first relevant document, 0 if none is among the first `k`."""
    relevant = _relevant(judged)
    return next((1 / rank for rank, d in enumerate(ranked[:k], start=1) if d in relevant), 0.0)


def paired_bootstrap(
    first: Sequence[float], second: Sequence[float], samples: int = 2000, seed: int = 0
) -> tuple[float, float, float]:
    """Return the mean of second − first over paired queries and its 95 % bootstrap interval."""
    gains = np.asarray(second, dtype=float) - np.asarray(first, dtype=float)
    draws = np.random.default_rng(seed).integers(0, len(gains), (samples, len(gains)))
    low, high = np.quantile(gains[draws].mean(axis=1), [0.025, 0.975])
    return float(gains.mean()), float(low), float(high)


def top(scores: NDArray[np.floating], order: NDArray[np.int64], k: int) -> NDArray[np.int64]:
    """Return the positions of the `k` largest of `scores` (n,), ties by `order` (n,), the smallest first."""
    if k < len(scores):  # sort only what can be among the first k, all that tie with the k-th included
        border = np.partition(scores, len(scores) - k)[len(scores) - k]
        near = np.flatnonzero(scores >= border)
    else:
        near = np.arange(len(scores))
    best: NDArray[np.int64] = near[np.lexsort((order[near], -scores[near]))][:k]
    return best


def _relevant(judged: Judged) -> set[str]:
    return {document for document, grade in judged.items() if grade > 0}


def _discounted(gains: Sequence[int]) -> float:
    return float(sum(gain / np.log2(rank + 1) for rank, gain in enumerate(gains, start=1)))


def spearman(
    first: Sequence[float], second: Sequence[float], samples: int = 2000, seed: int = 0
) -> tuple[float, float, float]:
    """Return the rank correlation of pairs, ties by mean rank, and its 95 % bootstrap interval."""
    pairs = np.column_stack([_ranks(first), _ranks(second)])
    draws = np.random.default_rng(seed).integers(0, len(pairs), (samples, len(pairs)))
    found = [_correlation(pairs[draw]) for draw in draws]
    low, high = np.quantile(found, [0.025, 0.975])
    return _correlation(pairs), float(low), float(high)


def _ranks(values: Sequence[float]) -> NDArray[np.float64]:
    _, place, counts = np.unique(np.asarray(values, dtype=float), return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks: NDArray[np.float64] = ((ends - counts + 1 + ends) / 2)[place]
    return ranks


def _correlation(pairs: NDArray[np.float64]) -> float:
    centred = pairs - pairs.mean(axis=0)
    norm = float(np.sqrt((centred**2).sum(axis=0).prod()))
    return float(centred.prod(axis=1).sum() / norm) if norm else 0.0
