"""What `turkish_late` and `turkish_dense` share: one net, one set of pairs, one loop; two ways to compare.

Training never sees a passage or question of TQuAD's development file: what shares text with it is left out
first. With --choose, a block of the training passages is left out as well and measured on the way, which is
how steps and knobs were chosen; the shipped weights are trained without it, on all pairs.
"""

import argparse
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from components.errors import InputError
from components.models import ModelStore
from components.models.nets.word_encoder import WordEncoder, build, words_of
from components.models.recipes import _run
from components.models.recipes._turkish_collections import (
    FILES,
    HELD_OUT,
    SAMPLES,
    TRAIN,
    Collection,
    Metric,
    bm25_scores,
    dense_scores,
    figures,
    late_scores,
    pairs,
    read,
    split,
)

NET: dict[str, Any] = {"buckets": 20_000, "dim": 128, "kernel": 5, "groups": 16}
ON_HELD_OUT, ON_SAMPLES = "TQuAD dev", "the Turkish sample corpus (another domain)"
KNOBS = {"rate": float, "left_out": float, "neighbours": int}
LATE = "turkish-late"
SHARED_LIMITS = [
    "Training left out every passage that shares eight words in a row with TQuAD's development file, and "
    "its questions: about half of that file's passages stand in the training file too.",
    "It knows the first seven letters of words, neighbours and what the questions of two sets about history "
    "and the history of science taught it, no synonym that these did not show; it ties no prefix to its "
    "stem, and other languages are letters alone to it.",
]
BATCH = 48  # distinct passages
LONGEST_PASSAGE = 224  # words in training, a window anywhere in the passage
EVERY = 100  # steps between two lines of the log


@dataclass(frozen=True)
class Kind:
    """One of the twins: its name, how two texts are compared, and the knobs chosen for it (--choose).

    `rate` is Adam's at the start, `left_out` the share of words dropped in training, `neighbours` how many
    passages of a batch follow one another in their article: what is alike is hard to part.
    """

    name: str
    pooled: bool
    steps: int
    rate: float
    left_out: float
    neighbours: int

    def scores(self, net: WordEncoder, collection: Collection) -> Any:
        """Return the scores (queries, passages) of the net compared in this way."""
        return (dense_scores if self.pooled else late_scores)(net, collection)


def similarities(net: WordEncoder, queries: Sequence[Sequence[str]], passages: Sequence[Sequence[str]],
                 pooled: bool) -> Tensor:  # fmt: skip
    """Return scores (queries, passages) from -1 to 1: weighted MaxSim / Σw, or the means' cosine.

    Every text has a word.
    """
    asked, weights, here = net(queries)
    states, counts, there = net(passages)
    if pooled:
        sums = [(s * w[..., None]).sum(1) for s, w in ((asked, weights), (states, counts))]
        return F.normalize(sums[0], dim=-1) @ F.normalize(sums[1], dim=-1).T
    vectors, rows, owner = F.normalize(asked[here], dim=-1), weights[here], here.nonzero()[:, 0]
    cosines = vectors @ F.normalize(states[there], dim=-1).T
    lengths = there.sum(1).tolist()
    best = torch.stack([own.max(1).values for own in torch.split(cosines, lengths, 1)], 1)
    totals = best.new_zeros(len(queries), len(passages)).index_add(0, owner, best * rows[:, None])
    scores: Tensor = totals / weights.sum(1, keepdim=True)
    return scores


class Course:
    """The state of a run: net, temperature, optimiser, draws and counts, all of it in the checkpoint."""

    def __init__(self, kind: Kind, collection: Collection, options: argparse.Namespace) -> None:
        """Cut the texts into words; with --resume, go on from the checkpoint if there is one."""
        self.kind, self.options = kind, options
        self.net = fresh(options.seed).to(options.device)
        self.log_scale = nn.Parameter(torch.tensor(math.log(20.0), device=options.device))
        self.optimiser = torch.optim.Adam([*self.net.parameters(), self.log_scale], lr=kind.rate, fused=True)
        self.random = np.random.default_rng(options.seed)
        self.passages = [words_of(p)[0] for p in collection.passages]
        asking: list[list[tuple[str, ...]]] = [[] for _ in self.passages]
        for query, grades in zip(collection.queries, collection.grades, strict=True):
            for passage in grades:
                asking[passage].append(words_of(query)[0])
        self.asking = asking
        self.order: list[int] = []
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

    def shuffled(self) -> list[int]:
        """Return all passages that are asked about, in runs of neighbours."""
        near = self.kind.neighbours
        asked = np.array([i for i, own in enumerate(self.asking) if own])
        cuts = np.arange(int(self.random.integers(near)), len(asked), near)
        runs = np.split(asked, cuts)
        return [int(i) for r in self.random.permutation(len(runs)) for i in runs[r]]

    def draw(self) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
        """Return the next passages, all once before any comes again, with a random question of each."""
        if len(self.order) < min(BATCH, len(self.passages)):
            self.order = self.shuffled()
        chosen, self.order = self.order[:BATCH], self.order[BATCH:]
        queries, passages = [], []
        for i in chosen:
            words = self.passages[i]
            first = int(self.random.integers(0, max(1, len(words) - LONGEST_PASSAGE + 1)))
            passages.append(self.thinned(words[first : first + LONGEST_PASSAGE]))
            queries.append(self.thinned(self.asking[i][int(self.random.integers(len(self.asking[i])))]))
        return queries, passages

    def thinned(self, words: tuple[str, ...]) -> tuple[str, ...]:
        """Leave out words at random, so that no single one is relied on; one stays."""
        kept = self.random.random(len(words)) >= self.kind.left_out
        kept[self.random.integers(len(words))] = True
        return tuple(word for word, keep in zip(words, kept, strict=True) if keep)

    def advance(self) -> float:
        """Take one step of InfoNCE both ways; return its loss."""
        for group in self.optimiser.param_groups:  # by steps alone, so that a seed makes one net
            group["lr"] = self.kind.rate * (1 - self.step / self.options.steps)
        queries, passages = self.draw()
        logits = similarities(self.net, queries, passages, self.kind.pooled) * self.log_scale.exp()
        right = torch.arange(len(queries), device=logits.device)
        loss = (F.cross_entropy(logits, right) + F.cross_entropy(logits.T, right)) / 2
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


