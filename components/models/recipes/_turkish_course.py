"""How the Turkish encoders are trained: what a batch holds, a step, a run with checkpoints."""

import argparse
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from components.models.nets.word_encoder import WordEncoder, build, recurrence_of, words_of
from components.models.recipes import _run
from components.models.recipes._turkish_collections import (
    Collection,
    dense_scores,
    figures,
    joined,
    late_scores,
)
from components.models.recipes._turkish_contrast import contrast, similarities

NET: dict[str, Any] = {"buckets": 20_000, "dim": 128, "kernel": 5, "groups": 16}
BATCH = 48  # distinct passages
QUESTIONS = 3  # of a passage in a batch, at most
LONGEST_PASSAGE = 224  # words in training, a window anywhere in the passage
BETWEEN = 3  # batches of passages before one of sentences
EVERY = 100  # steps between two lines of the log


@dataclass(frozen=True)
class Kind:
    """One of the twins: its name, how two texts are compared, and the knobs chosen for it (--choose).

    `rate` is Adam's at the start, `table` what it is multiplied by for the vectors of beginnings, `left_out`
    the share of words dropped in training, `neighbours` how many passages of a batch follow one another in
    their article: what is alike is hard to part.
    """

    name: str
    pooled: bool
    steps: int
    rate: float
    table: float
    left_out: float
    neighbours: int

    def scores(self, net: WordEncoder, collection: Collection) -> Any:
        """Return the scores (queries, passages) of the net compared in this way."""
        return (dense_scores if self.pooled else late_scores)(net, collection)


def fresh(seed: int) -> WordEncoder:
    """Return an untrained net; the same seed makes the same net, whatever was drawn before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build(**NET)


class Batch(NamedTuple):
    """Words of questions and passages, how these recur in the whole, the place of each question's passage."""

    queries: list[tuple[str, ...]]
    passages: list[tuple[str, ...]]
    recurrences: list[NDArray[np.float32]]
    owners: list[int]


