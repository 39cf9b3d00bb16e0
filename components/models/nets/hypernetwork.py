"""A hypernetwork that predicts the row of a new token from the rows of its pieces (ZeTT, 2405.07883).

The pieces are those of the model's own tokenizer. The prediction is added to the mean of the pieces, so
that an untrained network is the heuristic known as FVT. Rows are put in and taken out with the mean and the
deviation of each channel of the model's table.

The same token is worth something else in another tokenizer: "th" opens every "the" that the tokenizer cannot
write at once. So the network may also hear the `surroundings` of a token in its tokenizer: the mean row, and
how frequent they are, of the model's own tokens that the new tokenizer begins, and ends, with that token.
The paper's network hears the pieces alone (section 3.2).
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from components.models.nets.causal_lm import Norm

FEW = 2  # tokens of at most so many pieces go together and need few places


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

    prior: Tensor  # logarithm of the share in text of each of the language model's own tokens

    def __init__(self, width: int = 192, depth: int = 2, heads: int = 3, hidden: int = 384,
                 pieces: int = 6, symbols: int = 0) -> None:
        """`width` and `symbols` are the language model's; of a token's pieces the first `pieces` count."""
        super().__init__()
        self.width, self.pieces, self.symbols = width, pieces, symbols
        self.register_buffer("prior", torch.zeros(symbols))
        self.sides = nn.Parameter(torch.randn(2, width) * 0.1)
        self.amount = nn.Parameter(torch.zeros(2, width))
        self.first = nn.Parameter(torch.randn(width) * 0.5)  # stands before the pieces and is read
        self.places = nn.Parameter(torch.randn(pieces, width) * 0.1)
        self.blocks = nn.ModuleList(Block(width, heads, hidden) for _ in range(depth))
        self.norm = Norm(width)
        self.up, self.down = nn.Linear(4 * width, hidden), nn.Linear(hidden, width)
        nn.init.zeros_(self.down.weight)
        nn.init.zeros_(self.down.bias)

    def surroundings(self, table: Tensor, first: Tensor, last: Tensor, tokens: int) -> Tensor:
        """Return what `tokens` new tokens open and close (tokens, 2, width + 1).

        The new tokenizer writes the language model's own token i, whose row is `table[i]`, with new token
        `first[i]` at the beginning and `last[i]` at the end, -1 if it cannot. The last channel is the
        logarithm of the share of those own tokens in text, minus infinity where there are none.
        """
        share = self.prior.exp()
        found = table.new_zeros(tokens, 2, self.width + 1)
        for side, ids in enumerate((first, last)):
            there = ids >= 0
            at, part = ids[there], share[there]
            mass = share.new_zeros(tokens).index_add(0, at, part)
            total = table.new_zeros(tokens, self.width).index_add(0, at, table[there] * part[:, None])
            found[:, side, :-1] = total / mass.clamp(min=1e-12)[:, None]
            found[:, side, -1] = mass.log()
        return found

    def forward(self, pieces: Tensor, table: Tensor, around: Tensor | None = None) -> Tensor:
        """Return the rows (tokens, width) of tokens with `pieces` (tokens, k), -1 where there is none.

        `table` (symbols, width) are the language model's rows, `around` the tokens' `surroundings`.
        """
        pieces = pieces[:, : self.pieces]
        middle = table.mean(0)
        # The deviation written out: `std` over rows takes ten times as long.
        spread = ((table - middle).square().sum(0) / (len(table) - 1)).sqrt() + 1e-6
        known = (table - middle) / spread
        if around is None:
            around = table.new_full((len(pieces), 2, self.width + 1), -math.inf)
        heard = around[..., -1:] > -math.inf
        near = torch.where(heard, (around[..., :-1] - middle) / spread, 0.0)
        near = torch.cat([near, torch.where(heard, around[..., -1:], 0.0)], -1)
        many = pieces[:, FEW:].amax(1) >= 0 if pieces.shape[1] > FEW else torch.zeros_like(heard[:, 0, 0])
        changed = table.new_empty(len(pieces), self.width)
        for group, most in ((~many, FEW), (many, self.pieces)):
            if bool(group.any()):
                changed[group] = self._predict(pieces[group, :most], known, near[group], heard[group, :, 0])
        return changed * spread + middle

    def _predict(self, pieces: Tensor, known: Tensor, near: Tensor, heard: Tensor) -> Tensor:
        """Return normalised rows (tokens, width); the `known` ones and those `near` are normalised too."""
        there = pieces >= 0
        parts = F.embedding(pieces.clamp(min=0), known) * there[..., None]
        mean = parts.sum(1) / there.sum(1, keepdim=True)
        near, amount = near[..., :-1], near[..., -1:]
        start = self.first.expand(len(pieces), 1, -1)
        sides = near + self.sides + self.amount * amount
        x = torch.cat([start, sides, parts + self.places[: pieces.shape[1]]], 1)
        out_of_sight = (~torch.cat([torch.ones_like(there[:, :1]), heard, there], 1)).float() * -1e4
        if torch.is_autocast_enabled(x.device.type):
            x = x.to(torch.get_autocast_dtype(x.device.type))
        for block in self.blocks:
            x = block(x, out_of_sight[:, None, None])
        read = torch.cat([self.norm(x[:, 0]), torch.cat([mean, near.flatten(1)], -1).to(x.dtype)], -1)
        change: Tensor = self.down(F.gelu(self.up(read)))
        return mean + change.float()


def build(**arguments: int) -> Hypernetwork:
    """Build the net of a card."""
    return Hypernetwork(**arguments)
