"""A closed list of words: what is not on it becomes the unknown token."""

from dataclasses import dataclass
from typing import ClassVar

from components.method import Card, Finding
from components.models import ModelStore
from components.tokenization import Text, Tokenizer, Tokens, tokenizers
from components.tokenization._checks import on_samples
from components.tokenization._encoding import encode


@tokenizers.add
@dataclass(frozen=True)
class Words(Tokenizer):
    """The 4,095 most frequent words and marks of English novels; white space is skipped."""

    card: ClassVar[Card] = Card(
        title="Words (closed list)",
        authors="Sennrich et al.",
        year=2016,
        url="https://arxiv.org/abs/1508.07909",
        claim="A fixed list of words cannot spell rare words: in text from another domain many "
        "become unknown.",
        figure="no figure; the motive for subwords: translation is an open-vocabulary problem",
        differs="A list from 6 MB of novels, to show the problem that subwords solve; [UNK] stands "
        "for the rest.",
    )

    def __call__(self, text: Text, models: ModelStore) -> Tokens:
        return encode(models.get("text-tokenizers")["words"], text)

    @classmethod
    def check(cls, models: ModelStore) -> Finding:
        found = on_samples(cls(), models)
        shares = {kind: m.unknown_share for kind, m in found.items()}
        return Finding(
            measured="unknown: " + ", ".join(f"{kind} {share:.0%}" for kind, share in shares.items()),
            paper=cls.card.figure,
            holds=min(shares.values()) > 0.01,
            on=f"{len(found)} example texts, {sum(m.tokens for m in found.values()):,} tokens",
            model="text-tokenizers/words",
        )
