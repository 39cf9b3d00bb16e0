"""Trains `sylber-small`: syllable features and boundaries from speech alone, after Sylber and its successor.

Stages, by share of the budget: (1) phones, boundaries and speech are classified on marked speech;
(2) self-segmentation distillation (arXiv 2410.07168): the features learn the segment means of a frozen
teacher, 0 outside; (3) the same with the segments that the boundary head finds itself, also on speech without
marks, for which the head learns what the teacher said of the clean sound (arXiv 2601.22306). The head is
trained throughout.

`python -m components.models.recipes.sylber_small --data DIR --work DIR --minutes 60`
"""

import argparse
import json
import math
import time
from pathlib import Path

import torch

from components.models.nets.syllable_encoder import SyllableEncoder, build
from components.models.recipes import _run
from components.models.recipes._continua import sharpness_figures
from components.models.recipes._speech_aims import aims_missed
from components.models.recipes._speech_batches import Mixer
from components.models.recipes._speech_corpus import Corpus, cached, make_measuring, make_training
from components.models.recipes._speech_measures import SETS, Metric, ablation, choose, measure, row
from components.models.recipes._speech_robustness import robustness_rows
from components.models.recipes._speech_scores import best_shift, curves, head_segments
from components.models.recipes._speech_training import CALIBRATED, Course, Trainee, stage_at
from components.models.recipes._unit_scores import UNITS, fitting, purity_figures
from components.models.weights import round_as_stored

NAME = "sylber-small"
NET = "syllable_encoder"
ARGUMENTS = {"width": 192, "bands": 40, "dim": 64, "expand": 4}
SOURCES = {  # what is read, with its licence; synthetic speech is made on the spot
    "text/novels_train.txt": "public domain in the US",
    "text/flores200_dev60.json": "CC BY-SA 4.0",
    "speech/syllable_alignments.json": "derived from the prompts below",
    "speech/asterisk_en": "CC BY-SA 3.0",
    "speech/asterisk_es": "CC BY-SA 3.0",
    "speech/asterisk_it": "CC BY 3.0",
    "speech/asterisk_ru": "CC BY 3.0",
    "speech/fsdd_subset": "CC BY-SA 4.0",
}
LIMITS = [
    "Most of its training speech is synthetic (espeak-ng and flite); with marks it has heard one real "
    "speaker of English, without them prompts in Spanish, Italian and Russian and six speakers' digits.",
    "References on real speech come from a forced aligner, not from people; the first start and the last end "
    "were moved past silence, and one shift for all real clips was chosen on dev prompts, as the papers do.",
    "The LJ set is eight clips of one reader: a sanity check, no benchmark, and not the papers' test.",
    "Syllables are those of the maximal onset principle, as a synthesiser speaks them: slow and careful.",
    "Music, laughter and overlapping speakers were not trained on.",
    "Purities are over so few syllables that many of the 1000 units are met once: read them beside those of "
    "the same units dealt out at random.",
]


def calibrate(course: Course) -> float:
    """Return the shift (s) that the prompts' forced alignment needs, by a model that never saw it."""
    prompts = course.mixer.corpus.get("real", [])[:60]
    if not prompts:
        return 0.0
    found = head_segments(curves(course.average, prompts, course.device), 0.4, 0.08)
    return -best_shift(prompts, found)


def train(course: Course, budget: _run.Budget, checkpoint: Path, before: float = 0.0) -> None:
    """Run the stages until the budget is spent; `before` is the share that a resumed run had used."""
    saved, calibrated = time.monotonic(), course.mixer.real_boundaries
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
            torch.save(
                course.average.state_dict(), checkpoint.with_name(f"after_stage_{course.stage + 1}.pt")
            )
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
    if not isinstance(net, SyllableEncoder):
        raise TypeError("this recipe trains the syllable encoder")
    mixer = Mixer(corpus, options.seed, options.seconds)
    mixer.real_boundaries = False
    return Course(Trainee(net, len(mixer.classes)), mixer, options.device, options.lr, options.crops)


def measuring(data: Path, work: Path) -> Corpus:
    """Return the sets to measure on, made once a work folder."""
    path = work / "measuring.pkl"
    return cached(path) or cached(path, make_measuring(data)) or {}


def evaluate(model: SyllableEncoder, data: Path, work: Path) -> list[Metric]:
    """Recompute the card's metrics with the card's decoding thresholds."""
    decode = json.loads((_run.CARDS / NAME / "card.json").read_text(encoding="utf-8"))["decode"]
    return metrics(model, measuring(data, work), data, work, decode)


