"""How much text fits into a window of tokens, by tokenizer and by kind of text."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from components.method import Bars, Card, Finding, HeatMap, Table, choice, knob
from components.models import ModelStore
from components.tokenization import Text, TokenizationLab, labs, tokenizers
from components.tokenization._checks import measures
from components.tokenization._samples import samples

PEERS = ("bpe", "unigram", "wordpiece", "bert", "sentencepiece_mistral", "tekken")
RELEASED = ("bert", "sentencepiece_mistral", "tekken")
OWN = "Your text"


@labs.add
@dataclass(frozen=True)
class TokenRuler(TokenizationLab):
    """Characters per token of six vocabularies, and what a context window of one is worth in another."""

    card: ClassVar[Card] = Card(
        title="Token ruler",
        authors="Roberts et al.",
        year=2025,
        url="https://arxiv.org/abs/2411.05000",
        claim="Token counts of different tokenizers must not be compared directly: they stand for "
        "substantially "
        "different numbers of written characters.",
        figure="no single figure; the finding that context lengths in tokens are not comparable",
        differs="This is the paper's tokenizer finding alone, with six vocabularies; finding "
        "needles is no part of it.",
        system=23,
    )
    opening: ClassVar[tuple[str, str, str]] = (
        "Roberts and colleagues measured context lengths in characters, because one model's token "
        "is not another's.",
        "Choose a tokenizer and a window, and paste a text of the kind that you work with.",
        "Look at identifiers and digits: on prose the tokenizers agree within a few tens of per "
        "cent, there they do "
        "not.",
    )
    window: int = knob(128_000, 1_000, 1_000_000, 1_000, "Context window (tokens)")
    tokenizer: str = choice("tekken", PEERS, "Window counted in tokens of")

    def __call__(self, text: Text, models: ModelStore) -> tuple[Any, ...]:
        texts = dict(samples())
        if text.content.strip():
            texts = {OWN: text.content, **texts}
        table = characters_per_token(texts, PEERS, models)
        titles = tuple(tokenizers[name].card.title for name in PEERS)
        chosen = PEERS.index(self.tokenizer)
        characters = self.window * table[:, chosen]
        rows: tuple[tuple[str | float, ...], ...] = tuple(
            (kind, round(float(fit)), *[round(float(fit / rate)) for rate in table[i]])
            for i, (kind, fit) in enumerate(zip(texts, characters, strict=True))
        )
        return (
            HeatMap(
                "Characters per token", "tokenizer", "text", table, tuple(texts), titles, unit="characters"
            ),
            Bars(
                "Spread between the six tokenizers", "most / least characters per token", spread(texts, table)
            ),
            Table(
                f"What {self.window:,} tokens of {titles[chosen]} hold",
                ("text", "characters", *[f"tokens of {title}" for title in titles]),
                rows,
            ),
        )

    @classmethod
    def check(cls, models: ModelStore) -> Finding:
        texts = samples()
        spreads = spread(texts, characters_per_token(texts, RELEASED, models))
        told = ", ".join(f"{kind} {value:.2f}" for kind, value in spreads.items())
        return Finding(
            measured=f"most over least characters a token: {told}",
            paper=cls.card.figure,
            holds=min(spreads.values()) == spreads["English prose"] and max(spreads.values()) > 1.3,
            on=f"{len(texts)} example texts, {len(RELEASED)} released vocabularies",
            model="BERT, SentencePiece and Tekken of Mistral",
        )


def characters_per_token(
    texts: dict[str, str], names: tuple[str, ...], models: ModelStore
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Return characters per token: (texts, tokenizers)."""
    methods = [tokenizers.create(name) for name in names]
    return np.array(
        [[measures(m, content, models).characters_per_token for m in methods] for content in texts.values()]
    )


def spread(
    texts: dict[str, str], table: np.ndarray[tuple[int, int], np.dtype[np.float64]]
) -> dict[str, float]:
    """Return the largest over the smallest value of each row, by text."""
    return {kind: float(np.max(row) / np.min(row)) for kind, row in zip(texts, table, strict=True)}
