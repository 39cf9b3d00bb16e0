"""A language model without embeddings of its own: every text gets fresh random rows (arXiv 2305.16349, §2).

A symbol's row is drawn anew for every sequence and serves as its input and its output vector, so nothing is
known of a symbol but where it stands: the loss cannot change when symbols and rows are permuted together,
and, over the draw of rows, P(x) = P(π(x)) for every permutation π of the alphabet. The body has to find out
in context which symbol behaves like an `e`. With `own_rows` it is the normal twin: one learned table.

Differences from the paper: the rows are random *orthonormal* vectors (no two symbols look alike by chance)
of `ROW` numbers that a learned map lifts to the body's width, and another learned map reads the states back;
before the first symbol stands a learned start vector, so that the first symbol has a prediction and heads
have something to attend to when there is nothing; and the weights begin as heads that find earlier
occurrences of the same symbol and what came after them, instead of as noise.
"""

from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from components.models.nets.causal_lm import Block, CausalLM

ROW = 32  # numbers a row; as many as symbols, so that random rows can be orthonormal
HEAD = 64  # numbers a head
LOUD = 4.0  # rows of length 1 enter the stream multiplied by this
COPY = 0.15  # how loudly a copying head speaks at the start
MIX = 0.5  # deviation of the first weights of the short convolution


class Hearing(NamedTuple):
    """All that one run over symbols (batch, time) says.

    `logits` (batch, time + 1, symbols): entry t is about symbol t, before it is seen; the last is what would
    follow. `layers`: for each block, logits (batch, time, symbols) over what each seen symbol is in plain
    English. `plain` (batch, time + 1, symbols): logits over the plain identity of symbol t before it is seen.
    """

    logits: Tensor
    layers: list[Tensor]
    plain: Tensor


