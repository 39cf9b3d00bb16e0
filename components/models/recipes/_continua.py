"""Categorical perception: how step-like the features move along a continuum from one word to another.

A continuum is a word pair in steps alpha from 0 to 1. With d_0 and d_1 the mean frame distances of a step to
both ends, p = d_0 / (d_0 + d_1) is how much it sounds like the second word. Its sharpness index is
min over theta of mean |p(alpha) - 1[alpha > theta]|: 0 for a step, about .25 for a straight line.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from components.models.recipes._speech_corpus import decode
from components.models.recipes._speech_scores import at_level
from components.numerics.ranking_scores import paired_bootstrap

DRAWS, SEED = 10_000, 3
Curve = NDArray[np.float64]


def likeness(steps: list[NDArray[np.floating]]) -> Curve:
    """Return p (steps,) of sequences (frames, dim): 0 is the first one, 1 the last."""
    shortest = min(map(len, steps))
    table = np.stack([one[:shortest] for one in steps]).astype(np.float64)
    first, last = (np.linalg.norm(table - table[end], axis=2).mean(axis=1) for end in (0, -1))
    return np.asarray(first / np.maximum(first + last, 1e-12))


def sharpness(curve: Curve) -> float:
    """Return the index of p over evenly spaced steps, the best of all places for the boundary."""
    places = np.arange(len(curve))
    return float(min(np.abs(curve - (places >= cut)).mean() for cut in range(len(curve) + 1)))


def continua(folder: Path) -> Iterator[tuple[str, list[Path]]]:
    """Yield every word pair in a folder with the files of its steps, in order."""
    names = sorted({path.name.split("_ALPHA=")[0] for path in folder.glob("*_ALPHA=*.wav")})
    for name in names:
        yield name, sorted(folder.glob(f"{name}_ALPHA=*.wav"))


@torch.no_grad()
def sharpness_figures(net: nn.Module, folder: Path) -> tuple[dict[str, float], int]:
    """Return the mean index of features and of log-mel, log-mel's lead with its 95 % range, and the pairs.

    The range is a bootstrap over word pairs. Nothing where the folder holds no continuum.
    """
    found: list[tuple[float, float]] = []
    for _, paths in continua(folder):
        waves = [torch.from_numpy(at_level(decode(path)))[None] for path in paths]
        features = [net(wave)["features"][0].numpy() for wave in waves]
        spectra = [net.front(wave)[0].numpy() for wave in waves]  # type: ignore[operator]
        found.append((sharpness(likeness(features)), sharpness(likeness(spectra))))
    if not found:
        return {}, 0
    ours, theirs = np.array(found).T
    _, low, high = paired_bootstrap(ours, theirs, DRAWS, SEED)
    return {
        "categorical sharpness index of features": float(ours.mean()),
        "categorical sharpness index of log-mel": float(theirs.mean()),
        "categorical sharpness, log-mel minus features, 2.5 %": low,
        "categorical sharpness, log-mel minus features, 97.5 %": high,
    }, len(found)
