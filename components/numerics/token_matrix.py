"""A token reduction as a matrix, as Token Transforming has it: Y = W X, W (tokens out, tokens in).

Pruning has one-hot rows, merging disjoint rows. A step also holds the way back R (tokens in, tokens out),
rows that sum to one as well: a merged token returns to all its sources; a dropped one is filled from the
kept token whose key is nearest by cosine. So dense heads get the full grid as R₁ R₂ … X, and both directions
compose over the stages.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.errors import InputError
from components.numerics.token_selection import unit_rows

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class TokenMatrix:
    """A sparse matrix of `shape`: `weights` at (`rows`, `columns`), rows ascending, each row present."""

    rows: Indices
    columns: Indices
    weights: Floats
    shape: tuple[int, int]

    @property
    def one_hot(self) -> bool:
        """Say whether every row copies one token, so that applying it is a gather."""
        return len(self.rows) == self.shape[0] and bool((self.weights == 1).all())

    def sparse(self) -> Any:
        """Return it as a `scipy.sparse.csr_array`."""
        from scipy.sparse import csr_array

        return csr_array((self.weights, (self.rows, self.columns)), shape=self.shape)

    def dense(self) -> Floats:
        """Return it as an array of `shape`."""
        full = np.zeros(self.shape)
        np.add.at(full, (self.rows, self.columns), self.weights)
        return full

    def apply(self, tokens: NDArray[np.floating]) -> Floats:
        """Return the product with tokens (tokens in, width)."""
        out = np.zeros((self.shape[0], tokens.shape[1]))
        np.add.at(out, self.rows, self.weights[:, None] * tokens[self.columns])
        return out

    def after(self, first: "TokenMatrix") -> "TokenMatrix":
        """Return the one matrix that does `first` and then this."""
        shape = (self.shape[0], first.shape[1])
        if self.one_hot and first.one_hot:
            return TokenMatrix(self.rows, first.columns[self.columns], self.weights, shape)
        starts = np.searchsorted(first.rows, np.arange(first.shape[0] + 1))
        counts = np.diff(starts)[self.columns]
        mine = np.repeat(np.arange(len(counts)), counts)
        offset = np.arange(len(mine)) - np.repeat(np.cumsum(counts) - counts, counts)
        theirs = starts[self.columns][mine] + offset
        places, group = np.unique(self.rows[mine] * shape[1] + first.columns[theirs], return_inverse=True)
        products = self.weights[mine] * first.weights[theirs]
        summed = np.bincount(group, weights=products).astype(np.float64)
        return TokenMatrix(places // shape[1], places % shape[1], summed, shape)

    def strongest(self) -> Indices:
        """Return the column with the largest weight of each row (rows,); the lower one at a tie."""
        rounded = self.weights.round(6)  # sums of equals differ in the last bit
        order = np.lexsort((self.columns, -rounded, self.rows))
        first = np.unique(self.rows[order], return_index=True)[1]
        strongest: Indices = self.columns[order][first]
        return strongest


@dataclass(frozen=True, eq=False)
class Step:
    """One reduction: W, the way back R, how many original tokens each one out stands for (sizes), the order.

    `order` lists the tokens in as a greedy rule chose them, without CLS; empty where there is no order.
    """

    forward: TokenMatrix
    back: TokenMatrix
    sizes: Floats
    order: tuple[int, ...] = ()


def identity(tokens: int) -> TokenMatrix:
    """Return the matrix that changes nothing."""
    every = np.arange(tokens, dtype=np.int64)
    return TokenMatrix(every, every, np.ones(tokens), (tokens, tokens))


def pruning(chosen: Indices, keys: NDArray[np.floating], sizes: Floats) -> Step:
    """Keep CLS and the patches `chosen` (indices from 0, without CLS, in order of choice); drop the others.

    keys (tokens, width) with CLS first decide from which kept patch a dropped one is filled. A kept token
    goes on standing for what it stood for: the mass of the dropped ones is lost.
    """
    if len(chosen) == 0:
        raise InputError("No patch was kept; keep at least one.")
    tokens = len(keys)
    kept = np.concatenate(([0], 1 + np.sort(chosen))).astype(np.int64)
    unit = unit_rows(keys)
    nearest = 1 + (unit @ unit[kept[1:]].T).argmax(axis=1)  # never CLS: it holds no place in the grid
    nearest[kept] = np.arange(len(kept))
    every, ones = np.arange(tokens, dtype=np.int64), np.ones(tokens)
    forward = TokenMatrix(np.arange(len(kept), dtype=np.int64), kept, np.ones(len(kept)), (len(kept), tokens))
    back = TokenMatrix(every, nearest.astype(np.int64), ones, (tokens, len(kept)))
    return Step(forward, back, sizes[kept], tuple(int(1 + c) for c in chosen))


def merging(groups: Indices, sizes: Floats) -> Step:
    """Average each group (tokens,), numbered from 0, weighted by the tokens' sizes: mass is kept."""
    tokens, out = len(groups), int(groups.max()) + 1
    mass = np.bincount(groups, weights=sizes, minlength=out).astype(np.float64)
    columns = np.argsort(groups, kind="stable").astype(np.int64)
    rows = groups[columns]
    forward = TokenMatrix(rows, columns, sizes[columns] / mass[rows], (out, tokens))
    back = TokenMatrix(np.arange(tokens, dtype=np.int64), groups, np.ones(tokens), (tokens, out))
    return Step(forward, back, mass)


def compose(steps: tuple[Step, ...], tokens: int) -> tuple[TokenMatrix, TokenMatrix]:
    """Return W over all stages (tokens left, tokens) and the way back (tokens, tokens left)."""
    forward = identity(tokens)
    for step in steps:
        forward = step.forward.after(forward)
    return forward, way_back(steps, tokens)


def way_back(steps: tuple[Step, ...], tokens: int) -> TokenMatrix:
    """Return R₁ R₂ … (tokens, tokens left): from what is left after all stages to the full grid."""
    back = identity(tokens)
    for step in steps:
        back = back.after(step.back)
    return back
