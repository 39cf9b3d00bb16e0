"""Byte-pair encoding on bytes, with a small vocabulary that ships."""

from dataclasses import dataclass
from typing import ClassVar

from components.method import Card, Finding
from components.models import ModelStore
from components.tokenization import Text, Tokenizer, Tokens, tokenizers
from components.tokenization._checks import on_samples
from components.tokenization._encoding import encode


@tokenizers.add
@dataclass(frozen=True)
class Bpe(Tokenizer):
    """4,096 tokens: 256 bytes and 3,840 merges learned from English novels, applied in the order learned."""

    card: ClassVar[Card] = Card(
        title="BPE, 4k",
        authors="Sennrich et al.",
        year=2016,
        url="https://arxiv.org/abs/1508.07909",
        claim="A fixed vocabulary of merged pairs spells every text, rare words and other scripts included, "
        "in fewer tokens than bytes.",
        figure="open vocabulary: no unknown tokens",
        differs="Merges bytes, not characters, and within stretches of one character class; 4,096 "
        "tokens from 6 MB "
        "of English novels.",
    )

    def __call__(self, text: Text, models: ModelStore) -> Tokens:
        return encode(models.get("text-tokenizers")["bpe"], text)

    @classmethod
    def check(cls, models: ModelStore) -> Finding:
        found = on_samples(cls(), models)
        lossless = sum(m.round_trip and m.unknown_share == 0 for m in found.values())
        prose = found["English prose"].bytes_per_token
        least = min(found, key=lambda kind: found[kind].bytes_per_token)
        return Finding(
            measured=f"{lossless} of {len(found)} texts spelled without loss; {prose:.2f} bytes a "
            "token for English "
            f"prose, least {found[least].bytes_per_token:.2f} ({least})",
            paper=cls.card.figure,
            holds=lossless == len(found) and found[least].bytes_per_token > 1,
            on=f"{len(found)} example texts, {sum(m.tokens for m in found.values()):,} tokens",
            model="text-tokenizers/bpe",
        )
