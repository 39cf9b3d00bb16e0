"""A text encoder with two bottlenecks: [CLS] and the ordinary tokens (DupMAE, 2211.08769).

The [CLS] state alone must let a one-layer decoder rebuild the text; the ordinary tokens' states, read by the
MLM head and max-pooled, must name its words. Both are kept as the text's vector: `dense` and `bag`.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PAD, UNKNOWN, CLS, SEP, MASK = range(5)  # the ids of the special tokens in every vocabulary of this net
HIDDEN = -1e4  # added to what must not be attended to


def attend(q: Tensor, k: Tensor, v: Tensor, heads: int, bias: Tensor | None) -> Tensor:
    """Return multi-head attention (batch, queries, width); `bias` is (batch, 1, 1 or queries, keys).

    Plain products: on a processor the gradient of the fused kernel costs three times as much.
    """
    q, k, v = (x.view(*x.shape[:2], heads, -1).transpose(1, 2) for x in (q, k, v))
    weights = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    if bias is not None:
        weights = weights + bias.to(weights.dtype)
    heard: Tensor = (weights.softmax(-1) @ v).transpose(1, 2).flatten(2)
    return heard


class _LargestLogit(torch.autograd.Function):
    """The largest logit over a text's tokens for each row of the table, one text's logits at a time.

    Only the token that is largest gets a gradient, so that no matrix (batch, time, vocabulary) is kept.
    """

    @staticmethod
    def forward(ctx: Any, read: Tensor, table: Tensor) -> Tensor:
        """Return (batch, vocabulary) float32: `read` (batch, time, width), `table` (vocabulary, width)."""
        rows = table.to(read.dtype)
        best = [(one @ rows.T).float().max(0) for one in read]
        ctx.save_for_backward(read, rows, torch.stack([b.indices for b in best]))
        return torch.stack([b.values for b in best])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        """Give each row's gradient to the token it was largest at."""
        read, rows, where = ctx.saved_tensors
        to_read = torch.zeros(read.shape, device=read.device)
        to_table = torch.zeros(rows.shape, device=rows.device)
        for one, grad, own, target in zip(read, grads[0], where, to_read, strict=True):
            slope = grad[:, None].to(rows.dtype)
            target.index_add_(0, own, (slope * rows).float())
            to_table += slope * one[own]
        return to_read.to(read.dtype), to_table


