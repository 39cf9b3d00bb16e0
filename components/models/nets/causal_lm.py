"""A decoder-only transformer language model whose embedding rows may come from outside.

One body serves every text model: bytes, subwords, glyphs, random rows. `embed`, `states` and `read` are the
three steps of `forward`; each takes `rows`, a table that stands in for the model's own. Blocks are pre-norm
with rotary positions, normalised queries and keys, a causal depth-wise convolution over `TAPS` tokens (a
head finds "what came after this" in one layer with it) and SwiGLU.
"""

import math
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TAPS = 4


class Past(NamedTuple):
    """What one block keeps of earlier tokens: keys and values (batch, heads, time, d), the last inputs."""

    keys: Tensor
    values: Tensor
    tail: Tensor


class Norm(nn.Module):
    """Layer normalisation with a gain and no bias."""

    def __init__(self, width: int) -> None:
        """`width` is the size of the last axis."""
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last axis."""
        return F.layer_norm(x, (x.shape[-1],), self.weight.to(x.dtype))


class BlockParts(nn.Module):
    """What a block learns: short convolution, attention, SwiGLU; its kinds say how it attends."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        """`hidden` is the inner width of SwiGLU."""
        super().__init__()
        self.heads = heads
        self.norm_attend, self.norm_feed = Norm(width), Norm(width)
        self.taps = nn.Parameter(torch.zeros(TAPS - 1, width))
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.up = nn.Linear(width, 2 * hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)
        for closing in (self.out, self.down):  # an untrained block changes nothing
            nn.init.zeros_(closing.weight)
        # A learned temperature a head, since normalised queries and keys have none.
        self.sharpness = nn.Parameter(torch.zeros(heads))

    def feed(self, x: Tensor) -> Tensor:
        """Return the stream (..., width) after SwiGLU was added."""
        gate, value = self.up(self.norm_feed(x)).chunk(2, -1)
        fed: Tensor = x + self.down(F.silu(gate) * value)
        return fed


class Block(BlockParts):
    """Causal attention over a batch of texts; convolution, attention and SwiGLU add to the stream."""

    def mix(self, x: Tensor, tail: Tensor | None) -> tuple[Tensor, Tensor]:
        """Add the last inputs, weighted channel by channel, to each (batch, time, width); return the tail."""
        if tail is None:
            tail = x.new_zeros(x.shape[0], TAPS - 1, x.shape[2])
        longer = torch.cat([tail.to(x.dtype), x], 1)
        time = x.shape[1]
        taps = self.taps.to(x.dtype)
        for i in range(TAPS - 1):
            x = x + taps[i] * longer[:, i : i + time]
        return x, longer[:, time:]

    def forward(self, x: Tensor, turn: tuple[Tensor, Tensor] | None, mask: Tensor | None,
                past: Past | None = None) -> tuple[Tensor, Past]:
        """Return the stream (batch, time, width) after this block and what the next tokens need of it."""
        batch, time, width = x.shape
        mixed, tail = self.mix(self.norm_attend(x), past.tail if past else None)
        q, k, v = self.qkv(mixed).split(width, -1)
        both = torch.stack([q, k], 2).view(batch, time, 2 * self.heads, width // self.heads)
        both = rotate(F.layer_norm(both, (width // self.heads,)), turn).transpose(1, 2)
        q, k = both[:, : self.heads], both[:, self.heads :]
        v = v.view(batch, time, self.heads, -1).transpose(1, 2)
        if past:
            k, v = torch.cat([past.keys, k], 2), torch.cat([past.values, v], 2)
        scale = self.sharpness.exp()[:, None, None] / math.sqrt(width // self.heads)
        # Plain products: on a processor the gradient of the fused kernel costs three times as much.
        weights = (q * scale.to(q.dtype)) @ k.transpose(-1, -2)
        if mask is not None:
            weights = weights + mask
        heard = (weights.softmax(-1) @ v).transpose(1, 2).reshape(batch, time, width)
        return self.feed(x + self.out(heard)), Past(k, v, tail)


def rotate(x: Tensor, turn: tuple[Tensor, Tensor] | None) -> Tensor:
    """Turn pairs of channels of (..., heads, d) by the angle of their position (RoPE)."""
    if turn is None:
        return x
    cosine, sine = turn
    first, second = x.chunk(2, -1)
    return x * cosine + torch.cat([-second, first], -1) * sine


class CausalLM(nn.Module):
    """A language model over `vocabulary` symbols; input and output rows are one table (tied)."""

    def __init__(self, vocabulary: int, width: int = 192, depth: int = 4, heads: int = 3, hidden: int = 512,
                 context: int = 256, rotary: bool = True) -> None:
        """`context` is the length it was trained on; `vocabulary` 0 means rows always come from outside."""
        super().__init__()
        self.vocabulary, self.width, self.context, self.rotary = vocabulary, width, context, rotary
        self.heads = heads
        self.table = nn.Parameter(torch.randn(vocabulary, width) * 0.05)
        self.start = nn.Parameter(torch.randn(width) * 0.05)  # stands before the first token
        self.blocks = nn.ModuleList(Block(width, heads, hidden) for _ in range(depth))
        self.norm = Norm(width)

    def embed(self, tokens: Tensor, rows: Tensor | None = None) -> Tensor:
        """Return the input vectors (batch, time, width) of token ids (batch, time), of unit variance.

        `rows` is a table (symbols, width), or one a sequence (batch, symbols, width).
        """
        rows = self.table if rows is None else rows
        if rows.ndim == 3:
            vectors = rows.gather(1, tokens[..., None].expand(-1, -1, rows.shape[-1]))
        else:
            vectors = F.embedding(tokens, rows)
        return F.layer_norm(vectors, (vectors.shape[-1],))

    def begin(self, batch: int) -> Tensor:
        """Return the vectors (batch, 1, width) that stand before every text's first token."""
        return F.layer_norm(self.start, (self.width,)).expand(batch, 1, -1)

    def turn(self, start: int, time: int, like: Tensor) -> tuple[Tensor, Tensor] | None:
        """Return cosine and sine (1, time, 1, d) of the rotary angles from position `start` on."""
        if not self.rotary:
            return None
        half = self.width // self.heads // 2
        speeds = 10_000.0 ** (-torch.arange(half, device=like.device) / half)
        angles = torch.outer(torch.arange(start, start + time, device=like.device), speeds).repeat(1, 2)
        return angles.cos()[None, :, None].to(like.dtype), angles.sin()[None, :, None].to(like.dtype)

    def states(self, vectors: Tensor, past: list[Past] | None = None) -> tuple[Tensor, list[Past]]:
        """Return the final states (batch, time, width) of input vectors, and the past to go on from."""
        time, start = vectors.shape[1], past[0].keys.shape[2] if past else 0
        x = vectors
        if torch.is_autocast_enabled(x.device.type):
            x = x.to(torch.get_autocast_dtype(x.device.type))
        turn = self.turn(start, time, x)
        mask = None
        if time > 1:
            mask = torch.full((time, start + time), -1e4, device=x.device, dtype=x.dtype).triu(start + 1)
        kept = []
        for i, block in enumerate(self.blocks):
            x, one = block(x, turn, mask, past[i] if past else None)
            kept.append(one)
        return self.norm(x), kept

    def read(self, states: Tensor, rows: Tensor | None = None) -> Tensor:
        """Return the logits (batch, time, symbols) of states under the output rows."""
        rows = self.table if rows is None else rows
        return states @ rows.to(states.dtype).transpose(-1, -2)

    def forward(self, tokens: Tensor, rows: Tensor | None = None) -> Tensor:
        """Return logits (batch, time + 1, symbols) for token ids (batch, time) of whole texts.

        Those at index i are of token i given the ones before it; the last are of what comes next.
        """
        vectors = torch.cat([self.begin(len(tokens)), self.embed(tokens, rows)], 1)
        return self.read(self.states(vectors)[0], rows)


def build(**arguments: Any) -> CausalLM:
    """Build the net of a card."""
    return CausalLM(**arguments)
