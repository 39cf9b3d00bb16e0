"""Sylber's segmentation of frame features (arXiv 2410.07168): norm gate, greedy sweep, one refinement.

The work is linear in the number of frames: each is compared once with the running mean of its segment,
and each boundary inside speech is moved at most once within half of its two neighbours.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.numerics.boundary_peaks import runs

Frames = NDArray[np.floating[Any]]
_CHUNK = 16  # frames compared at once; a syllable of 200 ms has 10
_TINY = 1e-12


@dataclass(frozen=True, eq=False)
class Cuts:
    """Segments as half-open frame ranges (segments, 2), and the two curves that decided.

    norms (frames,) is the length of every frame vector. cosines (frames,) is the cosine of a frame to the
    running mean of the segment it was offered to; 0 outside speech, 1 at the first frame after a pause.
    """

    bounds: NDArray[np.int64]
    norms: NDArray[np.float64]
    cosines: NDArray[np.float64]


def cut_syllables(
    features: Frames,
    norm_threshold: float,
    merge_threshold: float,
    speech: NDArray[np.bool_] | None = None,
) -> Cuts:
    """Cut `features` (frames, dim) into syllables.

    A frame is speech where its norm reaches `norm_threshold` and, if given, `speech` (frames,) is true.
    Frames join a segment while their cosine to its running mean reaches `merge_threshold`.
    """
    frames = np.asarray(features, np.float64)
    norms = np.sqrt(np.einsum("td,td->t", frames, frames))
    mask = norms >= norm_threshold
    if speech is not None:
        mask &= speech
    sums = np.concatenate([np.zeros((1, frames.shape[1])), np.cumsum(frames, axis=0)])
    cosines = np.zeros(len(frames))
    pieces: list[list[int]] = []
    for start, end in runs(mask):
        cosines[start] = 1.0
        swept = _sweep(frames, norms, sums, start, end, merge_threshold, cosines)
        pieces += _refine(frames, norms, sums, swept, merge_threshold)
    return Cuts(np.asarray(pieces, np.int64).reshape(-1, 2), norms, cosines)


def _sweep(
    frames: Frames,
    norms: Frames,
    sums: Frames,
    start: int,
    end: int,
    threshold: float,
    cosines: Frames,
) -> list[list[int]]:
    """Cut one stretch of speech greedily from left to right, noting each frame's cosine in `cosines`."""
    pieces = []
    opened = start
    while opened < end:
        t, size = opened + 1, _CHUNK
        while t < end:
            stop = min(t + size, end)
            totals = sums[t:stop] - sums[opened]  # the running mean's direction: its scale does not matter
            lengths = np.sqrt(np.einsum("td,td->t", totals, totals)) * norms[t:stop]
            near = np.einsum("td,td->t", totals, frames[t:stop]) / np.maximum(lengths, _TINY)
            below = near < threshold
            first = int(below.argmax())
            if below[first]:
                cosines[t : t + first + 1] = near[: first + 1]
                t += first
                break
            cosines[t:stop] = near
            t, size = stop, 2 * size
        pieces.append([opened, t])
        opened = t
    return pieces


def _refine(
    frames: Frames, norms: Frames, sums: Frames, pieces: list[list[int]], threshold: float
) -> list[list[int]]:
    """Visit the boundaries inside one stretch once, left to right: merge like neighbours or move the cut."""
    done = pieces[:1]
    for right in pieces[1:]:
        left = done[-1]
        first = sums[left[1]] - sums[left[0]]
        second = sums[right[1]] - sums[right[0]]
        first_length = max(float(np.sqrt(first @ first)), _TINY)
        second_length = max(float(np.sqrt(second @ second)), _TINY)
        if float(first @ second) >= threshold * first_length * second_length:
            left[1] = right[1]
            continue
        # a frame left of the boundary gains its cosine to the first mean and loses that to the second
        low, high = _window(left, right)
        contrast = first / first_length - second / second_length
        gain = np.cumsum((frames[low:high] @ contrast) / np.maximum(norms[low:high], _TINY))
        splits = np.concatenate([[0.0], gain])
        best = int(np.argmax(splits[1:-1])) + 1
        if splits[best] > splits[left[1] - low] + 1e-9:
            left[1] = right[0] = low + best
        done.append(right)
    return done


def _window(left: list[int], right: list[int]) -> tuple[int, int]:
    """Return the frames that may change sides: half of each neighbour, and at least one of each.

    Boundaries are tried strictly inside the window, so that neither neighbour vanishes.
    """
    back = max(1, (left[1] - left[0]) // 2)
    ahead = max(1, (right[1] - right[0]) // 2)
    return max(left[0], left[1] - back), min(right[1], right[0] + ahead)


def segment_means(features: Frames, bounds: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the mean of the frames (frames, dim) in each half-open range: (segments, dim)."""
    if not len(bounds):
        return np.zeros((0, features.shape[1]), np.float32)
    sums = np.concatenate([np.zeros((1, features.shape[1])), np.cumsum(features, axis=0, dtype=np.float64)])
    lengths = np.maximum(bounds[:, 1] - bounds[:, 0], 1)[:, None]
    means: NDArray[np.float32] = ((sums[bounds[:, 1]] - sums[bounds[:, 0]]) / lengths).astype(np.float32)
    return means
