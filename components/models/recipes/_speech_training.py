"""The speech model's loss and three stages: phones, self-segmentation distillation, its own segments."""

import copy
import math
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from components.models.nets.syllable_encoder import HOP, SAMPLE_RATE, SyllableEncoder
from components.models.recipes._speech_batches import Batch, Mixer
from components.numerics.boundary_peaks import segments

STAGES = ("phones", "distillation", "own segments")
ENDS = (0.35, 0.65, 1.0)  # the share of the budget at which each stage ends
CALIBRATED = 0.12  # real prompts' boundaries are used only after the aligner's shift has been measured


class Trainee(nn.Module):
    """The encoder and a phone classifier that only training needs."""

    def __init__(self, encoder: SyllableEncoder, phones: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.phones = nn.Linear(encoder.heads.in_features, phones)


class Teacher:
    """A frozen copy of the encoder that gives its trunk's states, centred and whitened.

    Averages of uncentred states lie close together, and each round of distillation draws them closer: a
    student of the student's own features told syllables apart worse than its teacher did.
    """

    def __init__(self, encoder: SyllableEncoder, whitening: tuple[Tensor, Tensor], own: bool) -> None:
        """`whitening` is (mean (width,), matrix (width, dim)); `own` segments are the heads'."""
        self.encoder = copy.deepcopy(encoder).eval().requires_grad_(False)
        self.whitening = whitening
        self.own = own

    @torch.no_grad()
    def targets(self, wave: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the vectors to average (batch, frames, dim) and the outputs for clean waveforms."""
        with torch.autocast(wave.device.type, torch.bfloat16):
            states = self.encoder.states(wave)
            outputs = self.encoder.outputs(states)
        mean, matrix = self.whitening
        return (states.float() - mean) @ matrix, outputs


def whitening(states: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Return mean and matrix that turn (frames, width) into `dim` uncorrelated values of deviation one."""
    mean = states.mean(0)
    centred = states - mean
    values, vectors = torch.linalg.eigh(centred.T @ centred / len(states))
    return mean, vectors[:, -dim:] / values[-dim:].clamp(min=1e-6).sqrt()


def segment_targets(vectors: Tensor, segment: Tensor) -> Tensor:
    """Average (batch, frames, dim) over each segment; every frame gets that mean at length 1, 0 outside.

    `segment` (batch, frames) numbers the segments of each clip from 0; -1 is outside. This is Sylber's target
    with the L2-normalisation of its successor.
    """
    batch, frames, dim = vectors.shape
    slots = int(segment.max()) + 2
    index = segment + 1 + slots * torch.arange(batch, device=segment.device)[:, None]
    total = torch.zeros(batch * slots, dim, device=vectors.device)
    total.index_add_(0, index.flatten(), vectors.reshape(-1, dim))
    means = functional.normalize(total, dim=1)[index.flatten()].view(batch, frames, dim)
    return means * (segment >= 0)[..., None]


def own_segments(outputs: dict[str, Tensor]) -> Tensor:
    """Return the number of each frame's segment by the heads; -1 outside, -2 where speech is in doubt."""
    boundary, speech = (torch.sigmoid(outputs[k]).cpu().numpy() for k in ("boundary", "speech"))
    rate, offset = SAMPLE_RATE / HOP, HOP / SAMPLE_RATE / 2
    numbers = np.full(boundary.shape, -1, np.int64)
    centres = np.arange(boundary.shape[1]) / rate + offset
    for row, (b, s) in enumerate(zip(boundary, speech, strict=True)):
        bounds = segments(b, s, rate, offset, threshold=0.4)
        if len(bounds):
            index = np.searchsorted(bounds[:, 0], centres, "right") - 1
            numbers[row] = np.where((index >= 0) & (centres < bounds[index, 1]), index, -1)
        numbers[row][(numbers[row] < 0) & (s > 0.2)] = -2
    return torch.from_numpy(numbers)


def masked(loss: Tensor, known: Tensor) -> Tensor:
    """Average a loss (batch, frames) over the frames where something is known."""
    return (loss * known).sum() / known.sum().clamp(min=1)


def losses(trainee: Trainee, batch: dict[str, Tensor], teacher: Teacher | None) -> dict[str, Tensor]:
    """Return the parts of the loss: boundary, speech, phone, and with a teacher the distillation."""
    wave = batch["wave"]
    with torch.autocast(wave.device.type, torch.bfloat16):
        states = trainee.encoder.states(wave)
        outputs = trainee.encoder.outputs(states)
        logits = trainee.phones(trainee.encoder.norm(states)).float()
    parts = {
        "phone": functional.cross_entropy(logits.flatten(0, 1), batch["phone"].flatten(), ignore_index=-1)
    }
    wanted = {name: batch[name] for name in ("boundary", "speech")}
    if teacher:
        vectors, seen = teacher.targets(batch["clean"])
        found = own_segments(seen).to(wave.device) if teacher.own else batch["syllable"]
        target = segment_targets(vectors, found.clamp(min=-1))
        error = (outputs["features"] - target).square().sum(-1)
        parts["distil"] = masked(error, (found >= -1).float())
        if teacher.own:  # speech without marks: what the teacher says of the clean sound
            wanted = {k: torch.where(v < 0, torch.sigmoid(seen[k]), v) for k, v in wanted.items()}
    for name, value in wanted.items():
        bce = functional.binary_cross_entropy_with_logits(outputs[name], value.clamp(min=0), reduction="none")
        parts[name] = masked(bce, (value >= 0).float())
    return parts


WEIGHTS = {"boundary": 2.0, "speech": 0.7, "phone": 0.35, "distil": 0.8}


@dataclass
class Course:
    """A run's state: where it is, and what a checkpoint keeps."""

    trainee: Trainee
    mixer: Mixer
    device: str
    lr: float
    crops: int
    step: int = 0
    stage: int = 0
    teacher: Teacher | None = None
    optimizer: torch.optim.Optimizer = field(init=False)
    seen: dict[str, float] = field(default_factory=dict)
    clock: float = field(default_factory=time.process_time)
    spent: float = 0.0

    def __post_init__(self) -> None:
        self.trainee.to(self.device)
        self.average = copy.deepcopy(self.trainee.encoder).eval().requires_grad_(False)
        decay = [p for p in self.trainee.parameters() if p.ndim > 1]
        plain = [p for p in self.trainee.parameters() if p.ndim <= 1]
        self.optimizer = torch.optim.AdamW(
            [{"params": decay, "weight_decay": 0.03}, {"params": plain, "weight_decay": 0.0}],
            self.lr,
            (0.9, 0.98),
        )

    def tensors(self, batch: Batch) -> dict[str, Tensor]:
        """Move a batch's arrays to the device."""
        return {k: torch.from_numpy(v).to(self.device) for k, v in vars(batch).items()}

    def enter(self, stage: int) -> None:
        """Start a stage: refresh the teacher from the averaged student."""
        self.stage = stage
        if stage > 0:
            self.teacher = Teacher(self.average, self._whitening(), own=stage == 2)
        if stage == 2:
            self.mixer.shares["unlabelled"] = 0.1

    @torch.no_grad()
    def _whitening(self) -> tuple[Tensor, Tensor]:
        rows = []
        for _ in range(6):
            batch = self.tensors(self.mixer.batch(self.crops))
            rows.append(self.average.states(batch["clean"])[batch["syllable"] >= 0])
        return whitening(torch.cat(rows), self.average.project[1].out_features)  # type: ignore[arg-type]

    def advance(self, share: float) -> None:
        """Take one step at `share` (0 to 1) of the budget."""
        self.trainee.train()
        rate = (
            self.lr * min(1.0, (self.step + 1) / 150) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * share)))
        )
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        parts = losses(self.trainee, self.tensors(self.mixer.batch(self.crops)), self.teacher)
        total = sum(
            (WEIGHTS[name] * part for name, part in parts.items()), torch.zeros((), device=self.device)
        )
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.trainee.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        keep = min(0.998, 1 - 1 / (self.step + 1))
        with torch.no_grad():
            for mean, new in zip(self.average.parameters(), self.trainee.encoder.parameters(), strict=True):
                mean.lerp_(new, 1 - keep)
        for name, part in parts.items():
            self.seen[name] = 0.98 * self.seen.get(name, part.item()) + 0.02 * part.item()

    def cpu_seconds(self) -> float:
        """Return the processor time of this run and of those it goes on from."""
        return self.spent + time.process_time() - self.clock

    def report(self, share: float) -> str:
        """Return one line of progress."""
        parts = " ".join(f"{k} {v:.3f}" for k, v in self.seen.items())
        return f"{share:6.1%} step {self.step} {STAGES[self.stage]}: {parts} ({self.cpu_seconds():.0f} s)"

    def state(self, share: float) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        teacher = self.teacher
        return {
            "trainee": self.trainee.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "stage": self.stage,
            "share": share,
            "teacher": teacher.encoder.state_dict() if teacher else None,
            "whitening": list(teacher.whitening) if teacher else None,
            "real_shift": self.mixer.real_shift,
            "real_boundaries": self.mixer.real_boundaries,
            "unlabelled": self.mixer.shares["unlabelled"],
            "cpu_seconds": self.cpu_seconds(),
        }

    def restore(self, state: dict[str, Any]) -> float:
        """Take over a checkpoint; returns the share of the budget that it had used."""
        self.trainee.load_state_dict(state["trainee"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.stage = int(state["step"]), int(state["stage"])
        if state["teacher"] is not None:
            mean, matrix = state["whitening"]
            self.teacher = Teacher(self.average, (mean, matrix), own=self.stage == 2)
            self.teacher.encoder.load_state_dict(state["teacher"])
        self.mixer.real_shift, self.mixer.real_boundaries = state["real_shift"], state["real_boundaries"]
        self.mixer.shares["unlabelled"] = state["unlabelled"]
        self.spent = float(state.get("cpu_seconds", 0.0))
        return float(state["share"])


def stage_at(share: float) -> int:
    """Return the stage that a share of the budget falls into."""
    return next(i for i, end in enumerate(ENDS) if share < end or i == len(ENDS) - 1)
