"""MaxSim, the score of late interaction (ColBERT, Khattab and Zaharia 2020, equation 3)."""

import numpy as np
from numpy.typing import NDArray

BLOCK = 1 << 22  # similarities held at a time: 16 MiB of float32

Matrix = NDArray[np.float32]


def max_sim(query: Matrix, states: Matrix, starts: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the score (documents,) of each document: the sum over query tokens of their best similarity.

    `query` (query tokens, dim) and `states` (all document tokens, dim) are L2-normalised; document j owns
    the rows `starts[j]` to `starts[j + 1]` of `states`. A document without tokens scores 0.
    """
    scores = np.zeros(len(starts) - 1, dtype=np.float32)
    filled = np.flatnonzero(np.diff(starts) > 0)
    if len(filled) == 0 or len(query) == 0:
        return scores
    for group in _groups(starts, filled, max(1, BLOCK // len(query))):
        first, last = starts[group[0]], starts[group[-1] + 1]
        similarity = query @ states[first:last].T
        scores[group] = np.maximum.reduceat(similarity, starts[group] - first, axis=1).sum(axis=0)
    return scores


def max_sim_of(
    query: Matrix, states: Matrix, starts: NDArray[np.int64], chosen: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return the scores (chosen,) of the documents `chosen` only, as `max_sim` has them."""
    rows = [states[starts[j] : starts[j + 1]] for j in chosen]
    own = np.concatenate([[0], np.cumsum([len(r) for r in rows])]).astype(np.int64)
    return max_sim(query, np.concatenate(rows) if rows else states[:0], own)


def _groups(starts: NDArray[np.int64], filled: NDArray[np.int64], rows: int) -> list[NDArray[np.int64]]:
    """Cut the documents `filled` into runs of about `rows` token rows; empty ones between take no room."""
    block = starts[filled] // rows
    return np.split(filled, np.flatnonzero(np.diff(block)) + 1)


def best_matches(similarity: Matrix) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return each query token's best document token and that similarity, both (query tokens,).

    `similarity` is (query tokens, document tokens); the first of equals is taken, and the similarities sum
    to MaxSim.
    """
    best = similarity.argmax(axis=1)
    return best, similarity[np.arange(len(similarity)), best]
