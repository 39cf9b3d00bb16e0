"""Syllables from loudness alone: one nucleus between any two valleys that are deep enough."""

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.numerics.boundary_peaks import runs


def valleys(level: NDArray[np.floating[Any]], dip: float) -> list[int]:
    """Return the frames at which `level` (frames,) in dB has a valley `dip` dB below both neighbouring peaks.

    A single pass that follows the curve up to a peak and down to a valley and turns only after a change
    of `dip`. Of a flat valley the first frame counts.
    """
    found: list[int] = []
    peak, valley, at = -np.inf, np.inf, 0
    falling = False
    for frame, value in enumerate(level.tolist()):
        if falling:
            if value < valley:
                valley, at = value, frame
            elif value >= valley + dip:
                found.append(at)
                falling, peak = False, value
        else:
            peak = max(peak, value)
            if value <= peak - dip:
                falling, valley, at = True, value, frame
    return found


def loudness_syllables(
    level: NDArray[np.floating[Any]], dip: float, silence: float, pause: int, floor: float = -75.0
) -> NDArray[np.int64]:
    """Cut stretches louder than `silence` dB below the clip's 99th percentile at their valleys.

    level (frames,) in dB; pauses shorter than `pause` frames are speech and stretches shorter than it are
    clicks; what stays under `floor` dB is silence whatever the rest is like. Returns half-open frame ranges
    (segments, 2).
    """
    if not len(level):
        return np.zeros((0, 2), np.int64)
    loud = level >= max(float(np.percentile(level, 99)) - silence, floor)
    for start, end in runs(~loud):
        if end - start < pause and start > 0 and end < len(level):
            loud[start:end] = True
    pieces: list[tuple[int, int]] = []
    for start, end in runs(loud):
        if end - start < pause:
            continue
        cuts = [start, *(start + v for v in valleys(level[start:end], dip)), end]
        pieces += pairwise(cuts)
    return np.asarray(pieces, np.int64).reshape(-1, 2)
