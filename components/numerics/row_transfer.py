"""Training-free rows for tokens that a model has never had: mean, pieces, neighbours, a linear map.

Shapes: `base` (tokens, width) are rows of the model that gets new tokens; `shared_donor` (n, width of the
donor) and `shared_base` (n, width) are the rows of the tokens that both models have; `donor` (m, width of
the donor) are the donor's rows of the new ones. All return rows (m, width).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.errors import InputError

Floats = NDArray[np.floating[Any]]
Rows = NDArray[np.float64]


def mean_row(base: Floats, count: int) -> Rows:
    """Return the mean of all base rows, `count` times."""
    return np.tile(base.mean(0, dtype=np.float64), (count, 1))


def piece_means(base: Floats, pieces: NDArray[np.integer[Any]]) -> Rows:
    """Return the mean of the base rows of each token's pieces (m, k), -1 where there is none (FVT)."""
    there = pieces >= 0
    if not there.any(1).all():
        raise InputError("A token has no pieces; give every token at least one.")
    rows = base[np.maximum(pieces, 0)] * there[..., None]
    means: Rows = rows.sum(1, dtype=np.float64) / there.sum(1)[:, None]
    return means


def neighbour_means(shared_donor: Floats, shared_base: Floats, donor: Floats, neighbours: int = 10,
                    temperature: float = 0.1) -> Rows:
    """Return the mean base row of the nearest shared tokens by cosine, weighted by softmax (WECHSEL)."""
    cosines = _unit(donor) @ _unit(shared_donor).T
    count = min(neighbours, len(shared_donor))
    nearest = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
    logits = np.take_along_axis(cosines, nearest, 1) / temperature
    weights = np.exp(logits - logits.max(1, keepdims=True))
    weights /= weights.sum(1, keepdims=True)
    rows: Rows = np.einsum("mk,mkd->md", weights, shared_base[nearest].astype(np.float64))
    return rows


def ridge_map(shared_donor: Floats, shared_base: Floats, donor: Floats, penalty: float = 1.0) -> Rows:
    """Return the donor's rows under the affine map that fits the shared tokens best (ridge regression).

    `penalty` is in units of the mean variance of a donor channel.
    """
    x, y = shared_donor.astype(np.float64), shared_base.astype(np.float64)
    middle, level = x.mean(0), y.mean(0)
    x = x - middle
    weight = penalty * float((x * x).mean()) + 1e-12
    found = np.linalg.solve(x.T @ x + weight * np.eye(x.shape[1]), x.T @ (y - level))
    rows: Rows = (donor - middle) @ found + level
    return rows


def _unit(rows: Floats) -> Rows:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: Rows = rows / np.where(lengths > 0, lengths, 1.0)
    return unit
