"""A tokenizer.json that the user brings."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

from components.errors import InputError
from components.method import Card, Finding
from components.models import ModelStore
from components.models.vocabularies import Vocabulary
from components.tokenization import Text, Tokenizer, Tokens, tokenizers
from components.tokenization._encoding import encode
from components.tokenization._samples import sample

T = TypeVar("T")
LARGEST = 20_000_000  # characters of JSON
GROWTH = 64  # how many times its length a normaliser may make a text


@tokenizers.add
@dataclass(frozen=True)
class Uploaded(Tokenizer):
    """`source` is the file's text; it is no knob, because the page uploads it."""

    card: ClassVar[Card] = Card(
        title="Uploaded tokenizer.json",
        authors="Hugging Face",
        year=2019,
        url="https://github.com/huggingface/tokenizers",
        claim="A tokenizer.json file is the whole tokenizer: read back, it gives the same ids.",
        figure="no figure; the library's promise",
        differs="Special tokens that the file would put around a text, padding and truncation are left out.",
    )
    source: str = field(default="", repr=False)

    def __call__(self, text: Text, models: ModelStore) -> Tokens:
        key = ("uploaded tokenizer", hashlib.sha256(self.source.encode(errors="replace")).hexdigest())
        return guarded(lambda: encode(models.remember(key, lambda: read(self.source)), text))

    def reading(self, file: str) -> Tokenizer:
        return Uploaded(source=file)

    @classmethod
    def check(cls, models: ModelStore) -> Finding:
        text = Text(sample("English prose"))
        names = ("bpe", "unigram", "wordpiece", "words")
        same = 0
        for name in names:
            vocabulary = models.get("text-tokenizers")[name]
            again = cls(source=vocabulary.tokenizer.to_str())(text, models)
            same += again.ids == encode(vocabulary, text).ids
        return Finding(
            measured=f"the same ids from {same} of {len(names)} files",
            paper=cls.card.figure,
            holds=same == len(names),
            on="English prose",
            model="text-tokenizers",
        )


def read(source: str) -> Vocabulary:
    """Return the vocabulary of a tokenizer.json; what is no such file is refused."""
    if not source.strip():
        raise InputError("No tokenizer.json is given; upload one, as the tokenizers library writes it.")
    if len(source) > LARGEST:
        raise InputError(f"The file has {len(source):,} characters; up to {LARGEST:,} fit: choose another.")
    try:
        content = json.loads(source)
    except (ValueError, RecursionError):
        raise InputError("The file is not JSON; upload the tokenizer.json of a model.") from None
    if not isinstance(content, dict) or not isinstance(content.get("model"), dict):
        raise InputError("The file has no part called model; upload the tokenizer.json, no other file.")
    if growth(content.get("normalizer")) > GROWTH or growth(content.get("decoder")) > GROWTH:
        raise InputError(f"The file's replacements lengthen texts more than {GROWTH} times; upload another.")
    from tokenizers import Tokenizer as Parsed

    return guarded(lambda: Vocabulary(Parsed.from_str(source)))


def growth(part: Any) -> int:
    """Return how many times a normaliser's or decoder's replacements can multiply a text's length."""
    if isinstance(part, list):
        product = 1
        for item in part:
            product *= growth(item)
        return product
    if not isinstance(part, dict):
        return 1
    own = max(1, len(part["content"])) if isinstance(part.get("content"), str) else 1
    return own * growth([v for v in part.values() if isinstance(v, dict | list)])


def guarded(run: Callable[[], T]) -> T:
    """Return what `run` returns; what the parser refuses, or stumbles over, is the file's fault.

    The library raises bare `Exception`, and where its own code panics an error that is not even that.
    """
    try:
        return run()
    except InputError:
        raise
    except BaseException as error:
        if type(error) is not Exception and type(error).__name__ != "PanicException":
            raise
        raise InputError("The file is no tokenizer that works; upload a complete tokenizer.json.") from None
