"""Arithmetic coding of bytes with integers alone, so that what was encoded decodes exactly.

A model's distribution of the next byte becomes 256 whole counts of at least 1 that add up to `TOTAL`. The
encoder and the decoder do the same integer operations on them: no rounding can part the two.
"""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.errors import InputError

BITS = 16
TOTAL = 1 << BITS
# The coder's interval is kept between 2**48 and 2**56 units wide: a share of 2**-16 of it is exact to 2**-32.
TOP, BOTTOM = 56, 48
Counts = NDArray[np.int64]
Predictor = Callable[[bytes], Counts]


def whole_counts(odds: NDArray[np.floating[Any]]) -> Counts:
    """Return counts (..., symbols) that add up to `TOTAL`, each at least 1, near `TOTAL` times the odds.

    `odds` (..., symbols) are probabilities; what rounding down leaves over goes to the most probable symbol.
    """
    share = odds.astype(np.float64)
    free = TOTAL - share.shape[-1]
    counts: Counts = 1 + np.floor(share / share.sum(-1, keepdims=True) * free).astype(np.int64)
    rest = TOTAL - counts.sum(-1, keepdims=True)
    most = share.argmax(-1)[..., None]
    np.put_along_axis(counts, most, np.take_along_axis(counts, most, -1) + rest, -1)
    return counts


def edges(counts: Counts) -> Counts:
    """Return where each symbol's share begins, and the end of the last one (..., symbols + 1)."""
    start = np.zeros((*counts.shape[:-1], 1), np.int64)
    return np.concatenate([start, counts.cumsum(-1)], -1)


class _Output:
    """Collects the bytes of the code; a carry runs back over those that are 255."""

    def __init__(self) -> None:
        self.code = bytearray()

    def add(self, byte: int) -> None:
        self.code.append(byte)

    def carry(self) -> None:
        at = len(self.code) - 1
        while self.code[at] == 255:
            self.code[at] = 0
            at -= 1
        self.code[at] += 1


def encode(data: bytes, shares: Iterable[tuple[int, int]]) -> bytes:
    """Return the code of a text; `shares` are the edges (begin, end) of the text's own symbols, in order.

    The decoder must know the text's length. The code is the shortest whose continuation with any bytes
    still lies in the text's interval.
    """
    low, width, out = 0, 1 << TOP, _Output()
    for _, (begin, end) in zip(data, shares, strict=True):
        step = width >> BITS
        low, width = low + step * begin, step * (end - begin)
        if low >> TOP:
            out.carry()
            low -= 1 << TOP
        while width < 1 << BOTTOM:
            out.add(low >> BOTTOM)
            low, width = (low & ((1 << BOTTOM) - 1)) << 8, width << 8
    for kept in range(TOP // 8 + 1):  # as few bytes as pin the interval down
        unit = 1 << (TOP - 8 * kept)
        point = -(-low // unit) * unit
        if point + unit <= low + width:
            break
    if point >> TOP:
        out.carry()
        point -= 1 << TOP
    for i in range(kept):
        out.add(point >> (TOP - 8 * (i + 1)) & 255)
    return bytes(out.code)


def decode(code: bytes, length: int, predict: Predictor) -> bytes:
    """Return the text of `length` bytes that has this code; `predict` gives the counts after a text."""
    text = bytearray()
    place = int.from_bytes(code[: TOP // 8].ljust(TOP // 8, b"\0"), "big")  # the code's point minus `low`
    width, at = 1 << TOP, TOP // 8
    for _ in range(length):
        step = width >> BITS
        bounds = edges(predict(bytes(text)))
        symbol = int(np.searchsorted(bounds, min(place // step, TOTAL - 1), side="right")) - 1
        text.append(symbol)
        place -= step * int(bounds[symbol])
        width = step * int(bounds[symbol + 1] - bounds[symbol])
        while width < 1 << BOTTOM:
            place = place << 8 | (code[at] if at < len(code) else 0)
            width, at = width << 8, at + 1
    return bytes(text)


def own_shares(data: bytes, counts: Counts) -> list[tuple[int, int]]:
    """Return the edges (begin, end) of each byte of a text under counts (bytes, 256)."""
    symbols = np.frombuffer(data, np.uint8).astype(np.int64)
    if len(symbols) != len(counts):
        raise InputError(f"{len(symbols)} bytes came with {len(counts)} distributions; give one a byte.")
    bounds = edges(counts)
    begins = np.take_along_axis(bounds, symbols[:, None], 1)[:, 0]
    ends = np.take_along_axis(bounds, symbols[:, None] + 1, 1)[:, 0]
    return list(zip(begins.tolist(), ends.tolist(), strict=True))
