"""Which blocks of a key-value cache a window of tokens gets to see (ActQKV, 2502.13542).

Queries are (heads, window, d), keys (heads, tokens, d), both of one layer and as its attention uses them. A
probe (heads, d) stands for the window: it scores the blocks, and the best ones are kept.
"""

import numpy as np
from numpy.typing import NDArray

from components.errors import InputError

Floats = NDArray[np.floating]
Indices = NDArray[np.int64]


def activation_bias(queries: Floats) -> NDArray[np.float64]:
    """Return how far each token's query is from the window's mean query, all heads together, (window,)."""
    q = np.asarray(queries, dtype=np.float64)
    return np.asarray(np.sqrt(np.square(q - q.mean(axis=1, keepdims=True)).sum(axis=(0, 2))))


def mean_probe(queries: Floats) -> NDArray[np.float64]:
    """Return the window's mean query (heads, d): what a window is represented by without a choice."""
    return np.asarray(np.asarray(queries, dtype=np.float64).mean(axis=1))


def activation_probe(queries: Floats, power: float = 1.0) -> NDArray[np.float64]:
    """Return the mean query (heads, d) weighted by activation bias, which `power` above 1 sharpens.

    Where all queries are equal, as in a window of one token, nothing stands out: it is the mean.
    """
    weights = activation_bias(queries)
    # Rounding leaves a bias of some 1e-16 where all queries are equal.
    if weights.max() <= 1e-9 * max(1.0, float(np.abs(queries).max())):
        return mean_probe(queries)
    weights = (weights / weights.max()) ** power
    return np.asarray(np.einsum("hwd,w->hd", np.asarray(queries, dtype=np.float64), weights / weights.sum()))


def last_probe(queries: Floats) -> NDArray[np.float64]:
    """Return the last token's query (heads, d): an oracle where that token is the one that asks."""
    return np.asarray(queries[:, -1], dtype=np.float64)


def block_scores(probe: Floats, keys: Floats, size: int, by: str = "mean") -> NDArray[np.float64]:
    """Return probe · key of each block of `size` tokens, heads added up, (blocks,).

    `by` is what stands for a block: the `mean` of its keys or its best token (`max`). The last block may be
    shorter.
    """
    tokens = keys.shape[1]
    if size < 1 or not tokens:
        raise InputError(f"{tokens} keys cannot be cut into blocks of {size}; give one or more of both.")
    if by not in ("mean", "max"):
        raise InputError(f"Blocks were to be scored by {by!r}; choose mean or max.")
    products = np.einsum("hd,htd->t", np.asarray(probe, dtype=np.float64), np.asarray(keys, dtype=np.float64))
    edges = np.arange(0, tokens, size)
    if by == "max":
        return np.asarray(np.maximum.reduceat(products, edges))
    return np.asarray(np.add.reduceat(products, edges) / np.diff(np.append(edges, tokens)))


def kept(scores: Floats, count: int) -> Indices:
    """Return the best `count` blocks, one or more, in the order of the text; ties go to the first."""
    best = np.argsort(-np.asarray(scores), kind="stable")[: max(1, count)]
    return np.sort(best).astype(np.int64)


def recent(blocks: int, count: int) -> Indices:
    """Return the last `count` of `blocks` blocks, one or more."""
    return np.arange(max(0, blocks - max(1, count)), blocks, dtype=np.int64)


def at_random(blocks: int, count: int, seed: int) -> Indices:
    """Return `count` of `blocks` blocks, one or more, each set equally likely, in the order of the text."""
    return np.sort(np.random.default_rng(seed).permutation(blocks)[: max(1, count)]).astype(np.int64)


def tokens_of(blocks: Indices, size: int, tokens: int) -> Indices:
    """Return the indices of the tokens of blocks, of which the last of all may be shorter."""
    places = (np.asarray(blocks, dtype=np.int64)[:, None] * size + np.arange(size)).ravel()
    return places[places < tokens]


def information_density(scores: Floats) -> float:
    """Return the entropy, in bits, of the softmax over block scores: high where a layer looks everywhere."""
    logits = np.asarray(scores, dtype=np.float64)
    p = np.exp(logits - logits.max())
    p /= p.sum()
    return float(-(p * np.log2(np.maximum(p, 1e-300))).sum())


def layer_budgets(densities: Floats, total: int, least: int = 1) -> Indices:
    """Share `total` blocks out among layers in proportion to their density, `least` to each at least.

    What rounding leaves goes to the largest remainders, so that the budgets add up to `total`.
    """
    share = np.maximum(np.asarray(densities, dtype=np.float64), 0)
    layers = len(share)
    if total < least * layers:
        raise InputError(f"{total} blocks are too few for {layers} layers with {least} each; "
                         f"give {least * layers} or more.")  # fmt: skip
    spare = total - least * layers
    wanted = spare * (share / share.sum() if share.sum() > 0 else np.full(layers, 1 / layers))
    budgets = np.floor(wanted).astype(np.int64)
    order = np.argsort(budgets - wanted, kind="stable")
    budgets[order[: spare - int(budgets.sum())]] += 1
    return np.asarray(budgets + least)
