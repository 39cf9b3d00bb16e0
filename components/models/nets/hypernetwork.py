"""A hypernetwork that predicts the row of a new token from the rows of its pieces (ZeTT, 2405.07883).

The pieces are those of the model's own tokenizer. The prediction is added to the mean of the pieces, so
that an untrained network is the heuristic known as FVT. Rows are put in and taken out with the mean and the
deviation of each channel of the model's table.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from components.models.nets.causal_lm import Norm


class Block(nn.Module):
    """Attention in both directions and a feed-forward layer; each adds to the stream."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        """`hidden` is the inner width of the feed-forward layer."""
        super().__init__()
        self.heads = heads
        self.norm_attend, self.norm_feed = Norm(width), Norm(width)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.up = nn.Linear(width, hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor, hidden: Tensor) -> Tensor:
        """Return the stream (tokens, places, width); `hidden` (tokens, 1, 1, places) joins the logits."""
        tokens, places, width = x.shape
        parts = self.qkv(self.norm_attend(x)).view(tokens, places, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        q, k, v = parts.unbind(0)
        weights = (q @ k.transpose(-1, -2)) / math.sqrt(width // self.heads) + hidden.to(q.dtype)
        heard = (weights.softmax(-1) @ v).transpose(1, 2).reshape(tokens, places, width)
        x = x + self.out(heard)
        fed: Tensor = self.down(F.gelu(self.up(self.norm_feed(x))))
        return x + fed


class Hypernetwork(nn.Module):
    """Turns the pieces of new tokens into rows of a language model's table, each token by itself."""

    def __init__(self, width: int = 192, depth: int = 2, heads: int = 3, hidden: int = 384,
                 pieces: int = 6) -> None:
        """`width` is the language model's; of a token's pieces the first `pieces` count."""
        super().__init__()
        self.width, self.pieces = width, pieces
        self.first = nn.Parameter(torch.randn(width) * 0.5)  # stands before the pieces and is read
        self.places = nn.Parameter(torch.randn(pieces, width) * 0.1)
        self.blocks = nn.ModuleList(Block(width, heads, hidden) for _ in range(depth))
        self.norm = Norm(width)
        self.up, self.down = nn.Linear(2 * width, hidden), nn.Linear(hidden, width)
        nn.init.zeros_(self.down.weight)
        nn.init.zeros_(self.down.bias)

    def forward(self, pieces: Tensor, table: Tensor) -> Tensor:
        """Return the rows (tokens, width) of tokens with `pieces` (tokens, k), -1 where there is none.

        `table` (symbols, width) are the language model's rows.
        """
        pieces = pieces[:, : self.pieces]
        there = pieces >= 0
        middle, spread = table.mean(0), table.std(0) + 1e-6
        known = F.embedding(pieces.clamp(min=0), (table - middle) / spread) * there[..., None]
        count = there.sum(1, keepdim=True)
        mean = known.sum(1) / count
        x = torch.cat([self.first.expand(len(pieces), 1, -1), known + self.places[: pieces.shape[1]]], 1)
        out_of_sight = F.pad((~there).float() * -1e4, (1, 0))[:, None, None]
        if torch.is_autocast_enabled(x.device.type):
            x = x.to(torch.get_autocast_dtype(x.device.type))
        for block in self.blocks:
            x = block(x, out_of_sight)
        read = torch.cat([self.norm(x[:, 0]), mean.to(x.dtype)], -1)
        change: Tensor = self.down(F.gelu(self.up(read)))
        rows: Tensor = (mean + change.float()) * spread + middle
        return rows


def build(**arguments: int) -> Hypernetwork:
    """Build the net of a card."""
    return Hypernetwork(**arguments)
