"""Fusion of rankings."""

from collections.abc import Hashable, Sequence
from typing import TypeVar

K = TypeVar("K", bound=Hashable)


def reciprocal_rank_fusion(rankings: Sequence[Sequence[K]], k: float = 60.0) -> dict[K, float]:
    """Return Σ 1/(k + rank) over the rankings in which an item stands, ranks from 1 (Cormack et al. 2009).

    An item that a ranking lacks gets nothing from it; an item that stands twice in a ranking counts at its
    first place.
    """
    scores: dict[K, float] = {}
    for ranking in rankings:
        for rank, item in enumerate(dict.fromkeys(ranking), start=1):
            scores[item] = scores.get(item, 0.0) + 1.0 / (k + rank)
    return scores
