"""Which tokens to keep: rules that return indices in the order of choice.

Vectors are (tokens, width); similarity is the cosine. Ties go to the lower index, so every rule is
deterministic. The greedy rules cost O(k · tokens · width): a step compares all tokens with the newest choice
alone.
"""

import numpy as np
from numpy.typing import NDArray

from components.errors import InputError

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


def at_random(tokens: int, k: int, seed: int) -> Indices:
    """Return `k` of `tokens` indices, each set equally likely."""
    _refuse(tokens, k)
    return np.random.default_rng(seed).permutation(tokens)[:k].astype(np.int64)


def by_attention(attention: NDArray[np.floating], k: int) -> Indices:
    """Return the `k` tokens with the largest attention (tokens,), the largest first."""
    _refuse(len(attention), k)
    return np.argsort(-attention, kind="stable")[:k].astype(np.int64)


def k_center(vectors: NDArray[np.floating], k: int, pivot: int) -> Indices:
    """Greedy max-min (ToDRE v1): next is the token farthest from its nearest chosen one (1 − cosine)."""
    return _greedy(vectors, k, pivot, np.maximum, -np.inf)


def max_sum(vectors: NDArray[np.floating], k: int, pivot: int) -> Indices:
    """Greedy max-sum (ToDRE v2): next is the token with the least sum of cosines to all chosen ones."""
    return _greedy(vectors, k, pivot, np.add, 0.0)


def _greedy(vectors: NDArray[np.floating], k: int, pivot: int, gather: np.ufunc, start: float) -> Indices:
    """Choose by the least closeness, where `gather` joins the closeness to each chosen token into one number.

    The nearest chosen token has the largest cosine, so max-min is the least maximum of cosines.
    """
    _refuse(len(vectors), k)
    if not 0 <= pivot < len(vectors):
        raise InputError(f"The pivot is {pivot}; give one of the {len(vectors)} tokens, counted from 0.")
    unit = unit_rows(vectors)
    closeness = np.full(len(unit), start)
    free = np.ones(len(unit), dtype=np.bool_)
    chosen = np.empty(k, dtype=np.int64)
    newest = pivot
    for step in range(k):
        chosen[step], free[newest] = newest, False
        gather(closeness, unit @ unit[newest], out=closeness)
        if step + 1 < k:
            newest = int(np.argmin(np.where(free, closeness, np.inf)))
    return chosen


def unit_rows(vectors: NDArray[np.floating]) -> Floats:
    """Return rows of length one (tokens, width); a zero row stays zero and is similar to nothing."""
    rows = np.asarray(vectors, dtype=np.float64)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: Floats = rows / np.where(length > 0, length, 1.0)
    return unit


def cover_radius(vectors: NDArray[np.floating], kept: Indices) -> float:
    """Return the largest distance (1 − cosine) of any token from its nearest kept one."""
    unit = unit_rows(vectors)
    return float((1 - (unit @ unit[kept].T).max(axis=1)).max())


def _refuse(tokens: int, k: int) -> None:
    if not 1 <= k <= tokens:
        raise InputError(f"{k} tokens were asked for; there are {tokens}: keep at least one and at most all.")
