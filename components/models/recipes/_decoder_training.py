"""How the token decoder learns: its loss, its batches, its steps."""

import argparse
import time
from typing import Any

import numpy as np
import torch
from torch import Tensor

from components.models.decode_speech import timeline
from components.models.nets.syllable_decoder import SyllableDecoder, spoken
from components.models.recipes import _resynthesis_corpus as corpus
from components.models.recipes._decoder_start import start
from components.models.recipes._phone_ear import PhoneEar, heard_apart
from components.models.recipes._resumable import Resumable, moving_average, muon_and_adamw
from components.models.recipes._resynthesis_scores import decoded, level_apart

RATE = 1e-3
WARM_UP = 20  # steps
COARSE = 3  # every so many clips one is played from units
NOISE = 0.1  # of each axis's deviation, added in training, so that near vectors must sound alike
SLOPES = 0.5  # weight of the differences along time: against blur
ENVELOPE, POOLED = 1.5, 6  # weight of the spectral envelope, and how many bands are averaged for it
PHONES, STIRRED = 0.3, 1.0  # weights of the phones misheard and of the distance within the ear
STARTING = 6000  # clips that the closed form sees
DEV = 60  # clips left out, to watch the loss on


def collated(clips: list[corpus.Clip]) -> dict[str, Tensor]:
    """Return padded tensors of clips: what `SyllableDecoder.forward` takes, mel, phones; index -1 pads."""
    parts = [(*timeline(c.said), c.mel.astype(np.float32), c.phones.astype(np.int64)) for c in clips]
    names = ("tokens", "prosody", "index", "position", "mel", "phones")
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


class Training(Resumable):
    """A run: net, its moving average, optimisers and counts, all of it in the checkpoint."""

    def __init__(
        self, options: argparse.Namespace, clips: list[corpus.Clip], net: SyllableDecoder, name: str,
        ear: PhoneEar,
    ) -> None:  # fmt: skip
        started = time.process_time()
        ordered = sorted(clips, key=lambda c: c.said.seconds)
        every = max(2, len(ordered) // DEV)
        self.dev = ordered[every // 2 :: every]
        self.clips = [c for i, c in enumerate(ordered) if i % every != every // 2]
        self.ear = ear.to(options.device)
        if not options.resume:
            start(net, self.clips[:: 1 + len(self.clips) // STARTING], options.seed)
        net.to(options.device)
        inner = ("blocks", "polish.mix")
        deep = [p for n, p in net.named_parameters() if n.startswith(inner) and p.ndim == 2]
        super().__init__(options, name, net, muon_and_adamw(net, deep, RATE), moving_average(200))
        self.budget.started = started - self.spent  # what the closed form took counts

    def batch(self) -> dict[str, Tensor]:
        """Draw neighbours in the order of length, so that little is padded."""
        rng = np.random.default_rng((self.options.seed, self.step))
        count = min(self.options.clips, len(self.clips))
        first = int(rng.integers(0, len(self.clips) - count + 1))
        return {k: v.to(self.options.device) for k, v in collated(self.clips[first : first + count]).items()}

    def played(self, batch: dict[str, Tensor]) -> Tensor:
        """Return the mel of a batch, every third clip from units, the others from vectors."""
        net, tokens = self.net, batch["tokens"]
        coarse = ((torch.arange(len(tokens), device=tokens.device) + self.step) % COARSE == 0).float()
        with torch.no_grad():
            unit = net.units(net.placed(tokens))
        read = net.squeezed(tokens)
        near = NOISE * net.embedding.detach().std(0) * torch.randn_like(read)
        given = torch.where(coarse[:, None, None] > 0, net.embedding[unit], read + near)
        shown = given * spoken(batch["prosody"])
        mel: Tensor = self.net.decode(shown, batch["prosody"], batch["index"], batch["position"], coarse)
        return mel

    def advance(self) -> list[float]:
        """Take one step; return the loss and its parts: bands, phones, the ear's layers."""
        torch.manual_seed(self.options.seed + self.step)  # a resumed run draws the same noise
        batch = self.batch()
        kept = batch["index"] >= 0
        with torch.autocast(self.options.device, torch.bfloat16):
            found = self.played(batch)
            phones, stirred = heard_apart(self.ear, found, batch["mel"], batch["phones"], kept)
        bands = distance(found.float(), batch["mel"], kept)
        loss = bands + PHONES * phones + STIRRED * stirred
        self.descend(loss, RATE * min(1, (self.step + 1) / WARM_UP) * max(0.01, 1 - self.done()))
        return [float(part.detach()) for part in (loss, bands, phones, stirred)]

    def left_out(self) -> str:
        """Return the average's scores on the clips left out, from vectors and from units."""
        net = self.average.module
        apart, right = [], []
        for quantise in (False, True):
            mels = [decoded(net, c.said, quantise) for c in self.dev]
            apart.append(np.mean([level_apart(m, c.mel) for m, c in zip(mels, self.dev, strict=True)]))
            right.append(phones_right(self.ear, mels, self.dev))
        return (f"left out {apart[0]:.2f} and {apart[1]:.2f} dB, "
                f"phones {right[0]:.1%} and {right[1]:.1%}")  # fmt: skip

    def run(self, every: int = 250) -> None:
        """Train until the budget ends, printing mean losses every so many steps."""
        losses: list[list[float]] = []
        saved = time.process_time()
        while self.budget.left(self.step):
            losses.append(self.advance())
            if self.step % every == 0:
                parts = " ".join(f"{x:.3f}" for x in np.mean(losses, 0))
                print(f"step {self.step}  {self.minutes:.1f} min  {parts}  {self.left_out()}", flush=True)
                losses = []
            if time.process_time() - saved > 30:
                saved = time.process_time()
                self.save()
        self.save()


@torch.inference_mode()
def phones_right(ear: PhoneEar, mels: list[Any], clips: list[corpus.Clip]) -> float:
    """Return the share of frames in which the ear hears the phone that was said."""
    device = next(ear.parameters()).device
    right = total = 0
    for mel, clip in zip(mels, clips, strict=True):
        count = min(len(mel), len(clip.phones))
        given = torch.from_numpy(np.asarray(mel, np.float32))[None].to(device)
        guess = ear(given)[0][0].argmax(1).cpu().numpy()
        right += int((guess[:count] == clip.phones[:count]).sum())
        total += count
    return right / max(1, total)
