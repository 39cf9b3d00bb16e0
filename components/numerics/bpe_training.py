"""Byte-pair encoding learned step by step (Sennrich et al. 2016, algorithm 1), every merge recorded.

A corpus is a mapping from a word, a tuple of symbols, to how often it occurs; merges never cross words.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from components.numerics.token_alignment import byte_letters

Word = tuple[bytes, ...]
Pair = tuple[bytes, bytes]


@dataclass(frozen=True)
class Merge:
    """One step: the pair joined, how often it occurred, and the corpus's length in tokens after it."""

    pair: Pair
    count: int
    tokens: int

    @property
    def symbol(self) -> bytes:
        """The new token."""
        return self.pair[0] + self.pair[1]


def corpus(words: Iterable[bytes]) -> dict[Word, int]:
    """Return the words as tuples of single bytes with their counts."""
    return {tuple(word[i : i + 1] for i in range(len(word))): n for word, n in Counter(words).items()}


def learn(words: Mapping[Word, int], merges: int, *, least: int = 1) -> list[Merge]:
    """Learn up to `merges` merges; stop where the most frequent pair occurs less than `least` times.

    Of pairs that are equally frequent the one with the smaller ids goes first, where the single bytes come
    first in the order of the byte-level alphabet, followed by the merged tokens in the order in which they
    were made. Time goes with the occurrences that change, not with the corpus.
    """
    forms = [list(word) for word in words]
    times = list(words.values())
    ids = {symbol: i for i, symbol in enumerate(alphabet())}
    counts: Counter[Pair] = Counter()
    where: defaultdict[Pair, set[int]] = defaultdict(set)
    for w, form in enumerate(forms):
        for pair in pairwise(form):
            counts[pair] += times[w]
            where[pair].add(w)
    length = sum(len(form) * n for form, n in zip(forms, times, strict=True))
    found: list[Merge] = []
    while len(found) < merges and counts:
        best = min(counts, key=lambda pair: (-counts[pair], ids[pair[0]], ids[pair[1]]))
        count = counts[best]
        if count < least:
            break
        for w in sorted(where[best]):
            length -= times[w] * _rejoin(forms, w, best, times[w], counts, where)
        ids.setdefault(best[0] + best[1], len(ids))
        found.append(Merge(best, count, length))
    return found


def _rejoin(
    forms: list[list[bytes]],
    w: int,
    pair: Pair,
    times: int,
    counts: Counter[Pair],
    where: defaultdict[Pair, set[int]],
) -> int:
    """Join `pair` in word `w`, update all counts, and return how many tokens the word lost."""
    before = forms[w]
    after = forms[w] = join(before, pair)
    for old in pairwise(before):
        counts[old] -= times
        where[old].discard(w)
        if counts[old] <= 0:
            del counts[old]
    for new in pairwise(after):
        counts[new] += times
        where[new].add(w)
    return len(before) - len(after)


def join(symbols: Sequence[bytes], pair: Pair) -> list[bytes]:
    """Return the symbols with every occurrence of `pair` joined, from left to right."""
    out: list[bytes] = []
    i = 0
    while i < len(symbols):
        if i + 1 < len(symbols) and (symbols[i], symbols[i + 1]) == pair:
            out.append(symbols[i] + symbols[i + 1])
            i += 2
        else:
            out.append(symbols[i])
            i += 1
    return out


def replay(word: bytes, merges: Sequence[Merge]) -> list[list[bytes]]:
    """Return the tokens of one word before any merge and after each of `merges`: (merges + 1) sequences."""
    states = [[word[i : i + 1] for i in range(len(word))]]
    for merge in merges:
        states.append(join(states[-1], merge.pair))
    return states


def alphabet() -> list[bytes]:
    """Return the 256 single bytes in the order of the letters that byte-level vocabularies write for them."""
    return [bytes([byte]) for _, byte in sorted(byte_letters().items())]
