"""M2: a causal language model over text that a byte model has compressed to windows of 16 bits.

Its tokens are the two bytes of each window's code, the upper one first (2404.03626, v = 256, b = 16). What
each code means is kept with the weights, so that the byte model is not needed to read or write them.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from components.models.nets.causal_lm import CausalLM
from components.numerics.equal_info import CodeBook

CODES = 1 << 16


class EqualInfoLM(nn.Module):
    """A `CausalLM` over bytes that is told which half of a window comes next, and the book of codes."""

    texts: Tensor
    lengths: Tensor

    def __init__(self, book_bytes: int = 0, **body: Any) -> None:
        """`book_bytes` is how many bytes all meanings take together; `body` goes to `CausalLM`."""
        super().__init__()
        self.body = CausalLM(256, **body)
        self.halves = nn.Parameter(torch.zeros(2, self.body.width))
        self.register_buffer("texts", torch.zeros(book_bytes, dtype=torch.uint8))
        self.register_buffer("lengths", torch.zeros(CODES, dtype=torch.uint8))

    @property
    def context(self) -> int:
        """The number of tokens it was trained on."""
        return self.body.context

    @cached_property
    def book(self) -> CodeBook:
        """What the codes mean."""
        flat, ends = self.texts.cpu().numpy().tobytes(), self.lengths.cpu().numpy().cumsum(dtype=np.int64)
        return CodeBook([flat[a:b] for a, b in zip([0, *ends.tolist()], ends.tolist(), strict=False)])

    def keep(self, book: CodeBook) -> None:
        """Store a book with the weights."""
        flat = np.frombuffer(b"".join(book.texts), np.uint8).copy()
        self.texts = torch.from_numpy(flat)
        self.lengths = torch.tensor([len(text) for text in book.texts], dtype=torch.uint8)
        self.__dict__.pop("book", None)

    def states(self, tokens: Tensor) -> Tensor:
        """Return the states (batch, time + 1, width) from which token 0, 1 … are told."""
        vectors = torch.cat([self.body.begin(len(tokens)), self.body.embed(tokens)], 1)
        half = torch.arange(vectors.shape[1], device=tokens.device) % 2
        return self.body.states(vectors + self.halves[half])[0]

    def forward(self, tokens: Tensor, rows: Tensor | None = None) -> Tensor:
        """Return logits (batch, time + 1, 256) for tokens (batch, time) that begin with a whole window."""
        return self.body.read(self.states(tokens), rows)

    def encode(self, text: str) -> list[int]:
        """Return the tokens of a text, two a window."""
        found: list[int] = halves_of(self.book.encode(text.encode())).ravel().tolist()
        return found

    def decode(self, tokens: Sequence[int]) -> bytes:
        """Return the text of tokens; half a window at the end is left out."""
        pairs = zip(tokens[::2], tokens[1::2], strict=False)
        return self.book.decode(256 * upper + lower for upper, lower in pairs)


def halves_of(codes: Sequence[int] | NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """Return the upper and the lower byte (windows, 2) of codes."""
    found = np.asarray(codes, np.int64)
    return np.stack([found >> 8, found & 255], -1)


def build(**arguments: int) -> EqualInfoLM:
    """Build the net of a card."""
    return EqualInfoLM(**arguments)
