"""How good a dense prediction is: overlap of classes, error of disparity, agreement, objects kept."""

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.integer]
Counts = NDArray[np.int64]


def confusion(predicted: Labels, truth: Labels, classes: int) -> Counts:
    """Return counts (classes of the truth, classes predicted) over all pixels."""
    pairs = truth.ravel().astype(np.int64) * classes + predicted.ravel()
    counts: Counts = np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)
    return counts


def mean_iou(counts: Counts) -> float:
    """Return the mean over the truth's classes of intersection / union, from a confusion matrix, 0 to 1."""
    hit = np.diag(counts).astype(np.float64)
    union = counts.sum(axis=0) + counts.sum(axis=1) - hit
    there = counts.sum(axis=1) > 0
    return float((hit[there] / union[there]).mean()) if there.any() else float("nan")


def rmse(predicted: NDArray[np.floating], truth: NDArray[np.floating]) -> float:
    """Return the root of the mean squared difference, in the arrays' own unit."""
    return float(np.sqrt(np.mean((predicted.astype(np.float64) - truth) ** 2)))


def agreement(first: Labels, second: Labels) -> float:
    """Return the share of pixels with equal labels."""
    return float((first == second).mean())


def object_recall(
    kept: NDArray[np.integer], instances: Labels, grid: int, background: int = -1
) -> tuple[int, int]:
    """Return how many visible objects have at least one kept patch, and how many there are.

    kept are patch indices (row-major on a grid × grid raster); instances (height, width) has an object's id
    at each of its pixels, `background` elsewhere. A patch holds an object that covers a quarter of it; an
    object that nowhere covers so much is held by the patches of which it covers most.
    """
    size = instances.shape[0] // grid
    blocks = instances.reshape(grid, size, grid, size).swapaxes(1, 2).reshape(grid * grid, size * size)
    chosen = np.zeros(grid * grid, dtype=np.bool_)
    chosen[kept] = True
    ids = [i for i in np.unique(instances) if i != background]
    found = 0
    for number in ids:
        share = (blocks == number).mean(axis=1)
        holds = share >= min(0.25, share.max())
        found += bool((holds & chosen).any())
    return found, len(ids)
