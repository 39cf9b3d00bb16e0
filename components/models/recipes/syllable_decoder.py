"""Train `syllable-decoder`: one vector a syllable, or one of 1000 units, back to a spectrogram of one voice.

    python -m components.models.recipes.syllable_decoder --data DIR --work DIR --minutes 13

The encoder is the bundled `sylber-small`, which stays as it is; its own segments are used. The start is in
closed form (`_decoder_start`): the space in which k-means finds the units, and a read-out by least squares.
From there all weights but that space's learn by gradients, the matrices of the deep blocks by Muon, every
second clip played from units. `--minutes` counts the processor time of all parts of a run; the speech itself
is made before, once a work folder, in about four minutes.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from components.models.decode_speech import timeline
from components.models.nets.syllable_decoder import SyllableDecoder, build, spoken
from components.models.recipes import _recogniser as ear
from components.models.recipes import _resynthesis_corpus as corpus
from components.models.recipes._decoder_start import start
from components.models.recipes._resynthesis_scores import Metric, decoded, level_apart, measure
from components.models.recipes._run import (
    Budget,
    arguments,
    digest,
    load_checkpoint,
    publish,
    save_checkpoint,
)
from components.models.recipes._speech_corpus import HELD_OUT_BOOKS, english_sentences
from components.models.store import ModelStore
from components.models.weights import matrices, round_as_stored
from components.settings import Settings

NAME, NET = "syllable-decoder", "syllable_decoder"
ARGUMENTS: dict[str, Any] = {"dim": 576, "squeezed": 192, "units": 1000, "hidden": 1024, "patch": 192,
                             "bands": 80, "width": 384, "depth": 2}  # fmt: skip
RATE = 1e-3
WARM_UP = 20  # steps
NOISE = 0.15  # of each axis's deviation, added in training, so that near vectors must sound alike
SLOPES = 0.5  # weight of the differences along time: against blur
ENVELOPE, POOLED = 1.5, 6  # weight of the spectral envelope, and how many bands are averaged for it
CLIPS, SEED = 3000, 0  # sentences spoken for training
STARTING = 2000  # clips that the closed form sees: its features fill the memory
DEV = 60  # every so many clips one is left out, to watch the loss on
SOURCES = {
    "text/novels_train.txt": "public domain in the US",
    **{f"text/{book}": "public domain in the US; measured on" for book in HELD_OUT_BOOKS},
}
LIMITS = [
    "One synthetic voice: whatever speaker is heard, flite's slt answers. No real speech was trained on.",
    "The vocoder guesses the phase: the sound is robotic, and how natural it is was not measured.",
    "A token here is not the encoder's flat feature of 64 numbers but one vector of 576: the mean of the "
    "encoder's last states (192) over each third of the segment. The flat feature says too little of onset "
    "and coda.",
    "Length, mean pitch and level of each syllable are given beside the token or unit and cost bits too.",
    "The recogniser makes errors of its own: read each rate beside that of the recording. Sentences with "
    "words that it does not know were left out.",
]


def collated(clips: list[corpus.Clip]) -> dict[str, Tensor]:
    """Return padded tensors of clips: what `SyllableDecoder.forward` takes, and the mel; index -1 pads."""
    parts = [(*timeline(c.said), c.mel.astype(np.float32)) for c in clips]
    names = ("tokens", "prosody", "index", "position", "mel")
    out: dict[str, Tensor] = {}
    for name, rows in zip(names, zip(*parts, strict=True), strict=True):
        longest = max(map(len, rows))
        fill = -1 if name == "index" else 0
        table = np.full((len(rows), longest, *rows[0].shape[1:]), fill, rows[0].dtype)
        for line, row in zip(table, rows, strict=True):
            line[: len(row)] = row
        out[name] = torch.from_numpy(table)
    return out


def distance(found: Tensor, wanted: Tensor, kept: Tensor) -> Tensor:
    """Return the mean L1 distance of log-mels (batch, frames, bands), of their envelopes and their slopes.

    The envelope averages neighbouring bands: words depend on it, and not on single harmonics. `kept`
    (batch, frames) says which frames count; a slope in time counts where both its frames do.
    """
    error = found - wanted
    smooth = torch.nn.functional.avg_pool1d(error, min(POOLED, error.shape[2]), max(1, POOLED // 2))
    both = kept[:, 1:] & kept[:, :-1]
    slopes = masked(error.diff(dim=1), both) + ENVELOPE * masked(smooth.diff(dim=1), both)
    return masked(error, kept) + ENVELOPE * masked(smooth, kept) + SLOPES * slopes


def masked(error: Tensor, kept: Tensor) -> Tensor:
    """Average |error| (batch, frames, bands) over the frames that count."""
    return (error.abs().mean(-1) * kept).sum() / kept.sum().clamp(min=1)


class Training:
    """The state of a run: net, its moving average, optimiser and counts, all of it in the checkpoint."""

    def __init__(self, options: argparse.Namespace, clips: list[corpus.Clip]) -> None:
        torch.manual_seed(options.seed)
        self.options = options
        ordered = sorted(clips, key=lambda c: c.said.seconds)
        self.dev = ordered[DEV // 2 :: DEV]
        self.clips = [c for i, c in enumerate(ordered) if i % DEV != DEV // 2]
        self.started = time.process_time()
        self.path = Path(options.work) / f"{NAME}.pt"
        state = load_checkpoint(self.path, options.device) if options.resume else None
        net = build(**ARGUMENTS)
        if not isinstance(net, SyllableDecoder):
            raise TypeError("this recipe trains the syllable decoder")
        if not state:
            start(net, self.clips[:: 1 + len(self.clips) // STARTING], options.seed)
        self.net = net.to(options.device)
        self.net.squeeze.requires_grad_(False)
        self.average = AveragedModel(self.net, avg_fn=follow).eval()
        learned = dict(self.net.named_parameters())
        deep = [n for n, p in learned.items() if n.startswith("blocks") and p.ndim == 2]
        rest = [p for n, p in learned.items() if n not in deep and p.requires_grad]
        self.optimisers: list[torch.optim.Optimizer] = [
            torch.optim.AdamW(rest, lr=RATE, betas=(0.9, 0.98), weight_decay=0.01),
            torch.optim.Muon([learned[n] for n in deep], lr=RATE, adjust_lr_fn="match_rms_adamw"),
        ]
        self.step, self.spent = 0, 0.0
        if state:
            self.net.load_state_dict(state["net"])
            self.average.load_state_dict(state["average"])
            for optimiser, kept in zip(self.optimisers, state["optimisers"], strict=True):
                optimiser.load_state_dict(kept)
            self.step, self.spent = state["step"], state["spent"]
        self.budget = Budget(options.minutes, options.steps, self.started - self.spent)

    def save(self) -> None:
        """Write the checkpoint."""
        self.spent = time.process_time() - self.budget.started
        save_checkpoint(
            self.path, net=self.net.state_dict(), average=self.average.state_dict(), step=self.step,
            optimisers=[o.state_dict() for o in self.optimisers], spent=self.spent,
        )  # fmt: skip

    def batch(self) -> dict[str, Tensor]:
        """Draw neighbours in the order of length, so that little is padded."""
        rng = np.random.default_rng((self.options.seed, self.step))
        count = min(self.options.clips, len(self.clips))
        first = int(rng.integers(0, len(self.clips) - count + 1))
        return {k: v.to(self.options.device) for k, v in collated(self.clips[first : first + count]).items()}

    def played(self, batch: dict[str, Tensor]) -> Tensor:
        """Return the mel of a batch, every second clip from units, the others from vectors."""
        with torch.no_grad():
            vectors = self.net.squeezed(batch["tokens"])
            unit = self.net.centroids[self.net.units(vectors)]
            coarse = ((torch.arange(len(vectors), device=vectors.device) + self.step) % 2).float()
            near = NOISE * self.net.centroids.std(0) * torch.randn_like(vectors)
            given = torch.where(coarse[:, None, None] > 0, unit, vectors + near)
        shown = given * spoken(batch["prosody"])
        return self.net.decode(shown, batch["prosody"], batch["index"], batch["position"], coarse)

    def advance(self) -> float:
        """Take one step; return the loss."""
        done = self.budget.share()
        if self.options.steps:
            done = max(done, self.step / self.options.steps)
        for group in (group for o in self.optimisers for group in o.param_groups):
            group["lr"] = RATE * min(1, (self.step + 1) / WARM_UP) * max(0.01, 1 - done)
        batch = self.batch()
        with torch.autocast(self.options.device, torch.bfloat16):
            found = self.played(batch)
        loss = distance(found.float(), batch["mel"], batch["index"] >= 0)
        self.net.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        for optimiser in self.optimisers:
            optimiser.step()
        self.average.update_parameters(self.net)
        self.step += 1
        return float(loss.detach())

    def left_out(self) -> str:
        """Return the average's log-mel distance on the clips left out, from vectors and from units."""
        net = self.average.module
        if not self.dev or not isinstance(net, SyllableDecoder):
            return ""
        apart = [np.mean([level_apart(decoded(net, c.said, q), c.mel) for c in self.dev])
                 for q in (False, True)]  # fmt: skip
        return f"left out {apart[0]:.2f} and {apart[1]:.2f} dB"

    def run(self, every: int = 250) -> None:
        """Train until the budget ends, printing the mean loss every so many steps."""
        total, since, saved = 0.0, 0, time.process_time()
        while self.budget.left(self.step):
            total, since = total + self.advance(), since + 1
            if self.step % every == 0:
                minutes = (time.process_time() - self.budget.started) / 60
                print(f"step {self.step}  {minutes:.1f} min  loss {total / since:.4f}  {self.left_out()}",
                      flush=True)  # fmt: skip
                total, since = 0.0, 0
            if time.process_time() - saved > 30:
                saved = time.process_time()
                self.save()
        self.save()

    def finished(self) -> SyllableDecoder:
        """Return the averaged net, rounded to what is shipped; before any step, the start itself."""
        net = self.average.module.eval()
        if not isinstance(net, SyllableDecoder):
            raise TypeError("the average is of another net")
        round_as_stored(net, in_8_bits(net))
        return net


