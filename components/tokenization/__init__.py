"""Tokenization: a text in, its tokens out, as bytes that join to the text's UTF-8 whatever the tokenizer."""

import hashlib
import importlib
from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.errors import InputError
from components.method import Family, Lab, Method
from components.models import ModelStore

LONGEST = 200_000  # characters


@dataclass(frozen=True)
class Text:
    """Any Unicode text of up to 200,000 characters that has a UTF-8 form; the empty text is a text."""

    content: str

    def __post_init__(self) -> None:
        """Refuse what is too long or has no UTF-8 form."""
        if not isinstance(self.content, str):
            raise InputError(f"This is a {type(self.content).__name__}; give a text.")
        if len(self.content) > LONGEST:
            raise InputError(
                f"The text has {len(self.content):,} characters; up to {LONGEST:,} fit: paste a part of it."
            )
        try:
            self.content.encode()
        except UnicodeEncodeError as error:
            raise InputError(
                f"Character {error.start + 1} is half of a surrogate pair and has no UTF-8 form; delete it."
            ) from None

    @cached_property
    def utf8(self) -> bytes:
        """The text's bytes."""
        return self.content.encode()

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the bytes."""
        return hashlib.sha256(self.utf8).hexdigest()


@dataclass(frozen=True, eq=False)
class Tokens:
    """The tokens of a text in order.

    pieces: the stretch of the text's UTF-8 behind each token; they join to `text.utf8`. White space that a
    tokenizer skips belongs to the piece after it, or to the last; a token that stands for nothing in the text
    (a prefix that the tokenizer adds) has an empty piece. ids: vocabulary indices; vocabulary: its size;
    decoded: what the ids decode to, so that `decoded == text` is the round trip; unknown: how many tokens
    stand for "unknown"; bits (tokens,): information of each token where a model gives it; names: the
    vocabulary's own spelling of each token, where it has one.
    """

    pieces: tuple[bytes, ...]
    ids: tuple[int, ...]
    vocabulary: int
    decoded: str
    unknown: int = 0
    bits: NDArray[np.float64] | None = None
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Pieces and ids go together; anything else is a bug of the method."""
        if len(self.pieces) != len(self.ids):
            raise ValueError(f"{len(self.pieces)} pieces but {len(self.ids)} ids")

    @cached_property
    def nbytes(self) -> int:
        """The memory that all this takes, roughly."""
        return 120 * len(self.pieces) + 4 * len(self.decoded)


class Tokenizer(Method):
    """Cuts a text into tokens."""

    @abstractmethod
    def __call__(self, text: Text, models: ModelStore) -> Tokens:
        """Return the tokens of `text`; their pieces join to `text.utf8`.

        A tokenizer that skips white space refuses a text of nothing else.
        """

    def reading(self, file: str) -> "Tokenizer":
        """Return the tokenizer that a file of the user's makes of this one: itself where it reads none."""
        return self


class TokenizationLab(Lab):
    """An experiment on one text."""

    @abstractmethod
    def __call__(self, text: Text, models: ModelStore) -> tuple[Any, ...]:
        """Return the panels."""


tokenizers: Family[Tokenizer] = Family(__name__)
# loaded first, so that the folder's name does not take the family's place later
importlib.import_module(f"{__name__}.labs")
labs: Family[TokenizationLab] = Family(f"{__name__}.labs")
