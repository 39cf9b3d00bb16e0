"""The SentencePiece vocabulary of Mistral's first models."""

from dataclasses import dataclass
from typing import ClassVar

from components.method import Card, Finding
from components.models import ModelStore
from components.models.vocabularies import SentencePiece as Vocabulary
from components.tokenization import Text, Tokenizer, Tokens, tokenizers
from components.tokenization._checks import on_samples

SPACE = "▁"


@tokenizers.add
@dataclass(frozen=True)
class SentencePieceMistral(Tokenizer):
    """32,768 tokens; a space becomes ▁, one is put in front, and what is not a token falls to bytes."""

    card: ClassVar[Card] = Card(
        title="SentencePiece (Mistral)",
        authors="Kudo and Richardson",
        year=2018,
        url="https://arxiv.org/abs/1808.06226",
        claim="Tokenization is lossless: decoding the tokens of a text gives the text back.",
        figure="Decode(Encode(Normalize(text))) = Normalize(text)",
        differs="The model file is Mistral's v3, from the package mistral-common; it normalises "
        "nothing but reads ▁ "
        "as a space.",
    )

    def __call__(self, text: Text, models: ModelStore) -> Tokens:
        vocabulary: Vocabulary = models.get("mistral-sentencepiece")
        processor = vocabulary.processor
        ids = processor.encode(text.content)
        names = [processor.id_to_piece(i) for i in ids]
        return Tokens(
            pieces=cut(text.utf8, names, [processor.is_byte(i) for i in ids]),
            ids=tuple(ids),
            vocabulary=vocabulary.size,
            decoded=processor.decode(ids),
            unknown=ids.count(processor.unk_id()),
            names=tuple(names),
        )

    @classmethod
    def check(cls, models: ModelStore) -> Finding:
        found = on_samples(cls(), models)
        lossless = sum(m.round_trip for m in found.values())
        return Finding(
            measured=f"{lossless} of {len(found)} texts come back unchanged; "
            f"{found['English prose'].bytes_per_token:.2f} bytes a token for English prose",
            paper=cls.card.figure,
            holds=lossless == len(found),
            on=f"{len(found)} example texts, {sum(m.tokens for m in found.values()):,} tokens",
            model="SentencePiece v3 of mistral-common",
        )


def cut(utf8: bytes, names: list[str], is_byte: list[bool]) -> tuple[bytes, ...]:
    """Return the source bytes behind each piece; the first ▁ is the prefix, which stands for nothing."""
    pieces, position = [], 0
    for i, (name, one_byte) in enumerate(zip(names, is_byte, strict=True)):
        start = position
        if one_byte:
            position += 1
        else:
            for letter in name[1:] if i == 0 and name.startswith(SPACE) else name:
                written = letter == SPACE and utf8[position : position + 1] == b" "
                position += 1 if written else len(letter.encode())
        pieces.append(utf8[start:position])
    return tuple(pieces)