def follow(average: Tensor, current: Tensor, seen: Tensor | int) -> Tensor:
    """Return the moving average after one more step, over 200 steps or, while young, a tenth of all."""
    return average + (current - average) * max(1 / 200, 10 / (10 + float(seen)))


def in_8_bits(net: SyllableDecoder) -> tuple[str, ...]:
    """Name the matrices stored in 8 bits: all but the space in which the units were found."""
    return tuple(name for name in matrices(net) if not name.startswith("squeeze"))


def listener() -> corpus.Listener:
    """Return the bundled encoder on one thread."""
    return corpus.Listener(ModelStore(Settings(threads=1)))


def training_clips(data: Path, work: Path, seed: int, count: int) -> list[corpus.Clip]:
    """Return what is trained on, made once a work folder."""
    path = work / "corpus.pt"
    groups = corpus.cached(path)
    if groups is None:
        groups = corpus.cached(path, {"training": corpus.make_training(data, seed, count, listener())})
    return (groups or {})["training"]


def words_known(data: Path) -> set[str]:
    """Return the words of the held-out books that the recogniser can write."""
    lines = [s for book in HELD_OUT_BOOKS for s in english_sentences(data / "text" / book, 1000, 9)]
    return ear.dictionary(ear.recogniser(), {w for line in lines for w in corpus.spelled(line)})


