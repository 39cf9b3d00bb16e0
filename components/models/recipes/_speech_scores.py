"""Boundary scores of the speech model and of two baselines on a corpus of marked utterances."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from components.models.nets.syllable_encoder import HOP, SAMPLE_RATE
from components.models.recipes._syllables import Utterance, is_nucleus
from components.numerics.boundary_peaks import runs, segments
from components.numerics.boundary_scores import BoundaryScores, edges, score
from components.numerics.syllable_cuts import cut_syllables

RATE, OFFSET = SAMPLE_RATE / HOP, HOP / SAMPLE_RATE / 2
Bounds = NDArray[np.float64]
SHIFTS = np.arange(-0.05, 0.0451, 0.005)


@dataclass(frozen=True, eq=False)
class Curves:
    """What the net says of one utterance: features (frames, dim), boundary and speech (frames,), 0 to 1."""

    features: NDArray[np.float32]
    boundary: NDArray[np.float32]
    speech: NDArray[np.float32]


def at_level(samples: NDArray[np.int16]) -> NDArray[np.float32]:
    """Scale int16 samples to the level that the app gives the encoder."""
    from components.models.encode_speech import levelled

    return levelled(samples.astype(np.float32) / np.float32(32768))


@torch.no_grad()
def curves(net: nn.Module, utterances: list[Utterance], device: str = "cpu") -> list[Curves]:
    """Run the net over whole utterances, one by one."""
    out = []
    for utterance in utterances:
        y = net(torch.from_numpy(at_level(utterance.samples))[None].to(device))
        parts = (y["features"], torch.sigmoid(y["boundary"]), torch.sigmoid(y["speech"]))
        out.append(Curves(*(p[0].cpu().numpy() for p in parts)))
    return out


def pooled(
    utterances: list[Utterance],
    found: list[Bounds],
    shift: float = 0.0,
    *,
    tolerance: float = 0.05,
    starts_only: bool = False,
) -> BoundaryScores:
    """Score segments against marks, counts pooled: unique starts and ends, or predicted starts alone."""
    total = BoundaryScores(0, 0, 0)
    for utterance, bounds in zip(utterances, found, strict=True):
        predicted = bounds[:, 0] if starts_only else edges(bounds)
        total += score(edges(utterance.syllables), predicted, tolerance, shift)
    return total


def best_shift(utterances: list[Utterance], found: list[Bounds]) -> float:
    """Return the constant shift (s) of the predictions with the highest R-value: the papers' dev step.

    The curve has a plateau; of all shifts within half a point of the top the smallest is taken.
    """
    values = np.array([pooled(utterances, found, float(s)).r_value for s in SHIFTS])
    good = SHIFTS[values >= values.max() - 0.005]
    return float(good[np.abs(good).argmin()])


def head_segments(out: list[Curves], threshold: float, distance: float, speech: float = 0.5) -> list[Bounds]:
    """Decode the boundary head."""
    return [
        segments(
            c.boundary,
            c.speech,
            RATE,
            OFFSET,
            threshold=threshold,
            distance=distance,
            speech_threshold=speech,
        )
        for c in out
    ]


def greedy_segments(features: NDArray[np.float32], norm: float, merge: float) -> Bounds:
    """Cut features (frames, dim) with Sylber's greedy decoder: bounds (segments, 2) in seconds."""
    return cut_syllables(features, norm, merge).bounds / RATE


def fixed_rate(utterance: Utterance, rate: float = 4.3) -> Bounds:
    """Cut from the first to the last mark at a constant rate (Hz): the chance level."""
    start, end = 0.0, len(utterance.samples) / SAMPLE_RATE
    cuts = np.arange(start, end + 1e-9, 1 / rate)
    return np.stack([cuts[:-1], cuts[1:]], axis=1)


def nuclei_in(utterances: list[Utterance], found: list[Bounds]) -> tuple[float, float, int]:
    """Return how segments and the marked syllables' nuclei meet, and the number of nuclei.

    First the share of nuclei with their middle in a segment that touch two segments at most, then the share
    of segments with exactly one nucleus' middle in them.
    """
    covered, single, nuclei, cuts = 0, 0, 0, 0
    for utterance, bounds in zip(utterances, found, strict=True):
        times = np.array([(p.start, p.end) for p in utterance.phones if is_nucleus(p.label)]).reshape(-1, 2)
        middle = times.mean(axis=1)[:, None]
        holds = (bounds[:, 0] <= middle) & (middle < bounds[:, 1])
        touches = (bounds[:, 0] < times[:, 1:]) & (times[:, :1] < bounds[:, 1])
        covered += int((holds.any(axis=1) & (touches.sum(axis=1) <= 2)).sum())
        single += int((holds.sum(axis=0) == 1).sum())
        nuclei, cuts = nuclei + len(times), cuts + len(bounds)
    return covered / max(1, nuclei), single / max(1, cuts), nuclei


def envelope_valleys(utterance: Utterance, dip: float = 2.0, floor: float = -25.0) -> Bounds:
    """Cut at the valleys of the energy envelope that lie `dip` dB under both neighbouring peaks.

    Frames under `floor` dB from the loudest are silence. The baseline that needs no training.
    """
    from scipy.ndimage import gaussian_filter1d

    samples = utterance.samples.astype(np.float64)
    emphasised = np.append(samples[:1], samples[1:] - 0.5 * samples[:-1])
    count = max(1, len(samples) // 160)
    energy = np.resize(emphasised, count * 160).reshape(count, 160)
    envelope = gaussian_filter1d((energy**2).mean(1), 2.5) + 1e-9
    decibel = 10 * np.log10(envelope / envelope.max())
    bounds: list[tuple[float, float]] = []
    for start, end in runs(decibel >= floor):
        if end - start < 5:
            continue
        cuts = [start, *_valleys(decibel[start:end], dip, start), end]
        bounds += list(pairwise(cuts))
    return np.asarray(bounds, np.float64).reshape(-1, 2) * 0.01


def _valleys(curve: NDArray[np.float64], dip: float, start: int) -> list[int]:
    found: list[int] = []
    peak, low, where = curve[0], np.inf, 0
    for i, value in enumerate(curve):
        if value < low:
            low, where = value, i
        if value - low >= dip and peak - low >= dip:
            found.append(start + where)
            peak, low, where = value, value, i
        elif value > peak:
            peak, low, where = value, value, i
    return found


def baselines() -> dict[str, Callable[[Utterance], Bounds]]:
    """Return the two baselines by name."""
    return {"energy envelope": envelope_valleys, "fixed rate 4.3 Hz": fixed_rate}
