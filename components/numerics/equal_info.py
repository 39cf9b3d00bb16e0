"""Equal-Info windows: text cut so that each part's arithmetic code fills the same number of bits.

"Training LLMs over Neurally Compressed Text" (2404.03626, section 3.3): bytes join a window while its
interval still holds a dyadic interval of `bits` bits; then the code is emitted and coder and model start
afresh. So a window's code depends on nothing outside of it, and every code means one text.

Two things are ours. A code names the text at which no longer text holds it whole, and the encoder takes the
longest text that has such a code: without this rule a text and its continuation could share a code. The
last 256 codes mean one byte each, verbatim, so that every text has codes.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from components.errors import InputError
from components.numerics.arithmetic_coding import BITS, Counts, Predictor, edges

VERBATIM = 256
LONGEST = 64  # bytes a window may hold
GUARD = 46  # bits of an interval beyond the code's: 2**-16 of the narrowest is exact to 2**-30
Whole = NDArray[Any]  # int64 while intervals fit, Python's integers beyond


class Span(NamedTuple):
    """An interval [low, low + width) in the coder's units."""

    low: int
    width: int


@dataclass(frozen=True)
class Windows:
    """The coder for windows of `bits` bits; `predict` gives the counts (256,) after the window so far."""

    predict: Predictor
    bits: int = 16
    longest: int = LONGEST
    precision: int = field(init=False)

    def __post_init__(self) -> None:
        """Refuse windows in which 256 verbatim codes take too much."""
        if not 12 <= self.bits <= 256:
            raise InputError(f"Windows of {self.bits} bits were asked for; choose from 12 to 256.")
        object.__setattr__(self, "precision", self.bits + GUARD)

    @property
    def unit(self) -> int:
        """How wide the dyadic interval of one code is."""
        return 1 << (self.precision - self.bits)

    @property
    def root(self) -> Span:
        """The interval of the empty text: all codes but the verbatim ones."""
        return Span(0, ((1 << self.bits) - VERBATIM) * self.unit)

    def spans(self, text: bytes) -> Iterator[tuple[int, Span, Whole]]:
        """Yield, from the empty text on, length, interval and the 257 edges of what may follow.

        It ends where the interval holds no code, or with the text.
        """
        span = self.root
        for length in range(min(len(text), self.longest) + 1):
            first, past = held(span.low, span.low + span.width, self.unit)
            if first >= past:
                return
            if length == self.longest:  # nothing may follow
                yield length, span, np.array([span.low], object)
                return
            bounds = children(span, self.predict(text[:length]), self.precision)
            yield length, span, bounds
            if length < len(text):
                symbol = text[length]
                low = int(bounds[symbol])
                span = Span(low, int(bounds[symbol + 1]) - low)

    def encode_window(self, text: bytes) -> tuple[int, int]:
        """Return the code of the longest beginning of a text that has one, and that beginning's length."""
        found = (1 << self.bits) - VERBATIM + text[0], 1
        for length, span, bounds in self.spans(text):
            own = own_codes(span, bounds, self.unit)
            if length and own:
                found = int(own[0][0]), length
        return found

    def encode(self, text: bytes) -> list[tuple[int, int]]:
        """Return code and length in bytes of each window of a text."""
        windows, at = [], 0
        while at < len(text):
            code, length = self.encode_window(text[at : at + self.longest])
            windows.append((code, length))
            at += length
        return windows

    def decode_window(self, code: int) -> bytes:
        """Return the text that a code means."""
        if not 0 <= code < 1 << self.bits:
            raise InputError(f"{code} is no code of {self.bits} bits; give 0 to {(1 << self.bits) - 1}.")
        verbatim = code - (1 << self.bits) + VERBATIM
        if verbatim >= 0:
            return bytes([verbatim])
        text, span, point = b"", self.root, code * self.unit
        while len(text) < self.longest:
            bounds = children(span, self.predict(text), self.precision)
            symbol = int(np.searchsorted(bounds, point, side="right")) - 1
            if symbol == len(bounds) - 1 or int(bounds[symbol + 1]) < point + self.unit:
                break
            span = Span(int(bounds[symbol]), int(bounds[symbol + 1]) - int(bounds[symbol]))
            text += bytes([symbol])
        return text

    def decode(self, codes: list[int]) -> bytes:
        """Return the text of windows."""
        return b"".join(map(self.decode_window, codes))


