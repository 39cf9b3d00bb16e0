"""WordPiece: the longest match first, with a small vocabulary that ships."""

from dataclasses import dataclass
from typing import ClassVar

from components.method import Card, Finding
from components.models import ModelStore
from components.tokenization import Text, Tokenizer, Tokens, tokenizers
from components.tokenization._checks import on_samples
from components.tokenization._encoding import encode


@tokenizers.add
@dataclass(frozen=True)
class WordPiece(Tokenizer):
    """4,096 tokens from English novels; from left to right each token is the longest known start."""

    card: ClassVar[Card] = Card(
        title="WordPiece, 4k",
        authors="Song et al.",
        year=2021,
        url="https://arxiv.org/abs/2012.15524",
        claim="Longest-match-first spells a word out of pieces wherever its characters are known; "
        "one unknown "
        "character makes the whole word unknown.",
        figure="no figure; the definition of the greedy rule",
        differs="The shipped library does the matching, not the paper's linear-time automaton; the "
        "result is the same.",
    )

    def __call__(self, text: Text, models: ModelStore) -> Tokens:
        return encode(models.get("text-tokenizers")["wordpiece"], text)

    @classmethod
    def check(cls, models: ModelStore) -> Finding:
        found = on_samples(cls(), models)
        english, mixed = found["English prose"], found["Mixed scripts"]
        return Finding(
            measured=f"unknown: {english.unknown_share:.1%} of English prose, "
            f"{mixed.unknown_share:.0%} of mixed "
            f"scripts; {english.bytes_per_token:.2f} bytes a token for English prose",
            paper=cls.card.figure,
            holds=english.unknown_share == 0 and mixed.unknown_share > 0.1,
            on=f"{len(found)} example texts, {sum(m.tokens for m in found.values()):,} tokens",
            model="text-tokenizers/wordpiece",
        )
