"""A small net that hears phones in log-mel frames: the perceptual part of the token decoder's loss.

It is trained beforehand on the real spectrograms, with the synthesiser's own phone times as labels, and then
stays as it is. A decoded spectrogram shall be heard as the phones that were said, and shall stir the hidden
layers as the real one does: blur costs little of a mean distance, but much of this one. It is not shipped.
"""

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from components.models.recipes._resumable import Resumable
from components.models.recipes._resynthesis_corpus import PHONES, Clip

NAME = "phone-ear"
WIDTH, KERNEL = 192, 5
DILATIONS = (1, 1, 2)
MIDDLE, SCALE = -4.0, 2.0  # of log-mels
NOISE = 0.25  # deviation added to scaled log-mels in training: the ear shall not rest on details
SPAN, FRAMES, RATE, STEPS = 200, 24, 2e-3, 700  # frames of a piece, pieces a step


class PhoneEar(nn.Module):
    """Log-mel (batch, frames, bands) → phone logits (batch, frames, 41); frames see 8 to either side."""

    def __init__(self, bands: int, width: int = WIDTH) -> None:
        super().__init__()
        sizes = [bands, *[width] * len(DILATIONS)]
        self.layers = nn.ModuleList(
            nn.Conv1d(a, b, KERNEL, padding=d * (KERNEL // 2), dilation=d)
            for (a, b), d in zip(pairwise(sizes), DILATIONS, strict=True)
        )
        self.last = nn.Conv1d(width, len(PHONES), 1)

    def forward(self, mel: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the logits and what each hidden layer holds (batch, width, frames)."""
        x = ((mel - MIDDLE) / SCALE).transpose(1, 2)
        if self.training:
            x = x + NOISE * torch.randn_like(x)
        hidden: list[Tensor] = []
        for layer in self.layers:
            x = functional.relu(layer(x))
            hidden.append(x)
        return self.last(x).transpose(1, 2), hidden


def heard_apart(
    ear: PhoneEar, found: Tensor, wanted: Tensor, phones: Tensor, kept: Tensor
) -> tuple[Tensor, Tensor]:
    """Return how a decoded log-mel is misheard: the cross-entropy of phones, the distance of hidden layers.

    found, wanted (batch, frames, bands); phones and kept (batch, frames). The distance is the mean absolute
    difference in each layer by the mean of what the real spectrogram stirs there, averaged over the layers.
    """
    logits, ours = ear(found)
    with torch.no_grad():
        _, theirs = ear(wanted)
    count = kept.sum().clamp(min=1)
    entropy = functional.cross_entropy(logits.float().flatten(0, 1), phones.flatten(), reduction="none")
    apart = [
        ((a - b).float().abs().mean(1) * kept).sum() / (b.float().abs().mean(1) * kept).sum().clamp(min=1e-6)
        for a, b in zip(ours, theirs, strict=True)
    ]
    return (entropy * kept.flatten()).sum() / count, torch.stack(apart).mean()


class Lesson(Resumable):
    """The ear's own training: random pieces of the real spectrograms."""

    def __init__(self, options: argparse.Namespace, clips: list[Clip]) -> None:
        torch.manual_seed(options.seed)
        net = PhoneEar(clips[0].mel.shape[1]).to(options.device)
        self.clips = clips
        super().__init__(options, NAME, net, (torch.optim.AdamW(net.parameters(), lr=RATE),))

    def batch(self) -> tuple[Tensor, Tensor]:
        """Draw pieces: log-mel (pieces, frames, bands) and phones (pieces, frames), -1 beyond a clip."""
        rng = np.random.default_rng((self.options.seed, self.step))
        mels = np.zeros((FRAMES, SPAN, self.clips[0].mel.shape[1]), np.float32)
        phones = np.full((FRAMES, SPAN), -1, np.int64)
        for row, said in zip(mels, phones, strict=True):
            clip = self.clips[int(rng.integers(len(self.clips)))]
            first = int(rng.integers(0, max(1, len(clip.mel) - SPAN + 1)))
            part = clip.mel[first : first + SPAN]
            row[: len(part)], said[: len(part)] = part, clip.phones[first : first + SPAN]
        return torch.from_numpy(mels), torch.from_numpy(phones)

    def run(self, steps: int) -> None:
        """Go on to `steps` steps in all."""
        loss = torch.zeros(())
        while self.step < steps:
            mel, phones = (part.to(self.options.device) for part in self.batch())
            torch.manual_seed(self.options.seed + self.step)
            with torch.autocast(self.options.device, torch.bfloat16):
                logits, _ = self.net(mel)
            loss = functional.cross_entropy(
                logits.float().flatten(0, 1), phones.flatten(), ignore_index=-1, label_smoothing=0.05
            )
            self.descend(loss, RATE * min(1, (self.step + 1) / 20) * max(0.01, 1 - self.step / steps))
        self.save()
        print(f"{NAME}: {self.step} steps, loss {float(loss.detach()):.3f}", flush=True)


def taught(options: argparse.Namespace, clips: list[Clip]) -> tuple[PhoneEar, float]:
    """Return the trained ear and the processor time it took, made once a work folder."""
    path = Path(options.work) / f"{NAME}.pt"
    lesson = Lesson(argparse.Namespace(**{**vars(options), "resume": path.exists()}), clips)
    if lesson.step < STEPS:
        lesson.run(STEPS)
    ear: PhoneEar = lesson.net.eval().requires_grad_(False)
    return ear, lesson.spent
