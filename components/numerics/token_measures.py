"""Measures of a tokenization: its length, its use of the vocabulary, and how two of them differ.

A word here is a stretch between white space (Python's `str.split`), which says little for scripts that
are written without spaces.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from components.numerics.token_alignment import boundaries, byte_starts

ALPHA = 2.5  # the order at which Zouhar et al. (2023) found the closest relation to translation quality


@dataclass(frozen=True)
class Measures:
    """What one tokenization of one text measures; nan where a denominator is zero.

    Shares lie in 0 to 1. fertility: tokens per white-space word. continued_words: share of words in more
    than one token. cut_characters: share of characters that some token cuts. renyi_efficiency: Rényi entropy
    of order 2.5 of the token frequencies over log2 of the whole vocabulary. bit_compression: bits of the
    text over the bits of its tokens in a fixed-length code of ceil(log2 vocabulary) bits.
    """

    tokens: int
    unique: int
    characters_per_token: float
    bytes_per_token: float
    fertility: float
    continued_words: float
    cut_characters: float
    unknown_share: float
    round_trip: bool
    renyi_efficiency: float
    bit_compression: float


def measure(
    text: str, pieces: Sequence[bytes], ids: Sequence[int], vocabulary: int, *, decoded: str, unknown: int = 0
) -> Measures:
    """Measure the tokens of `text`: `pieces` join to its UTF-8, `ids` lie below `vocabulary`."""
    tokens, size = len(pieces), len(text.encode())
    words = len(text.split())
    return Measures(
        tokens=tokens,
        unique=len(set(ids)),
        characters_per_token=_over(len(text), tokens),
        bytes_per_token=_over(size, tokens),
        fertility=_over(tokens, words),
        continued_words=continued_words(text, pieces),
        cut_characters=cut_characters(text, pieces),
        unknown_share=_over(unknown, tokens),
        round_trip=decoded == text,
        renyi_efficiency=renyi_efficiency(ids, vocabulary),
        bit_compression=bit_compression(size, tokens, vocabulary),
    )


def _over(above: float, below: float) -> float:
    return above / below if below else math.nan


def renyi_entropy(counts: Sequence[int], alpha: float = ALPHA) -> float:
    """Return the Rényi entropy of order `alpha` of the shares that `counts` give, in bits; 1 is Shannon's."""
    shares = np.asarray(counts, dtype=np.float64) / sum(counts)
    if alpha == 1:
        return float(-(shares * np.log2(shares)).sum())
    return float(np.log2((shares**alpha).sum()) / (1 - alpha))


def renyi_efficiency(ids: Sequence[int], vocabulary: int, alpha: float = ALPHA) -> float:
    """Return the Rényi entropy of the ids over log2 of the whole vocabulary (not of the types seen)."""
    if not ids or vocabulary < 2:
        return math.nan
    return renyi_entropy(list(Counter(ids).values()), alpha) / math.log2(vocabulary)


def bit_compression(size: int, tokens: int, vocabulary: int) -> float:
    """Return 8 * bytes / (tokens * ceil(log2 vocabulary)); more is shorter."""
    return _over(8 * size, tokens * (vocabulary - 1).bit_length())


def continued_words(text: str, pieces: Sequence[bytes]) -> float:
    """Return the share of white-space words with a token boundary inside."""
    starts, found = byte_starts(text), []
    position = 0
    for word in text.split():
        position = text.index(word, position)
        found.append((starts[position], starts[position + len(word)]))
        position += len(word)
    if not found:
        return math.nan
    cuts, spans = boundaries(pieces), np.array(found)
    first = np.searchsorted(cuts, spans[:, 0], side="right")
    return float((np.searchsorted(cuts, spans[:, 1], side="left") > first).mean())


def cut_characters(text: str, pieces: Sequence[bytes]) -> float:
    """Return the share of characters with a token boundary inside."""
    if not text:
        return math.nan
    utf8 = np.frombuffer(text.encode(), dtype=np.uint8)
    inside = boundaries(pieces)
    inside = inside[(utf8[inside] & 0xC0) == 0x80] if len(inside) else inside
    return len(np.unique(np.searchsorted(byte_starts(text), inside, side="right"))) / len(text)


def jaccard(first: Sequence[bytes], second: Sequence[bytes]) -> float:
    """Return the boundaries that two tokenizations of one text share over those that either has.

    1 where neither has any.
    """
    a, b = boundaries(first), boundaries(second)
    either = len(np.union1d(a, b))
    return len(np.intersect1d(a, b)) / either if either else 1.0


def agreement(tokenizations: Sequence[Sequence[bytes]]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Return the Jaccard index of every two tokenizations of one text: (n, n), symmetric."""
    n = len(tokenizations)
    table = np.ones((n, n))
    for i in range(n):
        for j in range(i):
            table[i, j] = table[j, i] = jaccard(tokenizations[i], tokenizations[j])
    return table


def premium(tokens: int, base: int) -> float:
    """Return a sentence's tokens over those of the same sentence in the base language (Petrov et al.)."""
    return _over(tokens, base)


def lengths(pieces: Sequence[bytes]) -> dict[int, int]:
    """Return how many tokens have each length in bytes."""
    return dict(sorted(Counter(map(len, pieces)).items()))
