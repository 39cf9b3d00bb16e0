"""What the key-value models are trained on: haystacks full of threads, and all kinds of questions after them.

A lesson is a haystack and a tail. The tail asks for keys: after a query mark or after a run of fillers comes
a key, then its value; where the value is a key itself the thread goes on.
"""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from components.models.nets.kv_lm import KeyValueLM
from components.numerics.threads import FILLERS, FIRST_FILLER, QUERY, SEPARATOR, SYMBOLS, TOKENS_A_PAIR

Ids = NDArray[np.int64]
LINKED = (0.0, 0.5, 0.9, 0.95)  # how likely a pair goes on from the one before: one of these a haystack
LONGEST_FILLING = 32  # tokens
FILLER_WEIGHT = 0.1  # of the loss at fillers
GOES_ON = 0.95  # how likely the tail follows a thread on


class Lesson(NamedTuple):
    """Token ids (batch, time) and the symbol that should follow each, or −1 where nothing is asked."""

    tokens: Ids
    targets: Ids


class Chains(NamedTuple):
    """Pairs (batch, pairs, 2) in the order of their threads and whether each goes on from the one before."""

    pairs: Ids
    linked: NDArray[np.bool_]


def chains(random: np.random.Generator, batch: int, pairs: int) -> Chains:
    """Return pairs of fresh symbols; a linked pair's key is the value of the pair before it."""
    symbols = random.random((batch, SYMBOLS), dtype=np.float32).argpartition(2 * pairs - 1, axis=1)
    symbols = random.permuted(symbols[:, : 2 * pairs], axis=1)
    linked = random.random((batch, pairs)) < random.choice(LINKED, (batch, 1))
    linked[:, 0] = False
    values = np.arange(pairs) + np.cumsum(~linked, axis=1)
    at = np.stack([values - 1, values], axis=-1).reshape(batch, -1)
    return Chains(np.take_along_axis(symbols, at, axis=1).reshape(batch, pairs, 2).astype(np.int64), linked)


def laid_out(random: np.random.Generator, made: Chains) -> Ids:
    """Return the haystacks (batch, 3 · pairs): each thread runs forward, backward or in any order."""
    batch, pairs = made.linked.shape
    places = random.permuted(np.tile(np.arange(pairs), (batch, 1)), axis=1)
    number = np.cumsum(~made.linked, axis=1) - 1
    way = np.take_along_axis(random.integers(0, 3, (batch, pairs)), number, axis=1)
    key = np.choose(way, [places, pairs - 1 - places, np.broadcast_to(np.arange(pairs), places.shape)])
    order = np.argsort(number * pairs + key, axis=1)  # within its thread, each by its key
    places = np.take_along_axis(places, order, axis=1)
    tokens = np.full((batch, pairs, TOKENS_A_PAIR), SEPARATOR, dtype=np.int64)
    tokens[np.arange(batch)[:, None], places, :2] = made.pairs
    return tokens.reshape(batch, -1)


class Asking:
    """Writes the tails of all haystacks of a batch, one token a step."""

    def __init__(self, random: np.random.Generator, made: Chains) -> None:
        self.random, self.made = random, made
        batch = len(made.pairs)
        self.rows = np.arange(batch)
        self.filling = np.zeros(batch, dtype=np.int64)  # fillers still to come, -1 once a key is due
        self.pair = np.zeros(batch, dtype=np.int64)
        self.asked = np.zeros(batch, dtype=np.bool_)  # the pair's key stands there, its value is due

    def step(self) -> tuple[Ids, Ids]:
        """Return the next token of each row and what should follow it, −1 for nothing."""
        batch, pairs = self.made.linked.shape
        due = self.filling < 0
        self.pair = np.where(due, self.random.integers(0, pairs, batch), self.pair)
        keys, values = self.made.pairs[self.rows, self.pair].T
        after = np.minimum(self.pair + 1, pairs - 1)
        on = (self.pair + 1 < pairs) & self.made.linked[self.rows, after]
        on &= self.asked & (self.random.random(batch) < GOES_ON)
        following = self.made.pairs[self.rows, after, 1]
        idle = ~self.asked & ~due & (self.filling == 0)
        mark = idle & (self.random.random(batch) < 0.7)
        filler = self.random.integers(FIRST_FILLER, FIRST_FILLER + FILLERS, batch)
        token = np.select([self.asked, due, mark], [values, keys, QUERY], filler)
        target = np.select([on, due], [following, values], -1)
        self._move(due, on, after, idle, mark)
        return token, target

    def _move(self, due: NDArray[np.bool_], on: NDArray[np.bool_], after: Ids, idle: NDArray[np.bool_],
              mark: NDArray[np.bool_]) -> None:
        """Go on to the state that the tokens just written lead to."""
        self.pair = np.where(on, after, self.pair)
        filling = ~self.asked & ~due & ~mark
        left = np.where(idle, self.random.integers(1, LONGEST_FILLING, len(mark)), self.filling)
        left = np.where(left == 1, -1, left - 1)
        self.filling = np.where(filling, left, np.where(mark, -1, 0))
        self.asked = on | due


def lesson(seed: tuple[int, ...], batch: int, pairs: int, tail: int) -> Lesson:
    """Return `batch` haystacks of `pairs` pairs with tails of `tail` tokens."""
    random = np.random.default_rng(seed)
    made = chains(random, batch, pairs)
    stacks = laid_out(random, made)
    asking = Asking(random, made)
    steps = [asking.step() for _ in range(tail)]
    tokens, targets = (np.stack(part, axis=1) for part in zip(*steps, strict=True))
    nothing = np.full_like(stacks, -1)
    return Lesson(np.concatenate([stacks, tokens], 1), np.concatenate([nothing, targets], 1))


def lesson_loss(net: KeyValueLM, given: Lesson) -> Tensor:
    """Return the mean cross-entropy in nats at the answers, and a part of that at the fillers, of a lesson.

    At a filler only the class of the next token can be known; what attention brings along there is in the
    way, so that fillers learn to ask for nothing.
    """
    tokens, targets = (torch.from_numpy(part).to(net.table.device) for part in given)
    following = tokens.roll(-1, 1)
    idle = (tokens >= FIRST_FILLER) & (following >= FIRST_FILLER)
    idle[:, -1] = False
    asked = targets >= 0
    with torch.autocast(tokens.device.type, torch.bfloat16):
        states, _ = net.states(net.embed(tokens))
        answers, fillers = net.read(states[asked]), net.read(states[idle])
    loss = F.cross_entropy(answers.float(), targets[asked])
    if idle.any():
        loss = loss + FILLER_WEIGHT * F.cross_entropy(fillers.float(), following[idle])
    return loss