class LexinvariantLM(nn.Module):
    """A causal transformer over symbols whose rows come from outside, or from `own_rows`."""

    def __init__(self, symbols: int = 32, width: int = 192, depth: int = 6, hidden: int = 384,
                 context: int = 512, own_rows: bool = False) -> None:
        """`width` is a multiple of 64 and at least 192; `context` is the length it was trained on."""
        super().__init__()
        self.symbols, self.context, self.own_rows = symbols, context, own_rows
        # No rotary angles: the short convolution tells neighbours apart, and how often or where a symbol
        # came should count alike at any distance.
        self.body = CausalLM(0, width, depth, width // HEAD, hidden, context, rotary=False)
        self.start = nn.Parameter(torch.randn(width) / 2)
        self.lift = nn.Linear(ROW, width, bias=False)
        self.drop = nn.Linear(width, ROW, bias=False)
        if own_rows:
            self.table = nn.Parameter(torch.linalg.qr(torch.randn(ROW, symbols))[0].T.contiguous())
        else:
            self.probes = nn.ModuleList(nn.Linear(width, symbols) for _ in range(depth))
            self.foresee = nn.Linear(width, symbols)
        with torch.no_grad():
            self._begin()

    @property
    def blocks(self) -> list[Block]:
        """The body's blocks."""
        return cast(list[Block], list(self.body.blocks))

    def _begin(self) -> None:
        """Set the first weights.

        The stream has four parts: the row, the row again (which the convolution turns into "this row plus
        the one before"), what is to be predicted, and free features, which start empty.
        """
        row, again = slice(ROW), slice(ROW, 2 * ROW)
        said, free = slice(2 * ROW, 3 * ROW), slice(3 * ROW, None)
        one = torch.eye(ROW)
        self.start[: 3 * ROW] = 0
        for weight in (self.lift.weight, self.drop.weight):
            weight.zero_()
        self.lift.weight[row] = self.lift.weight[again] = one
        self.drop.weight[:, said] = one
        for block in self.blocks:
            block.taps.normal_(std=MIX)
            block.taps[:, : 3 * ROW] = 0
            block.taps[-1, again] = 1
            block.up.weight[:, : 3 * ROW] = 0
            query, key, value = block.qkv.weight.chunk(3)
            for part in (query, key):
                part[:, : 3 * ROW] *= 0.3
                part[: 2 * HEAD] *= 0.3
            value[:, : 3 * ROW] = 0
            # Head 0 attends to the same symbol, head 1 to what came after it; all but 0 copy what they find.
            query[:ROW, row] = key[:ROW, row] = query[HEAD : HEAD + ROW, row] = one
            key[HEAD : HEAD + ROW, row], key[HEAD : HEAD + ROW, again] = -one, one
            nn.init.normal_(block.out.weight, std=MIX / (block.out.in_features - 3 * ROW) ** 0.5)
            block.out.weight[: 3 * ROW] = 0
            for at in range(HEAD, block.out.in_features, HEAD):
                value[at : at + ROW, free], value[at : at + ROW, row] = 0, one
                block.out.weight[:, at : at + ROW] = 0
                block.out.weight[said, at : at + ROW] = COPY * one

    def fresh_rows(self, batch: int, seed: int | None = None) -> Tensor:
        """Return orthonormal rows (batch, symbols, 32), one table a sequence; seeded if asked."""
        chance = None if seed is None else torch.Generator().manual_seed(seed)
        draw = torch.randn(batch, ROW, self.symbols, generator=chance)
        # QR alone fixes the signs of its columns by their place, which would tell the symbols apart.
        signs = torch.randint(0, 2, (batch, 1, self.symbols), generator=chance) * 2.0 - 1
        rows: Tensor = (torch.linalg.qr(draw)[0] * signs).transpose(1, 2).contiguous()
        return rows.to(self.start.device)

    def rows(self, batch: int) -> Tensor:
        """Return the twin's own table for each of `batch` sequences, or fresh rows."""
        return self.table.expand(batch, -1, -1) if self.own_rows else self.fresh_rows(batch)

    def embed(self, tokens: Tensor, rows: Tensor) -> Tensor:
        """Return the start vector and the lifted rows of tokens (batch, time): (batch, 1 + time, width)."""
        picked = rows.gather(1, tokens[..., None].expand(-1, -1, ROW))
        vectors = self.lift(LOUD * picked)
        return torch.cat([self.start.to(vectors.dtype).expand(len(tokens), 1, -1), vectors], 1)

    def read(self, states: Tensor, rows: Tensor) -> Tensor:
        """Return logits (batch, time, symbols) of states under the same rows."""
        return self.body.read(self.drop(states), rows)

    def forward(self, tokens: Tensor, rows: Tensor | None = None) -> Tensor:
        """Return logits (batch, 1 + time, symbols): entry t is about token t, given those before it."""
        rows = self.rows(len(tokens)) if rows is None else rows
        return self.read(self.body.states(self.embed(tokens, rows))[0], rows)

    def hear(self, tokens: Tensor, rows: Tensor | None = None) -> Hearing:
        """Return the logits and, block by block, what the states say about each symbol's plain identity."""
        rows = self.rows(len(tokens)) if rows is None else rows
        x = self.embed(tokens, rows)
        if torch.is_autocast_enabled(x.device.type):
            x = x.to(torch.get_autocast_dtype(x.device.type))
        mask = torch.full((x.shape[1],) * 2, -1e4, device=x.device, dtype=x.dtype).triu(1)
        layers = []
        for block, probe in zip(self.blocks, self.probes, strict=True):
            x, _ = block(x, None, mask)
            layers.append(probe(F.layer_norm(x[:, 1:], x.shape[-1:])))
        states = self.body.norm(x)
        return Hearing(self.read(states, rows), layers, self.foresee(states))

    def beliefs(self, tokens: Tensor, rows: Tensor | None = None) -> Tensor:
        """Return log P of each seen token's plain identity (batch, time, symbols), from the last block."""
        return self.hear(tokens, rows).layers[-1].float().log_softmax(-1)


def build(**arguments: int) -> LexinvariantLM:
    """Build the net of a card."""
    return LexinvariantLM(**arguments)  # type: ignore[arg-type]
