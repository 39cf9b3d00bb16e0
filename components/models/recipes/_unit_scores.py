"""Syllable units: k-means over segment vectors, and how purely units and syllables name one another.

The papers' protocol (arXiv 2410.07168, SDHuBERT): segments are matched one to one with the marked syllables
by intersection over union; with c(k, s) the times that unit k met syllable s among N matches, the syllable
purity is sum_k max_s c(k, s) / N and the cluster purity sum_s max_k c(k, s) / N. Both grow where N is small
against the number of units: the same units dealt out at random show how much.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from components.models.decode_speech import portions
from components.models.recipes._speech_batches import simple
from components.models.recipes._speech_corpus import (
    VARIANTS,
    Corpus,
    cached,
    english_sentences,
    espeak_set,
)
from components.models.recipes._speech_scores import Bounds, at_level, curves, head_segments
from components.models.recipes._speech_synthesis import Espeak
from components.models.recipes._syllables import Utterance

UNITS, ROUNDS, SEED = 1000, 15, 11
SENTENCES = 500  # spoken to find the units in
Vectors = NDArray[np.float32]


def nearest_means(vectors: Tensor, centroids: Tensor, rounds: int, seed: int = 0) -> Tensor:
    """Return k-means' centroids after so many rounds; one that nobody is near to moves to a far vector."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(rounds):
        score = vectors @ centroids.T - centroids.square().sum(1) / 2
        best, owner = score.max(1)
        counts = torch.bincount(owner, minlength=len(centroids)).float()
        sums = torch.zeros_like(centroids).index_add_(0, owner, vectors)
        moved = sums / counts.clamp(min=1)[:, None]
        empty = (counts == 0).nonzero()[:, 0]
        far = (vectors.square().sum(1) / 2 - best).topk(min(len(vectors), 4 * len(empty) + 1)).indices
        moved[empty] = vectors[far[torch.randint(len(far), (len(empty),), generator=generator)]]
        centroids = moved
    return centroids


def units_of(fit: Vectors, given: Vectors, count: int = UNITS, rounds: int = ROUNDS) -> NDArray[np.int64]:
    """Find `count` units in vectors (n, dim) and return the nearest one (m,) of each given (m, dim)."""
    table = torch.from_numpy(fit)
    generator = torch.Generator().manual_seed(SEED)
    start = table[torch.randperm(len(table), generator=generator)[:count]].clone()
    centroids = nearest_means(table, start, rounds, SEED)
    found = torch.from_numpy(given) @ centroids.T - centroids.square().sum(1) / 2
    numbers: NDArray[np.int64] = found.argmax(1).numpy()
    return numbers


def purities(units: NDArray[np.int64], labels: list[str]) -> tuple[float, float]:
    """Return syllable purity and cluster purity of units (n,) against labels (n)."""
    _, label = np.unique(labels, return_inverse=True)
    _, unit = np.unique(units, return_inverse=True)
    counts = np.zeros((unit.max() + 1, label.max() + 1), np.int64)
    np.add.at(counts, (unit, label), 1)
    return float(counts.max(axis=1).sum() / len(labels)), float(counts.max(axis=0).sum() / len(labels))


def matched(found: Bounds, marks: NDArray[np.floating]) -> list[tuple[int, int]]:
    """Return pairs (segment, syllable) with the largest summed intersection over union; both used once."""
    from scipy.optimize import linear_sum_assignment

    if not len(found) or not len(marks):
        return []
    low = np.maximum(found[:, None, 0], marks[None, :, 0])
    high = np.minimum(found[:, None, 1], marks[None, :, 1])
    inside = np.maximum(high - low, 0)
    either = np.diff(found, axis=1) + np.diff(marks, axis=1).T - inside
    overlap = inside / np.maximum(either, 1e-9)
    rows, columns = linear_sum_assignment(-overlap)
    return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if overlap[r, c] > 0]


def named(utterance: Utterance) -> list[str]:
    """Return the phones of each marked syllable, stress and length dropped."""
    return [
        " ".join(simple(p.label) for p in utterance.phones if p.start > start - 1e-3 and p.end < end + 1e-3)
        for start, end in utterance.syllables
    ]


def segment_vectors(
    net: nn.Module, utterances: list[Utterance], decode: dict[str, float]
) -> tuple[dict[str, Vectors], list[str]]:
    """Return the mean feature and mean log-mel of the head's segments, and their syllables ("" for none)."""
    out = curves(net, utterances)
    found = head_segments(out, decode["peak_threshold"], decode["min_distance_s"], decode["speech_threshold"])
    vectors: dict[str, list[Vectors]] = {"features": [], "log-mel": []}
    labels: list[str] = []
    for utterance, c, bounds in zip(utterances, out, found, strict=True):
        if not len(bounds):
            continue
        names, said = named(utterance), [""] * len(bounds)
        for segment, syllable in matched(bounds, utterance.syllables):
            said[segment] = names[syllable]
        with torch.no_grad():
            wave = torch.from_numpy(at_level(utterance.samples))[None]
            mel = net.front(wave)[0].numpy()  # type: ignore[operator]
        vectors["features"].append(portions(c.features, bounds, 1))
        vectors["log-mel"].append(portions(mel, bounds, 1))
        labels += said
    return {k: np.concatenate(v) for k, v in vectors.items() if v}, labels


def fitting(data: Path, work: Path) -> list[Utterance]:
    """Return speech of training voices to find units in, made once a work folder."""
    path = work / "units.pkl"
    found: Corpus | None = cached(path)
    if found is None:
        lines = english_sentences(data / "text" / "novels_train.txt", SENTENCES, SEED)
        found = {"fit": espeak_set(Espeak(), lines, ["en-us", "en"], VARIANTS, SEED)}
        cached(path, found)
    return found["fit"]


def purity_figures(
    net: nn.Module, test: list[Utterance], fit: list[Utterance], decode: dict[str, float], count: int = UNITS
) -> tuple[dict[str, float], int]:
    """Return the purities by name, and how many matched segments of the test they are over.

    Nothing where no segment was found in either, as by a net that has learned nothing yet.
    """
    known, _ = segment_vectors(net, fit, decode)
    given, labels = segment_vectors(net, test, decode)
    kept = np.array([bool(label) for label in labels])
    syllables = [label for label in labels if label]
    figures: dict[str, float] = {}
    for kind in known if syllables else ():
        units = units_of(known[kind], given[kind][kept], min(count, len(known[kind])))
        dealt = np.random.default_rng(SEED).permutation(units)
        for name, numbers in ((kind, units), (f"{kind}, units dealt out at random", dealt)):
            pure, clustered = purities(numbers, syllables)
            figures[f"syllable purity by {name}"] = pure
            figures[f"cluster purity by {name}"] = clustered
    return figures, len(syllables)
