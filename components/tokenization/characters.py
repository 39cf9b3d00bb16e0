"""Each Unicode code point is a token, as in CANINE."""

from dataclasses import dataclass
from typing import ClassVar

from components.method import Card, Finding
from components.models import ModelStore
from components.tokenization import Text, Tokenizer, Tokens, tokenizers
from components.tokenization._checks import on_samples, premiums
from components.tokenization._samples import samples

CODE_SPACE = 0x110000


@tokenizers.add
@dataclass(frozen=True)
class Characters(Tokenizer):
    """One token a code point: a letter and its combining mark are two, an emoji sequence is several."""

    card: ClassVar[Card] = Card(
        title="Characters",
        authors="Clark et al.",
        year=2022,
        url="https://arxiv.org/abs/2103.06874",
        claim="Without any trained vocabulary every text is one token a code point, and nothing is "
        "unknown or lost.",
        figure="1 character a token, 0 % unknown, by construction",
        differs="Ids are the code points, as in CANINE, without its hashing and its down-sampling network.",
    )

    def __call__(self, text: Text, models: ModelStore) -> Tokens:
        ids = tuple(map(ord, text.content))
        return Tokens(
            pieces=tuple(character.encode() for character in text.content),
            ids=ids,
            vocabulary=CODE_SPACE,
            decoded="".join(map(chr, ids)),
        )

    @classmethod
    def check(cls, models: ModelStore) -> Finding:
        found = on_samples(cls(), models)
        exact = all(found[kind].tokens == len(content) for kind, content in samples().items())
        lossless = sum(m.round_trip for m in found.values())
        lengths = premiums(cls(), models)
        spread = max(lengths.values()) / min(lengths.values())
        return Finding(
            measured=f"{'1' if exact else 'not 1'} character a token; {lossless} of {len(found)} "
            "texts unchanged; "
            f"the longest of {len(lengths)} languages takes {spread:.1f} times the shortest",
            paper=cls.card.figure,
            holds=exact and lossless == len(found),
            on=f"{len(found)} example texts and 3 parallel sentences",
            model="no model",
        )
