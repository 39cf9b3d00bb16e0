"""Which tokens to merge: the bipartite soft matching of Token Merging (ToMe, section 3)."""

import numpy as np
from numpy.typing import NDArray

from components.errors import InputError
from components.numerics.token_selection import unit_rows

Indices = NDArray[np.int64]


def bipartite_match(keys: NDArray[np.floating], r: int) -> Indices:
    """Merge the `r` most similar pairs of keys (tokens, width); return each token's group (tokens,) from 0.

    Tokens alternate between sets A (even, with CLS at 0) and B (odd); each token of A finds its most similar
    one in B by cosine; the `r` best of these edges are merged into their token of B, which may take several.
    CLS never merges. `r` is cut to half of the patches, as in the paper. Groups are numbered in the order of
    the tokens that stay, so the kept ones keep their order.
    """
    tokens = len(keys)
    if r < 0:
        raise InputError(f"{r} merges were asked for; give none or more.")
    r = min(r, (tokens - 1) // 2)
    stays = np.ones(tokens, dtype=np.bool_)
    into = np.arange(tokens, dtype=np.int64)
    if r:
        unit = unit_rows(keys)
        scores = unit[2::2] @ unit[1::2].T  # A without CLS against B
        best = scores.argmax(axis=1)
        edges = np.argsort(-scores[np.arange(len(scores)), best], kind="stable")[:r]
        into[2 + 2 * edges] = 1 + 2 * best[edges]
        stays[2 + 2 * edges] = False
    number = np.cumsum(stays) - 1
    groups: Indices = number[into]
    return groups


def merges_per_layer(patches: int, keep: float, layers: int) -> tuple[int, ...]:
    """Return how many tokens each layer merges so that round(keep · patches) are left after the last one.

    The number is even over the layers (ToMe's constant r), the first ones taking what does not divide; a
    layer can merge half of its patches at most, and what does not fit is left unmerged.
    """
    gone = patches - round(keep * patches)
    schedule, left = [], patches
    for layer in range(layers):
        r = min(-(-gone // (layers - layer)), left // 2)
        schedule.append(r)
        gone, left = gone - r, left - r
    return tuple(schedule)
