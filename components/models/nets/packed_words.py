"""Transformer blocks over the symbols of many words at once, packed end to end: attention stays in a word.

Words differ in length; filling them up to a common one would cost more than half of all products. Here the
slots of all words form one row; it is cut into spans of `SPAN` slots, a slot attends to its own span and the
one before it, and a mask keeps only earlier slots of the same word. A word of at most `SPAN` slots is seen
whole, so this equals causal attention over each word alone.
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from components.models.nets.causal_lm import TAPS, BlockParts, rotate

SPAN = 32  # slots; the longest word
SPEED = 100.0  # the slowest rotary pair turns this many times slower than the fastest
MASKED = -1e4


class Packing(NamedTuple):
    """Where the slots of packed words are: all that blocks need besides the stream itself.

    `size` slots count, those after them fill the last span. `word` and `place` are (slots,); `cosine` and
    `sine` (slots, 1, d) turn queries and keys by the place in the word; `mask` (spans, 1, SPAN, 2 SPAN) is
    added to the scores; `reach` (TAPS - 1, slots, 1) is 1 where the slot i + 1 before is of the same word.
    """

    size: int
    word: Tensor
    place: Tensor
    cosine: Tensor
    sine: Tensor
    mask: Tensor
    reach: Tensor

    def fill(self, values: Tensor) -> Tensor:
        """Return values (size, …) of the slots, with zeros for the filling."""
        return torch.cat([values, values.new_zeros((len(self.word) - self.size, *values.shape[1:]))])


def pack(lengths: Tensor, turned: int, dtype: torch.dtype, multiple: int = SPAN) -> Packing:
    """Lay out words of `lengths` (words,) slots, one to `SPAN` each, for heads of `turned` channels.

    The number of slots becomes a multiple of `multiple`, itself one of `SPAN`: a matrix product of a new
    shape has to be planned first, which costs time in training.
    """
    size = int(lengths.sum())
    total = -(-size // multiple) * multiple
    word = torch.full((total,), -1, device=lengths.device)
    word[:size] = torch.repeat_interleave(torch.arange(len(lengths), device=lengths.device), lengths)
    place = torch.zeros_like(word)
    place[:size] = torch.arange(size, device=lengths.device) - (lengths.cumsum(0) - lengths)[word[:size]]
    half = turned // 2
    angles = place[:, None] * (1 / SPEED) ** (torch.arange(half, device=place.device) / half)
    angles = angles.repeat(1, 2)[:, None]
    own = word.view(-1, SPAN)
    heard = torch.cat([F.pad(own[:-1], (0, 0, 1, 0), value=-2), own], 1)
    index = torch.arange(2 * SPAN, device=word.device)
    seen = (own[:, :, None] == heard[:, None]) & (index <= index[:SPAN, None] + SPAN)
    mask = torch.zeros(seen.shape, dtype=dtype, device=word.device).masked_fill_(~seen, MASKED)
    reach = torch.stack([place > i for i in range(TAPS - 1)])[..., None]
    return Packing(size, word, place, angles.cos().to(dtype), angles.sin().to(dtype), mask[:, None],
                   reach.to(dtype))  # fmt: skip


class WordBlock(BlockParts):
    """Short convolution, causal attention, SwiGLU, all of them inside a word; each adds to the stream."""

    def mix(self, x: Tensor, packing: Packing) -> Tensor:
        """Add the slots before in the same word, weighted channel by channel, to each of (slots, width)."""
        mixed = x
        for i, tap in enumerate(self.taps.to(x.dtype)):
            mixed = mixed + F.pad(x[: -i - 1], (0, 0, i + 1, 0)) * (tap * packing.reach[i])
        return mixed

    def attend(self, x: Tensor, packing: Packing) -> Tensor:
        """Return what each slot of (slots, width) hears of its word so far."""
        slots, width = x.shape
        size = width // self.heads
        q, k, v = self.qkv(x).split(width, -1)
        both = F.layer_norm(torch.stack([q, k], 1).view(slots, 2 * self.heads, size), (size,))
        q, k = rotate(both, (packing.cosine, packing.sine)).chunk(2, 1)
        scale = self.sharpness.exp()[:, None, None] / math.sqrt(size)
        weights = (spans(q) * scale.to(q.dtype)) @ pairs(k).transpose(-1, -2) + packing.mask
        heard = weights.softmax(-1) @ pairs(v.view(slots, self.heads, size))
        return heard.transpose(1, 2).reshape(slots, width)

    def forward(self, x: Tensor, packing: Packing) -> Tensor:
        """Return the stream (slots, width) after this block."""
        return self.feed(x + self.out(self.attend(self.mix(self.norm_attend(x), packing), packing)))


def spans(x: Tensor) -> Tensor:
    """Cut (slots, heads, d) into spans (spans, heads, SPAN, d)."""
    return x.reshape(-1, SPAN, *x.shape[1:]).transpose(1, 2)


def pairs(x: Tensor) -> Tensor:
    """Return every span of (slots, heads, d) with the one before it (spans, heads, 2 SPAN, d)."""
    own = spans(x)
    return torch.cat([F.pad(own[:-1], (0, 0, 0, 0, 0, 0, 1, 0)), own], 2)
