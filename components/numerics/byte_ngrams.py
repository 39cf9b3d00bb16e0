"""Vectors of short byte strings from the byte n-grams in them: near means spelled alike, nothing more."""

import zlib
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

WIDTH = 96
LONGEST = 3


@lru_cache(maxsize=20_000)
def _hashed(piece: bytes) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Return the columns and signs of the n-grams of a piece between a start and an end mark."""
    marked = b"\x02" + piece + b"\x03"
    codes = [
        zlib.crc32(marked[i : i + n]) for n in range(1, LONGEST + 1) for i in range(len(marked) - n + 1)
    ]
    return tuple(code % WIDTH for code in codes), tuple(1.0 if code >> 31 else -1.0 for code in codes)


def ngram_vectors(pieces: Sequence[bytes]) -> NDArray[np.float32]:
    """Return a unit vector for each piece: (pieces, 96).

    Byte n-grams of length 1 to 3 are hashed (CRC-32) to a column and a sign; no model is involved. Pieces
    whose signs cancel out keep the zero vector.
    """
    vectors = np.zeros((len(pieces), WIDTH), np.float32)
    for row, piece in enumerate(pieces):
        columns, signs = _hashed(piece)
        np.add.at(vectors[row], list(columns), signs)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: NDArray[np.float32] = vectors / np.where(norms > 0, norms, np.float32(1))
    return unit
