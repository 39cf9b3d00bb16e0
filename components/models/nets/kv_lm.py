"""A small causal language model that looks values up by their keys, and lets its cache be thinned out.

On top of `CausalLM`: `follow` walks threads, emitting each hop's answer and feeding it back, and `window`
runs a window of tokens while somebody chooses, layer by layer, which cached tokens it may attend to. Arrays
go in and come out as NumPy, so that callers need no torch.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from components.models.nets.causal_lm import Block, CausalLM, Past, rotate

FILLER_SPREAD = 0.05  # how far the rows of one class of words lie from their middle

Ids = NDArray[np.int64]
Floats = NDArray[np.float32]
# (layer, queries (heads, window, d), keys (heads, tokens, d)) → the cached tokens to keep, in order
Choice = Callable[[int, Floats, Floats], Ids]


class Seen(NamedTuple):
    """What a window saw in one layer: its queries (heads, window, d) and the cached tokens that were kept."""

    queries: Floats
    kept: Ids


class Cache(NamedTuple):
    """What the model holds of a text of `tokens` tokens; `layers` has one entry a block."""

    layers: list[Past]
    tokens: int

    def keys(self, layer: int) -> Floats:
        """Return the first text's keys (heads, tokens, d) of a layer."""
        found: Floats = self.layers[layer].keys[0].float().cpu().numpy()
        return found

    def values(self, layer: int) -> Floats:
        """Return the first text's values (heads, tokens, d) of a layer."""
        found: Floats = self.layers[layer].values[0].float().cpu().numpy()
        return found


