"""Phones with times → syllables with times: nuclei, and onsets as long as the language's words begin with."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

VOWELS = set("aeiouyɑɐɒæəɘɵɚɛɜɝɞɨɪɔøœɶʉʊʌɯɤʏᵻãẽĩõũỹ")
SYLLABIC = "\u0329"
ARPABET = set(
    ["aa", "ae", "ah", "ao", "aw", "ax", "axr", "ay", "eh", "er", "ey", "ih", "iy", "ow", "oy", "uh", "uw"]
)


@dataclass(frozen=True)
class Phone:
    """One phone from `start` to `end` seconds, in word number `word`; an empty label is a pause."""

    label: str
    start: float
    end: float
    word: int


@dataclass(frozen=True, eq=False)
class Utterance:
    """Speech with marks: mono int16 samples at 16 kHz, phones, and syllable bounds (syllables, 2) in s."""

    samples: NDArray[np.int16]
    phones: tuple[Phone, ...]
    syllables: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 2), np.float32))
    source: str = ""


def is_nucleus(label: str) -> bool:
    """Say whether an IPA or ARPABET phone carries a syllable."""
    return label in ARPABET or SYLLABIC in label or any(c in VOWELS for c in label)


def words(phones: Iterable[Phone]) -> list[list[Phone]]:
    """Group phones into words; a pause ends a word, and a word without a nucleus leans on the next one."""
    groups: list[list[Phone]] = []
    last: int | None = None
    for phone in phones:
        if not phone.label:
            groups.append([])
            last = None
            continue
        leaning = bool(groups and groups[-1]) and not any(is_nucleus(p.label) for p in groups[-1])
        if last is None or (phone.word != last and not leaning):
            groups.append([])
        groups[-1].append(phone)
        last = phone.word
    return [g for g in groups if g]


def legal_onsets(utterances: Iterable[Utterance], at_least: int = 3) -> set[tuple[str, ...]]:
    """Return the consonant clusters that begin words at least so often in these utterances."""
    seen: Counter[tuple[str, ...]] = Counter()
    for utterance in utterances:
        for word in words(utterance.phones):
            first = next((i for i, p in enumerate(word) if is_nucleus(p.label)), None)
            if first is not None:
                seen[tuple(p.label for p in word[:first])] += 1
    return {cluster for cluster, n in seen.items() if n >= at_least}


def syllabify(phones: Iterable[Phone], onsets: set[tuple[str, ...]]) -> NDArray[np.float32]:
    """Cut each word before the longest legal onset of each nucleus: bounds (syllables, 2) in seconds."""
    bounds: list[tuple[float, float]] = []
    for word in words(phones):
        nuclei = [i for i, p in enumerate(word) if is_nucleus(p.label)]
        if not nuclei:
            continue
        cuts = [0]
        for left, right in pairwise(nuclei):
            cut = left + 1
            while cut < right and tuple(p.label for p in word[cut:right]) not in onsets:
                cut += 1
            cuts.append(cut)
        cuts.append(len(word))
        bounds += [(word[a].start, word[b - 1].end) for a, b in pairwise(cuts)]
    return np.asarray(bounds, np.float32).reshape(-1, 2)