class Feed(nn.Module):
    """The position-wise half of a layer: normalise, widen, GELU, narrow."""

    def __init__(self, width: int, hidden: int) -> None:
        """`hidden` is the inner width."""
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, hidden), nn.Linear(hidden, width)
        nn.init.zeros_(self.down.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return what is added to the stream (batch, time, width)."""
        update: Tensor = self.down(F.gelu(self.up(self.norm(x))))
        return update


class Block(nn.Module):
    """A pre-norm encoder layer that looks both ways."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        """`heads` must divide `width`."""
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.feed = Feed(width, hidden)
        nn.init.zeros_(self.out.weight)

    def forward(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """Return the stream (batch, time, width) after this layer."""
        q, k, v = self.qkv(self.norm(x)).chunk(3, -1)
        x = x + self.out(attend(q, k, v, self.heads, bias))
        fed: Tensor = x + self.feed(x)
        return fed


class Decoder(nn.Module):
    """The one layer that rebuilds a text from its [CLS] state: RetroMAE's enhanced decoding (2205.12035)."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        """Ask with [CLS] + position alone; keys and values are [CLS] and the text's embeddings."""
        super().__init__()
        self.heads = heads
        self.norm_query, self.norm_key = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.keyed = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)
        self.feed = Feed(width, hidden)

    def forward(self, cls: Tensor, embedded: Tensor, positions: Tensor, visible: Tensor) -> Tensor:
        """Return states (batch, time, width) that say which token stood at each place.

        `cls` is (batch, width), `embedded` (batch, time, width) with `positions` (time, width) in it;
        `visible` (batch, time, time) says which tokens row i may see; [CLS] is seen by all.
        """
        asking = cls[:, None] + positions
        k, v = self.keyed(self.norm_key(torch.cat([cls[:, None], embedded], 1))).chunk(2, -1)
        bias = F.pad(torch.zeros_like(visible, dtype=cls.dtype).masked_fill(~visible, HIDDEN), (1, 0))
        heard = attend(self.query(self.norm_query(asking)), k, v, self.heads, bias[:, None])
        x = asking + self.out(heard)
        rebuilt: Tensor = x + self.feed(x)
        return rebuilt


class DupEncoder(nn.Module):
    """Encoder, decoder, the two vectors of a text, and one table for input and output rows."""

    positions: Tensor

    def __init__(
        self,
        vocabulary: int,
        width: int = 192,
        depth: int = 3,
        heads: int = 3,
        hidden: int = 768,
        context: int = 256,
        dim: int = 384,
    ) -> None:
        """`context` is the longest text in tokens, specials included; `dim` the size of the [CLS] vector."""
        super().__init__()
        self.vocabulary, self.width, self.context, self.dim = vocabulary, width, context, dim
        self.table = nn.Parameter(torch.randn(vocabulary, width) * 0.05)
        self.blocks = nn.ModuleList(Block(width, heads, hidden) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.transform, self.norm_head = nn.Linear(width, width), nn.LayerNorm(width)
        self.decoder = Decoder(width, heads, hidden)
        self.norm_decoded = nn.LayerNorm(width)
        self.project = nn.Linear(width, dim)  # W_cls
        # How much a token's weight counts in the bag: softplus of it, shifted so that 0 gives 1.
        self.gain = nn.Parameter(torch.zeros(vocabulary))
        self.register_buffer("positions", sinusoids(context, width), persistent=False)

    def embed(self, tokens: Tensor) -> Tensor:
        """Return the input vectors (batch, time, width): normalised rows plus positions."""
        rows = F.layer_norm(F.embedding(tokens, self.table), (self.width,))
        return rows + self.positions[: tokens.shape[1]]

    def states(self, tokens: Tensor) -> Tensor:
        """Return the last states (batch, time, width) of token ids (batch, time) that begin with [CLS]."""
        x = self.embed(tokens)
        if torch.is_autocast_enabled(x.device.type):
            x = x.to(torch.get_autocast_dtype(x.device.type))
        padding = tokens == PAD
        bias = torch.zeros_like(padding, dtype=x.dtype).masked_fill(padding, HIDDEN)[:, None, None]
        for block in self.blocks:
            x = block(x, bias)
        normed: Tensor = self.norm(x)
        return normed

    def head(self, states: Tensor) -> Tensor:
        """Return what is multiplied by the table to give the MLM logits of states (..., width)."""
        read: Tensor = self.norm_head(F.gelu(self.transform(states)))
        return read

    def logits(self, states: Tensor) -> Tensor:
        """Return the MLM logits (..., vocabulary) of states; those of [CLS] serve LexSemBridge's CLR."""
        read = self.head(states)
        return read @ self.table.to(read.dtype).T

    def dense(self, states: Tensor) -> Tensor:
        """Return the L2-normalised [CLS] vectors W_cls h (batch, dim) of a batch's states."""
        return F.normalize(self.project(states[:, 0]).float(), dim=-1)

    def pooled(self, tokens: Tensor, states: Tensor) -> Tensor:
        """Return μ (batch, vocabulary): the largest MLM logit over the ordinary tokens (DupMAE eq. 5)."""
        read = self.head(states)
        # Special tokens say what the first ordinary one says, which changes no maximum.
        read = torch.where((tokens <= SEP)[:, :, None], read[:, 1:2], read)
        found: Tensor = _LargestLogit.apply(read, self.table)  # type: ignore[no-untyped-call]
        return found

    def bag(self, pooled: Tensor, top: int | None = None) -> Tensor:
        """Return L2-normalised token weights (batch, vocabulary) ≥ 0 from μ; special tokens weigh nothing.

        `top` keeps the so many largest weights of each text.
        """
        weights = F.softplus(self.gain + math.log(math.e - 1)) * torch.log1p(F.relu(pooled.float()))
        weights = weights * (torch.arange(self.vocabulary, device=weights.device) > MASK)
        if top is not None and top < self.vocabulary:
            least = weights.detach().topk(top, -1).values[:, -1:]
            weights = weights * (weights >= least)
        return F.normalize(weights, dim=-1)

    def decode(self, cls: Tensor, tokens: Tensor, visible: Tensor) -> Tensor:
        """Return logits (batch, time, vocabulary) of every place from [CLS] states (batch, width).

        `tokens` (batch, time) are seen only where `visible` (batch, time, time) allows.
        """
        read = self.decoded(cls, tokens, visible)
        return read @ self.table.to(read.dtype).T

    def decoded(self, cls: Tensor, tokens: Tensor, visible: Tensor) -> Tensor:
        """Return what is multiplied by the table to give the logits of `decode`."""
        embedded = self.embed(tokens).to(cls.dtype)
        positions = self.positions[: tokens.shape[1]].to(cls.dtype)
        states: Tensor = self.norm_decoded(self.decoder(cls, embedded, positions, visible))
        return states

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Return both vectors of token ids (batch, time): `dense` (batch, dim), `bag` (batch, vocabulary)."""
        states = self.states(tokens)
        return self.dense(states), self.bag(self.pooled(tokens, states))


def sinusoids(length: int, width: int) -> Tensor:
    """Return fixed position vectors (length, width) of wavelengths 2π to 20,000π (Vaswani et al. 2017)."""
    speeds = 10_000.0 ** (-torch.arange(0, width, 2) / width)
    angles = torch.outer(torch.arange(length, dtype=torch.float32), speeds)
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(1)


def build(**arguments: int) -> DupEncoder:
    """Build the net of a card."""
    return DupEncoder(**arguments)
