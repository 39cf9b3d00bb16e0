"""A language model that reads and writes whole words: bytes → a vector a word → bytes (arXiv 2310.11628, §3).

An encoder sees one word alone, with learned slots behind its bytes whose outputs, joined, are the word's
vector. A causal body runs over these vectors: one position a word. A decoder, causal inside the word, is told
the body's state at every slot and writes the next word byte by byte; in training all words are decoded at
once, teacher-forced. Encoder and decoder are narrower than the body, since they run on every byte.

A word shorter than the canvas is closed by an end symbol; one that fills it needs none. No word is empty.
So the probabilities of all words after a text sum to one, and those of its words multiply to the likelihood
of the text cut as it is. Differences from the paper: the state is added to every slot of the decoder instead
of standing before it; one layer each for encoder and decoder instead of two; the outputs of the learned slots
make one position instead of several; rotary positions; and a memory: a learned row for the bytes of the word
up to a slot, found by a hash, is added to that slot in encoder and decoder. A slot still sees nothing but its
own word so far and the state.
"""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from components.errors import InputError
from components.models.nets.causal_lm import CausalLM, Norm
from components.models.nets.packed_words import SPAN, Packing, WordBlock, pack

MULTIPLE = 512  # slots in training
PRIME = (1 << 31) - 1
FACTORS = (1_103_515_245, 1_640_531_527)  # of the hash, below PRIME so that products fit 64 bits


class Slots(NamedTuple):
    """The decoder's slots of many words, one row each: state, symbol to come, its word, its place."""

    states: Tensor
    targets: Tensor
    word: Tensor
    place: Tensor


