"""A vocabulary trained on the very text that it cuts."""

from dataclasses import dataclass
from typing import ClassVar

from components.method import Card, Finding, choice, knob
from components.models import ModelStore
from components.models.tokenizer_training import short_words, train
from components.models.vocabularies import Vocabulary
from components.tokenization import Text, Tokenizer, Tokens, tokenizers
from components.tokenization._encoding import encode
from components.tokenization._samples import sample

TRAINED = 50_000  # characters; random text makes the Unigram trainer slow


@tokenizers.add
@dataclass(frozen=True)
class Live(Tokenizer):
    """The largest fit that a vocabulary of this size allows: it has seen the text, so it is no fair peer."""

    card: ClassVar[Card] = Card(
        title="Trained on this text",
        authors="Gallé",
        year=2019,
        url="https://aclanthology.org/D19-1141/",
        claim="A larger BPE vocabulary makes its own training text shorter, and each further token "
        "saves less.",
        figure="no figure; the paper relates BPE's quality to the length that it reaches at a "
        "vocabulary size",
        differs="Trains in a moment on the text shown (its first 50,000 characters), with the "
        "pre-tokenizers of our shipped vocabularies.",
    )
    algorithm: str = choice("bpe", ("bpe", "wordpiece", "unigram"), "Algorithm")
    size: int = knob(
        512, 260, 4096, 4, "Vocabulary (tokens)", help="BPE and Unigram hold the 256 bytes in any case."
    )

    def __call__(self, text: Text, models: ModelStore) -> Tokens:
        return encode(self.vocabulary(text, models), text)

    def vocabulary(self, text: Text, models: ModelStore) -> Vocabulary:
        """Return the vocabulary trained on `text`, smaller than asked for where no pair is left."""
        key = ("live vocabulary", self.algorithm, self.size, text.digest)
        return models.remember(
            key, lambda: Vocabulary(train(self.algorithm, self.size, short_words(text.content[:TRAINED])))
        )

    @classmethod
    def check(cls, models: ModelStore) -> Finding:
        sizes = (260, 320, 384, 512)
        text = Text(sample("English prose"))
        counts = [len(cls(size=size)(text, models).pieces) for size in sizes]
        gains = [(a - b) / (s - r) for a, b, r, s in zip(counts, counts[1:], sizes, sizes[1:], strict=False)]
        told = ", ".join(f"{count} at {size}" for size, count in zip(sizes, counts, strict=True))
        return Finding(
            measured=f"tokens: {told}; tokens saved by each new one: {', '.join(f'{g:.1f}' for g in gains)}",
            paper=cls.card.figure,
            holds=all(gain > 0 for gain in gains) and gains == sorted(gains, reverse=True),
            on="English prose",
            model="BPE trained on it",
        )