def measuring(data: Path, work: Path) -> dict[str, list[corpus.Clip]]:
    """Return the clips to measure on, made once a work folder."""
    path = work / "measuring.pt"
    found = corpus.cached(path)
    if found is None:
        found = corpus.make_measuring(data, listener(), words_known(data))
        corpus.cached(path, found)
    return found


def evaluate(model: SyllableDecoder, data: Path, work: Path) -> list[Metric]:
    """Recompute the card's metrics; the training speech is made again where the work folder lacks it."""
    return measure(model, measuring(data, work), training_clips(data, work, SEED, CLIPS))


def options_of(parser: argparse.ArgumentParser) -> None:
    """Add this recipe's own options."""
    parser.add_argument("--clips", type=int, default=48, help="clips a step")
    parser.add_argument("--sentences", type=int, default=CLIPS, help="sentences spoken for training")
    parser.add_argument("--train-only", action="store_true", help="leave the checkpoint, publish nothing")


def finish(training: Training, clips: list[corpus.Clip], options: argparse.Namespace) -> None:
    """Round, measure and publish."""
    net = training.finished()
    metrics = measure(net, measuring(options.data, options.work), clips)
    seconds = sum(c.said.seconds for c in clips)
    publish(options.out / NAME, NET, ARGUMENTS, net.state_dict(), {
        "licence": "Apache-2.0",
        "recipe": "components.models.recipes.syllable_decoder",
        "command": f"python -m components.models.recipes.syllable_decoder --minutes {options.minutes:g}",
        "seed": options.seed, "steps": training.step, "cpu_seconds": round(training.spent),
        "encoder": "sylber-small", "token": "mean of the last states over each third of a "
        "segment, 3 x 192", "minutes_of_speech": round(seconds / 60, 1),
        "data": [*({"name": name, "sha256": digest([options.data / name]), "licence": licence}
                   for name, licence in SOURCES.items() if (options.data / name).exists()),
                 {"name": "speech made by flite (slt, rms; awb to measure), its own phone times",
                  "sha256": "made on the spot", "licence": "made output"}],
        "metrics": metrics, "limits": LIMITS,
    }, in_8_bits=in_8_bits(net))  # fmt: skip


def main(argv: list[str] | None = None) -> None:
    """Make the speech, train, measure, publish."""
    options = arguments(__doc__ or "", 13, options_of, argv)
    clips = training_clips(options.data, options.work, options.seed, options.sentences)
    training = Training(options, clips)
    training.run()
    if not options.train_only:
        finish(training, clips, options)


if __name__ == "__main__":
    main()