class Course:
    """The state of a run: net, temperature, optimiser, draws and counts, all of it in the checkpoint."""

    def __init__(self, kind: Kind, facts: Collection, alike: Collection, options: argparse.Namespace) -> None:
        """Cut the texts into words; with --resume, go on from the checkpoint if there is one.

        `alike` are sentences with their like; they say nothing of what words of a passage are worth.
        """
        self.kind, self.options = kind, options
        self.net = fresh(options.seed).to(options.device)
        self.log_scale = nn.Parameter(torch.tensor(math.log(20.0), device=options.device))
        table = self.net.starts.weight
        others = [p for p in (*self.net.parameters(), self.log_scale) if p is not table]
        groups = [{"params": [table], "share": kind.table}, {"params": others, "share": 1.0}]
        self.optimiser = torch.optim.Adam(groups, lr=kind.rate, fused=True)
        self.random = np.random.default_rng(options.seed)
        collection = joined([facts, alike])
        self.passages = [words_of(p)[0] for p in collection.passages]
        self.recurrences = [recurrence_of(words) for words in self.passages]
        for recurrence in self.recurrences[len(facts.passages) :]:
            recurrence[:] = 0
        asking: list[list[tuple[str, ...]]] = [[] for _ in self.passages]
        for query, grades in zip(collection.queries, collection.grades, strict=True):
            for passage in grades:
                asking[passage].append(words_of(query)[0])
        self.asking = asking
        asked = [i for i, own in enumerate(asking) if own]
        self.facts = np.array([i for i in asked if i < len(facts.passages)])
        self.alike = np.array([i for i in asked if i >= len(facts.passages)])
        self.order: list[list[int]] = []
        self.step, self.spent = 0, 0.0
        self.path = Path(options.work) / f"{kind.name}.pt"
        state = _run.load_checkpoint(self.path, options.device) if options.resume else None
        if state:
            self.restore(state)
        self.budget = _run.Budget(options.minutes, options.steps, time.process_time() - self.spent)

    def restore(self, state: dict[str, Any]) -> None:
        """Take over a checkpoint."""
        self.net.load_state_dict(state["net"])
        self.log_scale.data.copy_(state["log_scale"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.random.bit_generator.state = state["random"]
        self.order, self.step, self.spent = state["order"], state["step"], state["spent"]

    def save(self) -> None:
        """Write the checkpoint."""
        self.spent = time.process_time() - self.budget.started
        _run.save_checkpoint(self.path, net=self.net.state_dict(), log_scale=self.log_scale.detach(),
                             optimiser=self.optimiser.state_dict(), random=self.random.bit_generator.state,
                             order=self.order, step=self.step, spent=self.spent)  # fmt: skip

    def shuffled(self) -> list[list[int]]:
        """Return batches of all passages, in runs of neighbours, between them batches of sentences."""
        near = self.kind.neighbours
        cuts = np.arange(int(self.random.integers(near)), len(self.facts), near)
        runs = np.split(self.facts, cuts)
        order = [int(i) for r in self.random.permutation(len(runs)) for i in runs[r]]
        alike = self.random.permutation(self.alike).tolist()
        batches = []
        size = min(BATCH, len(order))
        for first in range(0, len(order) - size + 1, size):
            batches.append(order[first : first + size])
            if len(batches) % (BETWEEN + 1) == BETWEEN and alike:
                batches.append(alike[:BATCH])
                alike = alike[BATCH:]
        return batches

    def draw(self) -> Batch:
        """Return the next passages, all once before any comes again, with random questions of each."""
        if not self.order:
            self.order = self.shuffled()
        chosen, *self.order = self.order
        batch = Batch([], [], [], [])
        for place, i in enumerate(chosen):
            words = self.passages[i]
            first = int(self.random.integers(0, max(1, len(words) - LONGEST_PASSAGE + 1)))
            kept = first + self.kept(min(LONGEST_PASSAGE, len(words)))
            batch.passages.append(tuple(words[k] for k in kept))
            batch.recurrences.append(self.recurrences[i][kept])
            for question in self.random.permutation(len(self.asking[i]))[:QUESTIONS]:
                asked = self.asking[i][question]
                batch.queries.append(tuple(asked[k] for k in self.kept(len(asked))))
                batch.owners.append(place)
        return batch

    def kept(self, words: int) -> NDArray[np.int64]:
        """Leave out some of so many words at random, so that no single one is relied on; one stays."""
        kept = self.random.random(words) >= self.kind.left_out
        kept[self.random.integers(words)] = True
        return np.flatnonzero(kept)

    def advance(self) -> float:
        """Take one step of InfoNCE both ways; return its loss."""
        for group in self.optimiser.param_groups:  # by steps alone, so that a seed makes one net
            group["lr"] = self.kind.rate * group["share"] * (1 - self.step / self.options.steps)
        batch = self.draw()
        cosines = similarities(self.net, batch.queries, batch.passages, self.kind.pooled, batch.recurrences)
        loss = contrast(cosines * self.log_scale.exp(), torch.tensor(batch.owners, device=cosines.device))
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        self.step += 1
        return float(loss.detach())

    def run(self, choosing: Collection | None) -> None:
        """Train until the budget ends, with a line and a checkpoint every `EVERY` steps."""
        total = 0.0
        while self.budget.left(self.step):
            total += self.advance()
            if self.step % EVERY == 0:
                seconds = time.process_time() - self.budget.started
                line = f"step {self.step}  {seconds:.0f} s  loss {total / EVERY:.3f}"
                line += f"  scale {float(self.log_scale.detach().exp()):.1f}"
                if choosing:
                    found = figures(self.kind.scores(self.net, choosing), choosing, "")[0]["value"]
                    line += f"  nDCG@10 on the passages left out {found:.2f}"
                print(line, flush=True)
                total = 0.0
                self.save()
        self.save()
