"""Trains `sylber-small`: syllable features and boundaries from speech alone, after Sylber and its successor.

Stages, by share of the budget: (1) phones and boundaries are classified on marked speech; (2) self-segmentation
distillation (arXiv 2410.07168): the features learn the segment means of a frozen teacher, 0 outside; (3) the same with
the segments that the boundary head finds itself, also on speech without transcripts (arXiv 2601.22306).

`python -m components.models.recipes.sylber_small --data DIR --work DIR --minutes 60`
"""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from components.models.nets.syllable_encoder import SyllableEncoder, build
from components.models.recipes import _run
from components.models.recipes._speech_batches import Mixer
from components.models.recipes._speech_corpus import Corpus, cached, make_training
from components.models.recipes._speech_scores import best_shift, curves, head_segments
from components.models.recipes._speech_training import CALIBRATED, Course, Trainee, stage_at

NAME = "sylber-small"
NET = "syllable_encoder"
ARGUMENTS = {"width": 192, "bands": 40, "dim": 64, "expand": 4}


def calibrate(course: Course) -> float:
    """Return the shift (s) that the real prompts' forced alignment needs, by a model that never saw its boundaries."""
    prompts = course.mixer.corpus.get("real", [])[:60]
    if not prompts:
        return 0.0
    found = head_segments(curves(course.average, prompts, course.device), 0.4, 0.08)
    return -best_shift(prompts, found)


def train(course: Course, budget: _run.Budget, checkpoint: Path, before: float = 0.0) -> None:
    """Run the stages until the budget is spent; `before` is the share that a resumed run had used."""
    saved, calibrated = time.monotonic(), before >= CALIBRATED
    while budget.left(course.step):
        share = before + (1 - before) * budget.share()
        if budget.steps:
            share = max(share, (course.step + 1) / budget.steps - 1e-9)
        if not calibrated and share >= CALIBRATED:
            calibrated = True
            course.mixer.real_shift = calibrate(course)
            course.mixer.real_boundaries = True
            print(f"the aligner's times are moved by {1000 * course.mixer.real_shift:+.0f} ms")
        while course.stage < stage_at(share):
            course.enter(course.stage + 1)
        course.advance(share)
        if course.step % 50 == 0:
            print(course.report(share), flush=True)
        if time.monotonic() - saved > 120:
            saved = time.monotonic()
            _run.save_checkpoint(checkpoint, **course.state(share))
    _run.save_checkpoint(checkpoint, **course.state(1.0 if budget.steps is None else share))


def start(corpus: Corpus, options: argparse.Namespace) -> Course:
    """Build a fresh run."""
    torch.manual_seed(options.seed)
    net = build(**ARGUMENTS)
    assert_type(net)
    mixer = Mixer(corpus, options.seed, options.seconds)
    mixer.real_boundaries = False
    return Course(Trainee(net, len(mixer.classes)), mixer, options.device, options.lr, options.crops)


def assert_type(net: Any) -> None:
    """Refuse anything but our encoder."""
    if not isinstance(net, SyllableEncoder):
        raise TypeError("the recipe trains the syllable encoder")


def options_of(parser: argparse.ArgumentParser) -> None:
    """Add this recipe's own options."""
    parser.add_argument("--seconds", type=float, default=4.0, help="length of a crop")
    parser.add_argument("--crops", type=int, default=8, help="crops a step")
    parser.add_argument("--lr", type=float, default=2e-3)


def main(argv: list[str] | None = None) -> None:
    """Make the data, train, measure, publish."""
    options = _run.arguments(__doc__ or "", 60, options_of, argv)
    work: Path = options.work
    corpus = cached(work / "corpus.pkl") or cached(work / "corpus.pkl", make_training(options.data, options.seed))
    course = start(corpus or {}, options)
    checkpoint = work / "checkpoint.pt"
    state = _run.load_checkpoint(checkpoint, options.device) if options.resume else None
    before = course.restore(state) if state else 0.0
    np.random.default_rng(options.seed)
    train(course, _run.Budget(options.minutes, options.steps), checkpoint, before)


if __name__ == "__main__":
    main()
