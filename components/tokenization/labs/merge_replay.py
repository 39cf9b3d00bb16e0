"""Byte-pair encoding learned on the text before the reader's eyes, merge by merge."""

import json
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from components.errors import InputError
from components.method import Card, Curves, Finding, Table, TokenStrip, knob
from components.models import ModelStore
from components.models.tokenizer_training import train, untrained
from components.numerics.bpe_training import Merge, corpus, learn, replay
from components.numerics.token_alignment import byte_letters, legible
from components.tokenization import Text, TokenizationLab, labs
from components.tokenization._samples import sample

LEARNED = 20_000  # characters that the merges are learned on
SHOWN = 160  # characters of the strips


@labs.add
@dataclass(frozen=True)
class MergeReplay(TokenizationLab):
    """Learns merges with an own trainer that records every step."""

    card: ClassVar[Card] = Card(
        title="Merge replay",
        authors="Sennrich et al.",
        year=2016,
        url="https://arxiv.org/abs/1508.07909",
        claim="Joining the most frequent pair again and again gives a vocabulary; the first merges "
        "save the most.",
        figure="algorithm 1: the most frequent pair is merged in each step",
        differs="On the bytes of the text shown (20,000 characters at most) instead of a training corpus.",
    )
    opening: ClassVar[tuple[str, str, str]] = (
        "Sennrich and colleagues took a compression trick for words: join the most frequent pair "
        "of neighbours, "
        "count again, repeat.",
        "Give a text and move the number of merges; a text that repeats itself shows more.",
        "Look at how fast the curve flattens: frequent words become one token early, rare ones "
        "stay in pieces.",
    )
    merges: int = knob(100, 1, 500, 1, "Merges")

    def __call__(self, text: Text, models: ModelStore) -> tuple[Any, ...]:
        if not text.content.strip():
            raise InputError("The text is empty; give some words to learn merges from.")
        found = words(text.content[:LEARNED])
        learned = learn(corpus(found), self.merges, least=2)
        return (curve(found, learned), *strips(text.content[:SHOWN], learned), table(learned))

    @classmethod
    def check(cls, models: ModelStore) -> Finding:
        content = sample("English prose")
        steps = 200
        ours = [merge.pair for merge in learn(corpus(words(content)), steps)]
        letters = {letter: bytes([byte]) for letter, byte in byte_letters().items()}
        tokenizer = train("bpe", 256 + steps, [content])
        listed = json.loads(tokenizer.to_str())["model"]["merges"]
        theirs = [tuple(b"".join(letters[letter] for letter in side) for side in pair) for pair in listed]
        same = sum(a == b for a, b in zip(ours, theirs, strict=False))
        return Finding(
            measured=f"{same} of {len(theirs)} merges are those of the tokenizers library, in the same order",
            paper=cls.card.figure,
            holds=same == len(theirs) == steps,
            on=f"English prose, {len(content):,} characters",
            model="own trainer and the tokenizers library",
        )


def words(content: str) -> list[bytes]:
    """Return the stretches that the byte-level pre-tokenizer cuts a text into, as bytes."""
    letters = byte_letters()
    stretches = untrained("bpe", 256)[0].pre_tokenizer.pre_tokenize_str(content)
    return [bytes(letters[letter] for letter in spelled) for spelled, _ in stretches]


def curve(found: list[bytes], learned: list[Merge]) -> Curves:
    """Return the text's length in tokens after each merge, and what each merge saved."""
    tokens = np.array([sum(map(len, found)), *[merge.tokens for merge in learned]], dtype=np.float64)
    steps = np.arange(len(tokens), dtype=np.float64)
    return Curves("Length of the text as merges are learned", "merges", "tokens", {"tokens": (steps, tokens)})


def strips(content: str, learned: list[Merge]) -> list[TokenStrip]:
    """Return the first characters of the text before any merge, after a part of them, and after all."""
    stops = sorted({0, len(learned) // 10, len(learned) // 2, len(learned)})
    states = [replay(word, learned) for word in words(content)]
    return [
        TokenStrip(f"After {stop} merges", tuple(legible(piece) for word in states for piece in word[stop]))
        for stop in stops
    ]


def table(learned: list[Merge]) -> Table:
    """Return the merges in order with what they joined and how often."""
    rows = tuple(
        (step, f"{legible(m.pair[0])} + {legible(m.pair[1])}", legible(m.symbol), m.count, m.tokens)
        for step, m in enumerate(learned, 1)
    )
    return Table("Merges in the order learned", ("step", "pair", "token", "count", "tokens after"), rows)
