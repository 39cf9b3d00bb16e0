"""Each byte of the UTF-8 form is a token, as in ByT5."""

from dataclasses import dataclass
from typing import ClassVar

from components.method import Card, Finding
from components.models import ModelStore
from components.tokenization import Text, Tokenizer, Tokens, tokenizers
from components.tokenization._checks import on_samples
from components.tokenization._samples import samples


@tokenizers.add
@dataclass(frozen=True)
class ByteValues(Tokenizer):
    """256 tokens, one a byte value; a character outside ASCII is cut into two to four."""

    card: ClassVar[Card] = Card(
        title="Bytes",
        authors="Xue et al.",
        year=2022,
        url="https://arxiv.org/abs/2105.13626",
        claim="Every text is exactly as many tokens as its UTF-8 has bytes, none is unknown, and "
        "nothing is lost.",
        figure="1 byte a token, 0 % unknown, by construction",
        differs="Ids are the byte values 0 to 255; ByT5 puts three special tokens before them.",
    )

    def __call__(self, text: Text, models: ModelStore) -> Tokens:
        utf8 = text.utf8
        return Tokens(
            pieces=tuple(utf8[i : i + 1] for i in range(len(utf8))),
            ids=tuple(utf8),
            vocabulary=256,
            decoded=bytes(tuple(utf8)).decode(),
            names=tuple(f"<0x{byte:02X}>" for byte in utf8),
        )

    @classmethod
    def check(cls, models: ModelStore) -> Finding:
        found = on_samples(cls(), models)
        exact = all(found[kind].tokens == len(content.encode()) for kind, content in samples().items())
        lossless = sum(m.round_trip for m in found.values())
        return Finding(
            measured=f"{'1' if exact else 'not 1'} byte a token; {lossless} of {len(found)} texts "
            "come back unchanged",
            paper=cls.card.figure,
            holds=exact and lossless == len(found),
            on=f"{len(found)} example texts, {sum(m.tokens for m in found.values()):,} tokens",
            model="no model",
        )