class WordPooledLM(nn.Module):
    """Words come as ids (…, canvas) of `alphabet` symbols, filled up with the end symbol, id `alphabet`."""

    def __init__(self, body: dict[str, Any], alphabet: int = 256, canvas: int = 16, letters: int = 96,
                 inner: int = 256, prefixes: int = 2, memory: int = 8192, context: int = 128) -> None:
        """`body` is {width, depth, heads, hidden} of the causal body; `context` its trained length in words.

        `letters` is the width of encoder and decoder, `inner` the hidden one of their SwiGLU; `prefixes`
        learned slots are kept of each word; the memory has `memory` rows, none where that is 0.
        """
        super().__init__()
        if canvas + prefixes > SPAN:
            raise InputError(f"A canvas of {canvas} with {prefixes} learned slots was given; "
                             f"at most {SPAN} slots fit; choose fewer.")  # fmt: skip
        width = body["width"]
        self.end, self.canvas, self.context, self.width = alphabet, canvas, context, width
        self.prefixes = prefixes
        # Rows: the alphabet, the end symbol, what stands before a word's first symbol, the learned slots.
        self.body = CausalLM(alphabet + 2 + prefixes, context=context, **body)
        self.memory = nn.Parameter(torch.randn(memory, letters) * 0.02)
        self.encoder_blocks = nn.ModuleList([WordBlock(letters, 1, inner)])
        self.decoder_blocks = nn.ModuleList([WordBlock(letters, 1, inner)])
        # Named as blocks are, for their matrices are trained as those are.
        self.bridge_blocks = nn.ModuleDict({
            "into": nn.Linear(width, letters, bias=False), "out_of": nn.Linear(width, letters, bias=False),
            "gather": nn.Linear(prefixes * letters, width, bias=False),
            "tell": nn.Linear(width, letters, bias=False),
        })  # fmt: skip
        self.norm = Norm(letters)

    def keys(self, words: Tensor) -> Tensor:
        """Return hashes (words, canvas + 1): that at i is of the first i symbols of words (words, canvas).

        From the word's end on it stays what it is of the whole word.
        """
        key = torch.zeros_like(words[:, 0])
        found = [key]
        for symbol in words.unbind(1):
            after = (key * FACTORS[0] + (symbol + 1) * FACTORS[1]) % PRIME
            key = torch.where(symbol == self.end, key, after)
            found.append(key)
        return torch.stack(found, 1)

    def embed(self, ids: Tensor, keys: Tensor, packing: Packing) -> Tensor:
        """Return the stream (slots, letters) of symbols (slots,), with the memory rows of keys (slots,)."""
        rows = low(F.layer_norm(self.bridge_blocks["into"](self.body.table), self.memory.shape[1:]))
        x = F.embedding(packing.fill(ids), rows)
        if len(self.memory):
            x = x + low(F.embedding(packing.fill(keys) % len(self.memory), self.memory))
        return x

    def pack(self, sizes: Tensor) -> Packing:
        """Lay out words of `sizes` slots for the blocks of encoder and decoder."""
        kind = low(self.memory[:0]).dtype
        return pack(sizes, self.memory.shape[1], kind, MULTIPLE if self.training else SPAN)

    def encode(self, words: Tensor) -> Tensor:
        """Return the vectors (words, width), of unit variance, of words (words, canvas), each seen alone."""
        unique, inverse = torch.unique(words, dim=0, return_inverse=True)
        lengths = (unique != self.end).sum(1)
        packing = self.pack(lengths + self.prefixes)
        word, place = packing.word[: packing.size], packing.place[: packing.size]
        behind = place - lengths[word]
        byte = unique[word, place.clamp(max=self.canvas - 1)]
        ids = torch.where(behind < 0, byte, self.end + 2 + behind)
        keys = self.keys(unique)[word, (place + 1).clamp(max=self.canvas)]
        x = self.embed(ids, keys, packing)
        for block in self.encoder_blocks:
            x = block(x, packing)
        kept = F.layer_norm(x[: packing.size][behind >= 0], x.shape[1:]).view(len(unique), -1)
        return F.layer_norm(self.bridge_blocks["gather"](kept), (self.width,))[inverse]

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

    def write(self, states: Tensor, words: Tensor, packing: Packing) -> Tensor:
        """Return the decoder's output (slots, letters) after states (words, width).

        Output i of a word has seen the first i symbols of it, words (words, canvas).
        """
        word, place = packing.word[: packing.size], packing.place[: packing.size]
        before = F.pad(words, (1, 0), value=self.end + 1)[word, place]
        x = self.embed(before, self.keys(words)[word, place], packing)
        x = x + self.bridge_blocks["tell"](states)[packing.word.clamp(min=0)].to(x.dtype)
        for block in self.decoder_blocks:
            x = block(x, packing)
        written: Tensor = self.norm(x)[: packing.size]
        return written

    def slots(self, states: Tensor, words: Tensor) -> Slots:
        """Return the slots of words (words, canvas) that are to follow states (words, width)."""
        # As many slots as symbols, and one for the end where the canvas is not full.
        packing = self.pack(((words != self.end).sum(1) + 1).clamp(max=self.canvas))
        word, place = packing.word[: packing.size], packing.place[: packing.size]
        return Slots(self.write(states, words, packing), words[word, place], word, place)

    def rows(self) -> Tensor:
        """Return the output rows (symbols + end, letters)."""
        found: Tensor = self.bridge_blocks["out_of"](self.body.table[: self.end + 1])
        return found

    def log_odds(self, states: Tensor, place: Tensor) -> Tensor:
        """Return log probabilities (slots, symbols + end) of decoder states; a word cannot end at place 0."""
        logits = (states @ self.rows().to(states.dtype).T).float()
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
        so_far = ids.shape[1]
        words = F.pad(ids, (0, self.canvas - so_far), value=self.end)
        packing = self.pack(torch.full((len(ids),), so_far + 1, device=ids.device))
        last = self.write(states, words, packing).view(len(ids), so_far + 1, -1)[:, -1]
        return self.log_odds(last, torch.full((len(ids),), so_far, device=ids.device))

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