def metrics(
    model: SyllableEncoder, sets: Corpus, data: Path, work: Path, decode: dict[str, float]
) -> list[Metric]:
    """Return every row of the card."""
    rows = measure(model, sets, decode) + robustness_rows(model, sets, decode)
    rows += unit_rows(model, sets, data, work, decode)
    figures, n = sharpness_figures(model, data / "speech" / "sylber_continua")
    on = "word pairs as articulatory continua of 11 steps"
    rows += [row(name, value, "1", n, on) for name, value in figures.items()]
    return rows + [
        row(f"bits per second at K={UNITS}", m["value"] * math.log2(UNITS), "bit/s", m["n"], m["on"])
        for m in rows
        if (m["name"], m["on"]) == ("tokens per second", SETS["espeak_unseen"])
    ]


def unit_rows(
    model: SyllableEncoder, sets: Corpus, data: Path, work: Path, decode: dict[str, float]
) -> list[Metric]:
    """Return the purity of units found in training voices' segments, on segments of unseen voices."""
    test = sets.get("espeak_unseen", [])
    if not test:
        return []
    figures, n = purity_figures(model, test, fitting(data, work), decode)
    return [row(f"K={UNITS} {name}", value, "1", n, SETS["espeak_unseen"]) for name, value in figures.items()]


def hashes(data: Path) -> list[dict[str, str]]:
    """Return name, SHA-256 and licence of everything that was read."""
    rows = []
    for name, licence in SOURCES.items():
        path = data / name
        files = [path] if path.is_file() else [p for p in path.glob("*") if p.is_file()]
        rows.append({"name": name, "sha256": _run.digest(files), "licence": licence})
    return [
        *rows,
        {"name": "speech made by espeak-ng, its own phoneme times", "sha256": "", "licence": "made output"},
        {
            "name": "speech made by flite (slt, rms), its own phone times",
            "sha256": "",
            "licence": "made output",
        },
    ]


def finish(course: Course, options: argparse.Namespace, corpus: Corpus) -> None:
    """Round the averaged weights to what is shipped, choose thresholds on dev, measure, publish."""
    net = course.average
    round_as_stored(net)
    sets = measuring(options.data, options.work)
    decode = choose(net, sets)
    print(f"decode: {decode}", flush=True)
    minutes = {group: round(sum(len(u.samples) for u in us) / 960_000, 1) for group, us in corpus.items()}
    rows = metrics(net, sets, options.data, options.work, decode)
    _run.publish(
        options.out / NAME,
        NET,
        ARGUMENTS,
        net.state_dict(),
        {
            "licence": "Apache-2.0",
            "recipe": "components.models.recipes.sylber_small",
            "command": f"python -m components.models.recipes.sylber_small --minutes {options.minutes:g}",
            "seed": options.seed,
            "steps": course.step,
            "cpu_seconds": round(course.cpu_seconds()),
            "data": hashes(options.data),
            "minutes_of_speech": minutes,
            "decode": decode,
            "real_mark_shift_s": round(course.mixer.real_shift, 3),
            "metrics": rows,
            "ablation": ablation(ARGUMENTS, options.work, sets, decode),
            "limits": LIMITS + aims_missed(rows),
        },
    )


def options_of(parser: argparse.ArgumentParser) -> None:
    """Add this recipe's own options."""
    parser.add_argument("--seconds", type=float, default=4.0, help="length of a crop")
    parser.add_argument("--crops", type=int, default=8, help="crops a step")
    parser.add_argument(
        "--again", action="store_true", help="with --resume: a fresh schedule and teacher"
    )
    parser.add_argument("--lr", type=float, default=2e-3)


def main(argv: list[str] | None = None) -> None:
    """Make the data, train, measure, publish."""
    options = _run.arguments(__doc__ or "", 60, options_of, argv)
    work: Path = options.work
    path = work / "corpus.pkl"
    corpus = cached(path) or cached(path, make_training(options.data, options.seed)) or {}
    course = start(corpus, options)
    checkpoint = work / "checkpoint.pt"
    state = _run.load_checkpoint(checkpoint, options.device) if options.resume else None
    before = course.restore(state) if state else 0.0
    if options.again:
        before = 0.0
        course.enter(course.stage)
    train(course, _run.Budget(options.minutes, options.steps), checkpoint, before)
    finish(course, options, corpus)


if __name__ == "__main__":
    main()