def fresh(seed: int) -> WordEncoder:
    """Return an untrained net; the same seed makes the same net, whatever was drawn before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build(**NET)


def rounded(net: WordEncoder) -> WordEncoder:
    """Round the weights to the float16 that ships, and freeze them."""
    for tensor in net.state_dict().values():
        tensor.copy_(tensor.half().float())
    return net.cpu().eval().requires_grad_(False)


def evaluate(kind: Kind, net: WordEncoder, data: Path) -> list[Metric]:
    """Measure on the held-out file and on the sample corpus, with what needs no training beside it."""
    return [
        row
        for folder, on in ((data / "retrieval" / HELD_OUT, ON_HELD_OUT), (SAMPLES, ON_SAMPLES))
        for row in measured(kind, net, read(folder, on))
    ]


def measured(kind: Kind, net: WordEncoder, collection: Collection) -> list[Metric]:
    """Return the figures of the net, of BM25, of the untrained net and of the net's twin use."""
    on = f"{collection.name}, {len(collection.passages)} passages"
    own = figures(kind.scores(net, collection), collection, on)
    rows = [
        *own,
        *figures(bm25_scores(collection), collection, on, "baseline BM25:")[:2],
        *figures(kind.scores(rounded(fresh(0)), collection), collection, on, "baseline untrained net:")[:2],
    ]
    if not kind.pooled:
        means = figures(dense_scores(net, collection), collection, on, "mean vectors of this net:")
        return [*rows, *means[:2]]
    models = ModelStore()
    if LATE not in models.names():
        return rows
    late = figures(late_scores(models.get(LATE), collection), collection, on, f"{LATE}:")[:2]
    gap = round(late[0]["value"] - own[0]["value"], 2)
    return [*rows, *late, {**late[0], "name": f"{LATE} minus this: nDCG@10", "value": gap, "unit": "points"}]


def data_rows(data: Path) -> list[dict[str, str]]:
    """Return name, SHA-256 and licence of what was read; the held-out file is measured on only."""
    rows = {**TRAIN, HELD_OUT: f"{TRAIN['tquad_train'].split(':')[0]}: measured on, not redistributed"}
    sums = {name: _run.digest([data / "retrieval" / name / file for file in FILES]) for name in rows}
    return [{"name": name, "sha256": sums[name], "licence": licence} for name, licence in rows.items()]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add what these recipes take beside the usual options."""
    what = "leave a block of training passages out, measure on it, publish nothing"
    parser.add_argument("--choose", action="store_true", help=what)
    for knob, kind in KNOBS.items():
        parser.add_argument(f"--{knob.replace('_', '-')}", type=kind, help="instead of the chosen value")


def make(kind: Kind, limits: list[str], argv: list[str] | None) -> Path:
    """Train, measure and publish one of the twins; return its folder."""
    options = _run.arguments(f"Train {kind.name} on Turkish questions and passages.", 8, configure, argv)
    if options.data is None:
        raise InputError("No data was given; --data wants the folder that holds retrieval/tquad_train.")
    given = {knob: getattr(options, knob) for knob in KNOBS if getattr(options, knob) is not None}
    kind = replace(kind, **given)
    options.steps = kind.steps if options.steps is None else options.steps
    every, left_out = pairs(options.data), None
    if options.choose:
        every, left_out = split(every, options.seed)
    print(f"trains on {every}", flush=True)
    course = Course(kind, every, options)
    course.run(left_out)
    folder: Path = options.out / kind.name
    if options.choose:
        return folder
    exact = evaluate(kind, course.net.cpu().eval(), options.data)[0]
    net = rounded(course.net)
    metrics = evaluate(kind, net, options.data)
    print(f"float32 {exact['value']}, float16 {metrics[0]['value']}")
    for metric in metrics:
        print(f"{metric['name']}: {metric['value']} {metric['unit']} (n={metric['n']}, {metric['on']})")
    module = kind.name.replace("-", "_")
    _run.publish(folder, "word_encoder", NET, net.state_dict(), {
        "licence": "Apache-2.0",
        "recipe": f"components/models/recipes/{module}.py",
        "command": f"python -m components.models.recipes.{module} --data DATA --steps {course.step}",
        "seed": options.seed, "steps": course.step, "cpu_seconds": round(course.spent),
        "data": data_rows(options.data),
        "pairs": len(every.queries), "knobs": {knob: getattr(kind, knob) for knob in KNOBS},
        "metrics": metrics,
        "float32": {"nDCG@10": exact["value"], "on": exact["on"]},
        "limits": [*SHARED_LIMITS, *limits],
    })  # fmt: skip
    return folder
