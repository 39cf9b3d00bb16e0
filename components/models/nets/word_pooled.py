"""A language model that reads and writes whole words: bytes → a vector a word → bytes (arXiv 2310.11628, §3).

An encoder sees one word alone, a learned prefix before its bytes, and keeps the prefix' output. A causal body
runs over these vectors: one position a word. A decoder, causal inside the word, starts from the body's state
and writes the next word byte by byte; in training all words are decoded at once, teacher-forced.

A word shorter than the canvas is closed by an end symbol; one that fills it needs none. No word is empty.
So the probabilities of all words after a text sum to one, and those of its words multiply to the likelihood
of the text cut as it is. Differences from the paper: the body's state is also added, mapped, to every slot of
the decoder; one layer each for encoder and decoder instead of two; rotary positions; one prefix.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from components.models.nets.causal_lm import Block, CausalLM, Norm

LENGTHS = (2, 4, 6, 9)  # words up to so many symbols are computed together, then those up to the canvas
MULTIPLE = 64  # words a group in training
MASKED = -1e4


class Slots(NamedTuple):
    """The decoder's filled slots of many words, one row each: state, symbol to come, its word, its place."""

    states: Tensor
    targets: Tensor
    word: Tensor
    place: Tensor


class WordPooledLM(nn.Module):
    """Words come as ids (…, canvas) of `alphabet` symbols, filled up with the end symbol, id `alphabet`."""

    def __init__(self, alphabet: int = 256, canvas: int = 16, width: int = 192, depth: int = 4,
                 heads: int = 3, hidden: int = 512, inner: int = 384, context: int = 128) -> None:
        """`inner` is the hidden width of encoder and decoder; `context` is the trained length in words."""
        super().__init__()
        self.end, self.canvas, self.context, self.width = alphabet, canvas, context, width
        self.body = CausalLM(alphabet + 1, width, depth, heads, hidden, context)
        self.prefix = nn.Parameter(torch.randn(width) * 0.5)
        self.encoder_blocks = nn.ModuleList([Block(width, heads, inner)])
        self.decoder_blocks = nn.ModuleList([Block(width, heads, inner)])
        self.tell = nn.Linear(width, width, bias=False)
        self.norm = Norm(width)

    def groups(self, words: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield the indices of words (words, canvas) of like length, their ids without common filling.

        In training every group is filled up with words that are there already, for a matrix product of a
        new shape has to be planned first; the third value says which rows are no such repetition.
        """
        lengths, least = (words != self.end).sum(1), 0
        for most in (*(size for size in LENGTHS if size < self.canvas), self.canvas):
            index = ((lengths > least) & (lengths <= most)).nonzero()[:, 0]
            least, size = most, len(index)
            if size:
                if self.training:
                    index = index[torch.arange(-(-size // MULTIPLE) * MULTIPLE, device=index.device) % size]
                own = torch.arange(len(index), device=index.device) < size
                yield index, words[index, :most], own

    def encode(self, words: Tensor) -> Tensor:
        """Return the vectors (words, width), of unit variance, of words (words, canvas), each seen alone."""
        unique, inverse = torch.unique(words, dim=0, return_inverse=True)
        parts, order = [], []
        for index, ids, own in self.groups(unique):
            start = F.layer_norm(self.prefix, (self.width,)).expand(len(ids), 1, -1)
            x = low(torch.cat([start, self.body.embed(ids)], 1))
            filling = F.pad(ids == self.end, (1, 0))[:, None, None]
            mask = torch.zeros(filling.shape, dtype=x.dtype, device=x.device).masked_fill(filling, MASKED)
            turn = self.body.turn(0, x.shape[1], x)
            for block in self.encoder_blocks:
                x, _ = block(x, turn, mask)
            parts.append(F.layer_norm(x[own, 0], (self.width,)))
            order.append(index[own])
        back = torch.empty_like(torch.cat(order)).scatter_(0, torch.cat(order),
                                                           torch.arange(len(unique), device=words.device))
        return torch.cat(parts)[back][inverse]

    def states(self, words: Tensor) -> Tensor:
        """Return the body's states (batch, words + 1, width) for words (batch, words, canvas).

        The state at index i has seen the words before word i.
        """
        batch, time, canvas = words.shape
        start = self.body.begin(batch)
        if time:
            read = self.encode(words.reshape(-1, canvas)).view(batch, time, -1)
            start = torch.cat([start.to(read.dtype), read], 1)
        return self.body.states(start)[0]

    def write(self, states: Tensor, ids: Tensor) -> Tensor:
        """Return the decoder's output (words, symbols + 1, width) after states (words, width) and symbols.

        Output i has seen the first i of ids (words, symbols).
        """
        told = states[:, None]
        x = F.layer_norm(told, (self.width,))
        if ids.shape[1]:
            x = torch.cat([x, self.body.embed(ids).to(x.dtype) + self.tell(told).to(x.dtype)], 1)
        x = low(x)
        time = x.shape[1]
        mask = torch.full((time, time), MASKED, device=x.device, dtype=x.dtype).triu(1)
        turn = self.body.turn(0, time, x)
        for block in self.decoder_blocks:
            x, _ = block(x, turn, mask)
        written: Tensor = self.norm(x)
        return written

    def slots(self, states: Tensor, words: Tensor) -> Slots:
        """Return the filled slots of words (words, canvas) that are to follow states (words, width)."""
        found: list[Slots] = []
        for index, ids, own in self.groups(words):
            size = min(ids.shape[1] + 1, self.canvas)
            written = self.write(states[index], ids[:, : size - 1])
            lengths = (ids != self.end).sum(1, keepdim=True)
            places = torch.arange(size, device=ids.device)
            # As many slots as symbols, and one for the end where the canvas is not full.
            filled = (places < (lengths + 1).clamp(max=self.canvas)) & own[:, None]
            targets = F.pad(ids, (0, 1), value=self.end)[:, :size]
            found.append(Slots(written[filled], targets[filled], index[:, None].expand(-1, size)[filled],
                               places.expand(len(ids), -1)[filled]))  # fmt: skip
        return Slots(*(torch.cat(part) for part in zip(*found, strict=True)))

    def log_odds(self, states: Tensor, place: Tensor) -> Tensor:
        """Return log probabilities (slots, symbols + end) of decoder states; a word cannot end at place 0."""
        logits = self.body.read(states).float()
        empty = F.one_hot(torch.tensor(self.end), self.end + 1).bool() & (place == 0)[:, None]
        return logits.masked_fill(empty, -torch.inf).log_softmax(-1)

    def judge(self, states: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
        """Return nats (words,) of words (words, canvas) after states, and whether greedy writing does so."""
        slots = self.slots(states, words)
        odds = self.log_odds(slots.states, slots.place)
        own = -odds.gather(1, slots.targets[:, None])[:, 0]
        wrong = (odds.argmax(1) != slots.targets).float()
        nats, misses = (torch.zeros(len(words)).index_add_(0, slots.word, part) for part in (own, wrong))
        return nats, misses == 0

    def forward(self, words: Tensor) -> Tensor:
        """Return the nats (batch, words) of every word of (batch, words, canvas) given those before it."""
        states = self.states(words[:, :-1])
        nats, _ = self.judge(states.flatten(0, 1), words.flatten(0, 1))
        return nats.view(words.shape[:2])

    def following(self, states: Tensor, ids: Tensor) -> Tensor:
        """Return log probabilities (words, symbols + end) of the symbol after ids (words, symbols so far)."""
        last = self.write(states, ids)[:, -1]
        return self.log_odds(last, torch.full((len(ids),), ids.shape[1], device=ids.device))

    @torch.inference_mode()
    def greedy(self, states: Tensor) -> Tensor:
        """Return the words (words, canvas) that the likeliest symbols form after states (words, width)."""
        ids = torch.zeros((len(states), 0), dtype=torch.long, device=states.device)
        open_ = torch.ones(len(states), dtype=torch.bool, device=states.device)
        for _ in range(self.canvas):
            best = self.following(states, ids).argmax(1)
            best = torch.where(open_, best, self.end)
            open_ = open_ & (best != self.end)
            ids = torch.cat([ids, best[:, None]], 1)
        return ids

    @torch.inference_mode()
    def beam(self, state: Tensor, number: int, beam: int) -> list[tuple[tuple[int, ...], float]]:
        """Return the `number` likeliest words after one state (width,) and their probabilities.

        At every step the `beam` likeliest unfinished beginnings go on.
        """
        ids = torch.zeros((1, 0), dtype=torch.long, device=state.device)
        scores, done = torch.zeros(1, device=state.device), []
        for _ in range(self.canvas):
            odds = scores[:, None] + self.following(state.expand(len(ids), -1), ids)
            done += [(tuple(word), float(s)) for word, s in zip(ids.tolist(), odds[:, self.end], strict=True)]
            scores, best = odds[:, : self.end].flatten().topk(min(beam, len(ids) * self.end))
            ids = torch.cat([ids[best // self.end], (best % self.end)[:, None]], 1)
        done += [(tuple(word), float(s)) for word, s in zip(ids.tolist(), scores, strict=True)]
        done.sort(key=lambda one: -one[1])
        return [(word, float(torch.tensor(s).exp())) for word, s in done[:number]]


def low(x: Tensor) -> Tensor:
    """Return the stream in the half precision of autocast, where that is on."""
    return x.to(torch.get_autocast_dtype(x.device.type)) if torch.is_autocast_enabled(x.device.type) else x


def build(**arguments: Any) -> WordPooledLM:
    """Build the net of a card."""
    return WordPooledLM(**arguments)
