"""BERT's uncased WordPiece vocabulary, which all-MiniLM-L6-v2 uses."""

from dataclasses import dataclass
from typing import ClassVar

from components.method import Card, Finding
from components.models import ModelStore
from components.tokenization import Text, Tokenizer, Tokens, tokenizers
from components.tokenization._checks import on_samples
from components.tokenization._encoding import encode


@tokenizers.add
@dataclass(frozen=True)
class Bert(Tokenizer):
    """30,522 tokens; the text is lower-cased and loses its accents first, white space is skipped."""

    card: ClassVar[Card] = Card(
        title="BERT WordPiece",
        authors="Devlin et al.",
        year=2019,
        url="https://arxiv.org/abs/1810.04805",
        claim="A vocabulary of 30,000 word pieces spells English without unknown tokens.",
        figure="30,000 tokens (30,522 in the released uncased model)",
        differs="The released uncased file, from all-MiniLM-L6-v2; no [CLS] and [SEP] around the text.",
    )

    def __call__(self, text: Text, models: ModelStore) -> Tokens:
        return encode(models.get("bert-wordpiece"), text)

    @classmethod
    def check(cls, models: ModelStore) -> Finding:
        found = on_samples(cls(), models)
        english, emoji = found["English prose"], found["Emoji and marks"]
        return Finding(
            measured=f"{english.unknown_share:.1%} unknown in English prose, "
            f"{english.characters_per_token:.2f} "
            f"characters a token; {emoji.unknown_share:.0%} unknown among emoji and marks",
            paper=cls.card.figure,
            holds=english.unknown_share == 0,
            on=f"English prose, {english.tokens} tokens",
            model="tokenizer.json of all-MiniLM-L6-v2",
        )
