"""Haystacks of key → value pairs with threads in them (Needle Threading, 2411.05000, section 3).

In a thread the value of one pair is the key of the next. Every symbol stands for one UUID, so that a haystack
of n pairs is 3n tokens: key, value, separator. Symbols are numbered from 0; separator, query mark and filler
tokens follow them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from components.errors import InputError

SYMBOLS = 2048
SEPARATOR = SYMBOLS  # ends a pair
QUERY = SYMBOLS + 1  # the next symbol is a key that is asked for
FIRST_FILLER, FILLERS = SYMBOLS + 2, 62
VOCABULARY = FIRST_FILLER + FILLERS
TOKENS_A_PAIR = 3
DIRECTIONS = ("forward", "backward", "random")

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Haystack:
    """Pairs of symbols in their order and the threads among them.

    `pairs` (pairs, 2) holds keys and values, `threads` (threads, hops + 1) the symbols of each thread from
    its first key to its last value, `places` (threads, hops) the index of the pair of each hop.
    """

    pairs: Ids
    threads: Ids
    places: Ids

    @property
    def tokens(self) -> Ids:
        """The haystack as token ids (3 · pairs,)."""
        ends = np.full((len(self.pairs), 1), SEPARATOR, dtype=np.int64)
        return np.asarray(np.concatenate([self.pairs, ends], axis=1).ravel())

    @property
    def starts(self) -> Ids:
        """The first key of each thread (threads,)."""
        return np.asarray(self.threads[:, 0])

    @property
    def answers(self) -> Ids:
        """What each hop should find (threads, hops)."""
        return np.asarray(self.threads[:, 1:])


def haystack(pairs: int, seed: int, hops: int = 1, directions: tuple[str, ...] = ("forward",)) -> Haystack:
    """Return a random haystack with one thread of `hops` pairs for each of `directions`.

    The pairs of a forward thread come in the order in which it is followed, those of a backward thread in the
    reverse order, those of a random one in any. All other pairs share no symbol with anything.
    """
    threads = len(directions)
    _refuse(pairs, hops, directions)
    rng = np.random.default_rng(seed)
    symbols = rng.permutation(SYMBOLS)[: 2 * pairs].astype(np.int64)
    table, rest = symbols.reshape(pairs, 2).copy(), threads * hops
    chains = symbols[: threads * (hops + 1)].reshape(threads, hops + 1)
    table[rest:] = symbols[threads * (hops + 1) :][: 2 * (pairs - rest)].reshape(-1, 2)
    places = rng.permutation(pairs).astype(np.int64)
    laid = arranged(places[:rest].reshape(threads, hops), directions)
    mixed = np.empty_like(table)
    mixed[places[rest:]] = table[rest:]
    mixed[laid] = np.stack([chains[:, :-1], chains[:, 1:]], axis=-1)
    return Haystack(mixed, chains, laid)


def arranged(places: Ids, directions: tuple[str, ...]) -> Ids:
    """Order the places (threads, hops) of each thread by its direction; a random one keeps its order."""
    laid = places.copy()
    for row, direction in zip(laid, directions, strict=True):
        if direction != "random":
            row.sort()
        if direction == "backward":
            row[:] = row[::-1].copy()
    return laid


def window(key: int, length: int, seed: int, fillers: Ids | None = None) -> Ids:
    """Return `length` tokens: random ones of `fillers` (all filler tokens), and the asked key as the last."""
    if length < 1:
        raise InputError(f"The window is {length} tokens long; it needs one or more.")
    if fillers is None:
        fillers = np.arange(FIRST_FILLER, FIRST_FILLER + FILLERS, dtype=np.int64)
    chosen = np.random.default_rng(seed).choice(fillers, length - 1)
    return np.append(chosen, key).astype(np.int64)


def exact(found: Ids, haystacks: list[Haystack], hops: int) -> NDArray[np.bool_]:
    """Say whether the value found after `hops` hops is the right one for each thread (haystacks, threads).

    `found` (haystacks, threads, hops or more) is what a solver emitted, each answer asked for next.
    """
    right = np.stack([h.answers[:, hops - 1] for h in haystacks])
    return np.asarray(found[..., hops - 1] == right)


def _refuse(pairs: int, hops: int, directions: tuple[str, ...]) -> None:
    if not 1 <= pairs <= SYMBOLS // 2:
        raise InputError(f"The haystack has {pairs} pairs; choose 1 to {SYMBOLS // 2}.")
    if hops < 1 or not directions or len(directions) * hops > pairs:
        raise InputError(f"{len(directions)} threads of {hops} hops do not fit into {pairs} pairs; "
                         "choose one or more of both and as many pairs as they take.")  # fmt: skip
    wrong = [d for d in directions if d not in DIRECTIONS]
    if wrong:
        raise InputError(f"The direction is {wrong[0]!r}; choose one of {', '.join(DIRECTIONS)}.")