class KeyValueLM(CausalLM):
    """A `CausalLM` with access to its queries and its cache.

    Of its rows the first `symbols` can be an answer; the last `fillers` belong to words of one class. All
    rows are fixed random directions: no symbol is ever learned, so each is as good as any other. Texts begin
    with their first token; nothing stands before it.
    """

    def __init__(self, vocabulary: int, symbols: int, fillers: int, **body: Any) -> None:
        """`body` is for `CausalLM`; without `rotary` only the convolutions over four tokens know an order."""
        super().__init__(vocabulary, **body)
        self.symbols, self.fillers = symbols, fillers
        self.table.requires_grad_(False)
        self.start.requires_grad_(False)
        self._start()

    @torch.no_grad()
    def _start(self) -> None:
        """Begin near a look-up, which otherwise takes long to come about by itself.

        The convolution gives each token its predecessor, channels turned by random signs. With keys that
        undo the signs a query for a symbol meets what came after it, and values are read back as they were.
        """
        rows = F.normalize(torch.randn_like(self.table), dim=-1)
        if self.fillers:
            of_class = rows[-1] + FILLER_SPREAD * rows[-self.fillers :]
            rows[-self.fillers :] = F.normalize(of_class, dim=-1)
        self.table.copy_(rows)
        for block in self.blocks:
            assert isinstance(block, Block)  # noqa: S101 - tells the type checker what a ModuleList holds
            signs = torch.randint(0, 2, (self.width,)) * 2.0 - 1
            query, _, value = block.qkv.weight.chunk(3)
            block.taps[-1] = signs
            block.qkv.weight[self.width : 2 * self.width] = query * signs
            block.out.weight.copy_(value.T)
            block.sharpness.fill_(0.7)

    def forward(self, tokens: Tensor, rows: Tensor | None = None) -> Tensor:
        """Return the logits (batch, time, vocabulary) of what follows each of the token ids (batch, time)."""
        return self.read(self.states(self.embed(tokens, rows))[0], rows)

    def queries(self, layer: int, x: Tensor, turn: tuple[Tensor, Tensor] | None, past: Past | None) -> Tensor:
        """Return the queries (batch, heads, time, d) of a layer for its input stream (batch, time, width)."""
        block = self.blocks[layer]
        assert isinstance(block, Block)  # noqa: S101 - tells the type checker what a ModuleList holds
        mixed, _ = block.mix(block.norm_attend(x), past.tail if past else None)
        q = F.linear(mixed, block.qkv.weight[: self.width]).view(*x.shape[:2], self.heads, -1)
        return rotate(F.layer_norm(q, (q.shape[-1],)), turn).transpose(1, 2)

    @torch.inference_mode()
    def prefill(self, tokens: Ids) -> Cache:
        """Read a text (time,) or several of one length (batch, time) and return what the next tokens need."""
        ids = torch.from_numpy(np.atleast_2d(tokens)).to(self.table.device)
        return Cache(self.states(self.embed(ids))[1], ids.shape[1])

    @torch.inference_mode()
    def ask(self, cache: Cache, tokens: Ids) -> tuple[Ids, Cache]:
        """Go on with tokens (texts, time); return the likeliest symbol after them (texts,) and the cache."""
        ids = torch.from_numpy(tokens).to(self.table.device)
        states, past = self.states(self.embed(ids), cache.layers)
        found: Ids = self.read(states[:, -1])[:, : self.symbols].argmax(-1).cpu().numpy()
        return found, Cache(past, cache.tokens + tokens.shape[1])

    def follow(self, cache: Cache, prompts: Ids, hops: int) -> Ids:
        """Ask for keys and for what they lead to: answers (texts, threads, hops), each fed back.

        `prompts` (texts, threads, time) end with the first key. Every thread is followed by itself, as if the
        others had not been asked for.
        """
        texts, threads, _ = prompts.shape
        layers = [Past(*(part.repeat_interleave(threads, 0) for part in past)) for past in cache.layers]
        cache, tokens, found = Cache(layers, cache.tokens), prompts.reshape(texts * threads, -1), []
        for _ in range(hops):
            answers, cache = self.ask(cache, tokens)
            tokens = answers[:, None]
            found.append(answers)
        return np.stack(found, axis=1).reshape(texts, threads, hops)

    def follow_together(self, cache: Cache, starts: Ids, hops: int, mark: int) -> Ids:
        """Follow the threads that begin with `starts` (texts, threads) in turns, a hop each.

        Every hop is asked as `mark`, key; all that was asked and answered before stays in sight. Answers are
        (texts, threads, hops).
        """
        current, found, said = starts.copy(), [], starts[:, :0]
        for _ in range(hops):
            for thread in range(starts.shape[1]):
                marks = np.full((len(starts), 1), mark, dtype=np.int64)
                asked = np.concatenate([said, marks, current[:, thread : thread + 1]], axis=1)
                current[:, thread], cache = self.ask(cache, asked)
                said = current[:, thread : thread + 1].copy()
            found.append(current.copy())
        return np.stack(found, axis=2)

    @torch.inference_mode()
    def window(self, cache: Cache, tokens: Ids, choose: Choice | None = None) -> tuple[Floats, list[Seen]]:
        """Run a window (time,) after one cached text; return its logits (time, vocabulary) and what it saw.

        Before each layer `choose` says which cached tokens stay; the others are dropped from that layer's
        keys and values. Positions are those of the whole text. Without `choose` everything stays.
        """
        x = self.embed(torch.from_numpy(tokens[None]).to(self.table.device))
        time, seen = len(tokens), []
        turn = self.turn(cache.tokens, time, x)
        everything = np.arange(cache.tokens, dtype=np.int64)
        for layer, past in enumerate(cache.layers):
            queries = self.queries(layer, x, turn, past)[0].cpu().numpy()
            kept = everything if choose is None else choose(layer, queries, cache.keys(layer))
            at = torch.from_numpy(kept).to(x.device)
            mask = torch.full((time, len(kept) + time), -1e4, device=x.device).triu(len(kept) + 1)
            less = Past(past.keys[:, :, at], past.values[:, :, at], past.tail)
            x, _ = self.blocks[layer](x, turn, mask, less)
            seen.append(Seen(queries, kept))
        logits: Floats = self.read(self.norm(x))[0].cpu().numpy()
        return logits, seen


def build(**arguments: Any) -> KeyValueLM:
    """Build the net of a card."""
    return KeyValueLM(**arguments)
