"""Tekken, the byte-level BPE vocabulary of Mistral's models since NeMo."""

from dataclasses import dataclass
from typing import ClassVar

from components.method import Card, Finding
from components.models import ModelStore
from components.models.vocabularies import Tekken as Vocabulary
from components.tokenization import Text, Tokenizer, Tokens, tokenizers
from components.tokenization._checks import on_samples, token_counts
from components.tokenization._samples import parallel
from components.tokenization.sentencepiece_mistral import SentencePieceMistral


@tokenizers.add
@dataclass(frozen=True)
class Tekken(Tokenizer):
    """131,072 tokens for many languages and code; characters may be cut between their bytes."""

    card: ClassVar[Card] = Card(
        title="Tekken (Mistral)",
        authors="Mistral AI",
        year=2024,
        url="https://mistral.ai/news/mistral-nemo",
        claim="Beside Mistral's older SentencePiece vocabulary, Tekken takes a half of the tokens "
        "for Korean and a "
        "third for Arabic.",
        figure="2 times fewer tokens for Korean, 3 times fewer for Arabic",
        differs="The vocabulary file is Mistral's own, from the package mistral-common; text only, "
        "no chat markers.",
    )

    def __call__(self, text: Text, models: ModelStore) -> Tokens:
        vocabulary: Vocabulary = models.get("tekken")
        ranks = vocabulary.encoding.encode_ordinary(text.content)
        pieces = tuple(vocabulary.encoding.decode_tokens_bytes(ranks))
        return Tokens(
            pieces=pieces,
            ids=tuple(rank + vocabulary.control for rank in ranks),
            vocabulary=vocabulary.size,
            decoded=vocabulary.encoding.decode(ranks),
        )

    @classmethod
    def check(cls, models: ModelStore) -> Finding:
        few = {language: parallel()[language] for language in ("Korean", "Arabic")}
        new, old = (token_counts(method, models, few) for method in (cls(), SentencePieceMistral()))
        korean, arabic = (old[language] / new[language] for language in few)
        lossless = all(m.round_trip for m in on_samples(cls(), models).values())
        return Finding(
            measured=f"{korean:.2f} times fewer for Korean, {arabic:.2f} times for Arabic; "
            f"example texts {'all' if lossless else 'not all'} unchanged",
            paper=cls.card.figure,
            holds=korean >= 1.8 and arabic >= 2.5 and lossless,
            on=f"3 sentences a language, {sum(old.values())} against {sum(new.values())} tokens",
            model="Tekken and SentencePiece v3 of mistral-common",
        )