def children(span: Span, counts: Counts, precision: int) -> Whole:
    """Return the edges (257,) of the 256 bytes' intervals inside a span."""
    bounds = edges(counts)
    return span.low + (span.width >> BITS) * (bounds if precision < 63 else bounds.astype(object))


def held(low: Any, high: Any, unit: int) -> tuple[Any, Any]:
    """Return the first code whose dyadic interval lies in [low, high), and the one past the last.

    Works on arrays too; where the second is not above the first, there is none.
    """
    return -(-low // unit), high // unit


def own_codes(span: Span, bounds: Whole, unit: int) -> list[tuple[int, int]]:
    """Return the codes that a span holds and none of the intervals between `bounds` does.

    They come as ranges (begin, end), ascending.
    """
    first, past = held(span.low, span.low + span.width, unit)
    starts, ends = held(bounds[:-1], bounds[1:], unit)
    holding = ends > starts
    begins = [first, *ends[holding].tolist()]
    stops = [*starts[holding].tolist(), past]
    return [(begin, stop) for begin, stop in zip(begins, stops, strict=True) if begin < stop]


class CodeBook:
    """What each code means, written out: with it, windows are coded without the model, bit for bit."""

    def __init__(self, texts: Sequence[bytes]) -> None:
        """`texts` are the meanings of all codes in order; a code that is never used means nothing."""
        self.texts = texts
        self.codes: dict[bytes, int] = {}
        for code in range(len(texts) - 1, -1, -1):  # of several codes the lowest is used
            self.codes[texts[code]] = code
        for byte in range(VERBATIM):
            self.codes.setdefault(bytes([byte]), len(texts) - VERBATIM + byte)
        self.longest = max(map(len, texts))

    def encode(self, data: bytes) -> list[int]:
        """Return the codes of a text: each time the longest text that has one."""
        codes, known, at = [], self.codes, 0
        while at < len(data):
            for end in range(min(at + self.longest, len(data)), at, -1):
                code = known.get(data[at:end])
                if code is not None:
                    codes.append(code)
                    at = end
                    break
        return codes

    def decode(self, codes: Iterable[int]) -> bytes:
        """Return the text of codes."""
        return b"".join(self.texts[code] for code in codes)


def code_book(predict: Callable[[list[bytes]], Counts], bits: int = 16, longest: int = LONGEST,
              batch: int = 512) -> CodeBook:
    """Follow every text that holds a code, shortest first, and note which codes end there.

    `predict` gives the counts (texts, 256) after each of several texts of one length.
    """
    windows = Windows(lambda text: predict([text])[0], bits, longest)
    texts = [b""] * (1 << bits)
    for byte in range(VERBATIM):
        texts[-VERBATIM + byte] = bytes([byte])
    level = [(b"", windows.root)]
    while level:
        deeper: list[tuple[bytes, Span]] = []
        for at in range(0, len(level), batch):
            part = level[at : at + batch]
            last = len(part[0][0]) == longest
            counts = None if last else predict([text for text, _ in part])
            for i, (text, span) in enumerate(part):
                bounds = np.array([span.low], object)
                if counts is not None:
                    bounds = children(span, counts[i], windows.precision)
                    deeper += _holding(text, bounds, windows.unit)
                for begin, end in own_codes(span, bounds, windows.unit):
                    texts[begin:end] = [text] * (end - begin)
        level = deeper
    return CodeBook(texts)


def _holding(text: bytes, bounds: Whole, unit: int) -> Iterator[tuple[bytes, Span]]:
    """Yield the continuations by one byte whose interval holds a code."""
    starts, ends = held(bounds[:-1], bounds[1:], unit)
    for symbol in np.flatnonzero(ends > starts).tolist():
        low = int(bounds[symbol])
        yield text + bytes([symbol]), Span(low, int(bounds[symbol + 1]) - low)
