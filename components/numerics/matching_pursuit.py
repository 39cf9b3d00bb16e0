"""Orthogonal matching pursuit: a vector as a sum of few others (Pati et al. 1993; for rows 2506.06607).

A donor's row of a new token is written with the donor's rows of tokens that both vocabularies share; the
same tokens and coefficients, with the base model's rows, give the new row there.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from components.errors import InputError

Floats = NDArray[np.floating[Any]]
DEPENDENT = 1e-8  # of its length that an atom must add beyond the chosen ones to be worth choosing


class Pursuit(NamedTuple):
    """Which atoms, in order of choice, and their coefficients, both (targets, k).

    Where k atoms were not needed, or no other one is independent, the index is -1 and the coefficient 0.
    `residuals` (targets, k) is the length of what is left after each choice.
    """

    atoms: NDArray[np.int64]
    coefficients: NDArray[np.float64]
    residuals: NDArray[np.float64]

    def rebuild(self, rows: Floats) -> NDArray[np.float64]:
        """Return the sums (targets, width) of rows (atoms, width), of any model, under the coefficients."""
        chosen = rows[np.maximum(self.atoms, 0)].astype(np.float64)
        sums: NDArray[np.float64] = np.einsum("mk,mkd->md", self.coefficients, chosen)
        return sums


def pursue(targets: Floats, atoms: Floats, k: int, batch: int = 512) -> Pursuit:
    """Choose up to `k` of atoms (n, width) for each of targets (m, width), greedily.

    Each step takes the atom of the largest |cosine| with what is left, then refits all coefficients by least
    squares, kept up as a QR decomposition that grows by one column a step.
    """
    if not 1 <= k <= min(len(atoms), atoms.shape[1]):
        raise InputError(f"{k} atoms were asked of {len(atoms)} of width {atoms.shape[1]}; "
                         f"choose from 1 to {min(len(atoms), atoms.shape[1])}.")  # fmt: skip
    table = atoms.astype(np.float64)
    lengths = np.linalg.norm(table, axis=1)
    unit = table / np.where(lengths > 0, lengths, 1.0)[:, None]
    if len(targets) == 0:
        return Pursuit(np.empty((0, k), np.int64), np.empty((0, k)), np.empty((0, k)))
    wanted = targets.astype(np.float64)
    parts = [_pursue(wanted[i : i + batch], unit, k) for i in range(0, len(wanted), batch)]
    chosen, weights, left = (np.concatenate(column) for column in zip(*parts, strict=True))
    scale = np.where(chosen >= 0, lengths[np.maximum(chosen, 0)], 1.0)
    return Pursuit(chosen, weights / scale, left)


def _pursue(targets: NDArray[np.float64], unit: NDArray[np.float64], k: int
            ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:  # fmt: skip
    """Return atoms, coefficients of unit atoms and residual lengths of one batch."""
    count, width = targets.shape
    every = np.arange(count)
    chosen = np.full((count, k), -1, np.int64)
    basis = np.zeros((count, k, width))
    upper = np.tile(np.eye(k), (count, 1, 1))
    shares, left = np.zeros((count, k)), np.zeros((count, k))
    rest = targets.copy()
    smallest = 1e-12 * np.linalg.norm(targets, axis=1)
    for step in range(k):
        fit = np.abs(rest @ unit.T)  # nothing along those already chosen
        best = fit.argmax(1)
        atom = unit[best]
        fresh, along = atom, np.zeros((count, step))
        for _ in range(2):  # the second pass removes what rounding left of the first
            more = np.einsum("mkd,md->mk", basis[:, :step], fresh)
            fresh = fresh - np.einsum("mk,mkd->md", more, basis[:, :step])
            along = along + more
        size = np.linalg.norm(fresh, axis=1)
        useful = (size > DEPENDENT) & (fit[every, best] > smallest)
        direction = np.where(useful[:, None], fresh / np.where(size > 0, size, 1.0)[:, None], 0.0)
        basis[:, step] = direction
        upper[:, :step, step] = along * useful[:, None]
        upper[:, step, step] = np.where(useful, size, 1.0)
        shares[:, step] = (direction * rest).sum(1)
        rest = rest - shares[:, step, None] * direction
        chosen[useful, step] = best[useful]
        left[:, step] = np.linalg.norm(rest, axis=1)
    weights = np.linalg.solve(upper, shares[..., None])[..., 0]
    return chosen, np.where(chosen >= 0, weights, 0.0), left
