"""A language model whose input rows are frozen pictures of its tokens, and its two twins (arXiv 2507.04886).

`rows` says what the input table is: `glyph`, the principal components of the tokens' bitmaps, frozen;
`trained`, a random start that is trained; `random`, frozen Gaussian numbers. The output head is a table of
its own and always trained (it is the `table` of the body). Tokens are about 600 characters and the frequent
character n-grams; a text is cut from the left into the longest tokens there are.
"""

from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from components.models.nets.causal_lm import CausalLM
from components.numerics import glyphs

LONGEST = 4  # characters a token
UNKNOWN = "\ufffd"  # token 0: any character outside the vocabulary
KINDS = ("glyph", "trained", "random")


class GlyphLM(nn.Module):
    """A causal body between an input table of one of `KINDS` and a trained output head.

    Buffers: `letters` (tokens, LONGEST), code points, 0 after the last; `pictures` (tokens, 32), the 16 x 16
    bitmaps packed eight pixels a byte; `seen` (tokens,), how often each stood in the training text.
    """

    letters: Tensor
    pictures: Tensor
    seen: Tensor
    rows: Tensor
    mean: Tensor
    axes: Tensor

    def __init__(self, vocabulary: int, rows: str = "glyph", width: int = 192, depth: int = 4, heads: int = 3,
                 hidden: int = 512, context: int = 256) -> None:
        """`context` is the length it was trained on, in tokens."""
        super().__init__()
        if rows not in KINDS:
            raise ValueError(f"{rows!r} is not one of {', '.join(KINDS)}")
        self.kind, self.context, self.vocabulary = rows, context, vocabulary
        pixels = glyphs.SIDE**2
        self.register_buffer("letters", torch.zeros((vocabulary, LONGEST), dtype=torch.int32))
        self.register_buffer("pictures", torch.zeros((vocabulary, pixels // 8), dtype=torch.uint8))
        self.register_buffer("seen", torch.zeros(vocabulary, dtype=torch.int32))
        self.body = CausalLM(vocabulary, width, depth, heads, hidden, context)
        table = torch.randn(vocabulary, width) * 0.05
        if rows == "trained":
            self.rows = nn.Parameter(table)
        else:
            self.register_buffer("rows", table)
        if rows == "glyph":
            self.register_buffer("mean", torch.zeros(pixels))
            self.register_buffer("axes", torch.zeros((pixels, width)))

    def name_tokens(self, tokens: list[str]) -> None:
        """Set what the tokens are, draw them and, for `glyph`, set the rows to their vectors."""
        for row, token in enumerate(tokens):
            self.letters[row] = torch.tensor([*map(ord, token), *[0] * LONGEST][:LONGEST], dtype=torch.int32)
        self.pictures.copy_(torch.from_numpy(np.packbits(glyphs.bits(tokens), axis=1)))
        if self.kind == "glyph":
            mean, axes = glyphs.principal_axes(self.bitmaps(), self.rows.shape[1])
            self.mean.copy_(torch.from_numpy(mean))
            self.axes.copy_(torch.from_numpy(axes))
            self.rows.copy_(self.place(self.bitmaps()))

    def bitmaps(self) -> NDArray[np.bool_]:
        """Return the pictures of all tokens (tokens, 256), true where there is ink."""
        return np.unpackbits(self.pictures.cpu().numpy(), axis=1).astype(bool)

    def place(self, pictures: NDArray[np.bool_]) -> Tensor:
        """Return the input rows (n, width) that pictures (n, 256) have, of tokens or of anything drawn."""
        if self.kind != "glyph":
            raise ValueError("only the model with glyph rows has a place for a picture")
        return torch.from_numpy(glyphs.vectors(pictures, self.mean.cpu().numpy(), self.axes.cpu().numpy()))

    @cached_property
    def tokens(self) -> list[str]:
        """The tokens as text, in the order of their ids."""
        return ["".join(map(chr, filter(None, row))) for row in self.letters.tolist()]

    @cached_property
    def ids(self) -> dict[str, int]:
        """The id of every token."""
        return {token: i for i, token in enumerate(self.tokens)}

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text: from the left, always the longest token; 0 for an unknown character."""
        return greedy(text, self.ids)

    def decode(self, ids: list[int]) -> str:
        """Return the text of ids."""
        return "".join(self.tokens[i] for i in ids)

    def vectors(self, tokens: Tensor, rows: Tensor | None = None) -> Tensor:
        """Return the start vector and the input vectors (batch, time + 1, width) of ids (batch, time).

        `rows` may stand in for the table: the same with rows of new characters below it, for instance.
        """
        table = self.rows if rows is None else rows
        return torch.cat([self.body.begin(len(tokens)), self.body.embed(tokens, table)], 1)

    def layers(self, tokens: Tensor, rows: Tensor | None = None) -> list[Tensor]:
        """Return the stream (batch, time + 1, width) before the first block and after each of them."""
        x = self.vectors(tokens, rows)
        time = x.shape[1]
        mask = torch.full((time, time), -1e4, device=x.device).triu(1)
        found, turn = [x], self.body.turn(0, time, x)
        for block in self.body.blocks:
            x, _ = block(x, turn, mask)
            found.append(x)
        return found

    def forward(self, tokens: Tensor, rows: Tensor | None = None) -> Tensor:
        """Return logits (batch, time + 1, tokens): entry i is about token i, the last about what follows."""
        states, _ = self.body.states(self.vectors(tokens, rows))
        return self.body.read(states)


def greedy(text: str, ids: dict[str, int]) -> list[int]:
    """Cut a text from the left into the longest tokens of `ids`; what is in none of them becomes 0."""
    found, at = [], 0
    while at < len(text):
        for size in range(LONGEST, 0, -1):
            known = ids.get(text[at : at + size])
            if known is not None:
                break
        found.append(known or 0)
        at += size
    return found


def alphabet() -> list[str]:
    """Return the characters of the vocabulary: ASCII, Latin-1, Greek, Cyrillic letters, marks of print."""
    ranges = (range(0x20, 0x7F), range(0xA0, 0x100), range(0x370, 0x400), range(0x400, 0x500))
    plain = [chr(code) for code in chain(*ranges)]
    return ["\n", "\t", *(c for c in plain if c.isprintable() or c == "\u00a0"), *"‘’“”„–—…•′″€"]


def build(**arguments: Any) -> GlyphLM:
    """Build the net of a card."""
    return GlyphLM(**arguments)
