"""From a boundary curve and a speech curve to segments: peaks of the one inside the runs of the other."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Curve = NDArray[np.floating]


def runs(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the stretches of true frames as (runs, 2): first frame and the frame after the last."""
    steps = np.diff(np.concatenate([[0], mask.astype(np.int8), [0]]))
    return np.stack([np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)], axis=1)


def speech_runs(speech: Curve, threshold: float, shortest_pause: int, shortest_run: int) -> NDArray[np.int64]:
    """Return the runs of `speech >= threshold` with short pauses closed and short runs dropped (frames)."""
    mask = speech >= threshold
    for start, end in runs(~mask):
        if end - start < shortest_pause and start > 0 and end < len(mask):
            mask[start:end] = True
    found = runs(mask)
    return found[found[:, 1] - found[:, 0] >= shortest_run]


def peak_frames(curve: Curve, threshold: float, distance: int) -> NDArray[np.int64]:
    """Return the local maxima (frames) from `threshold`; of two closer than `distance` the higher stays."""
    padded = np.concatenate([[-np.inf], curve, [-np.inf]])
    top = (padded[1:-1] > padded[:-2]) & (padded[1:-1] >= padded[2:]) & (curve >= threshold)
    candidates = np.flatnonzero(top)
    free = np.ones(len(curve), bool)
    kept: list[int] = []
    for frame in candidates[np.argsort(-curve[candidates], kind="stable")]:
        if free[frame]:
            kept.append(int(frame))
            free[max(0, frame - distance + 1) : frame + distance] = False
    return np.sort(np.asarray(kept, np.int64))


def between_frames(curve: Curve, frames: NDArray[np.int64]) -> NDArray[np.float64]:
    """Move peaks to the top of the parabola through them and their neighbours, by half a frame at most."""
    padded = np.concatenate([curve[:1], curve, curve[-1:]]).astype(np.float64)
    left, top, right = padded[frames], padded[frames + 1], padded[frames + 2]
    bend = left - 2 * top + right
    move = np.divide(left - right, 2 * bend, out=np.zeros(len(frames)), where=bend < -1e-9)
    return np.asarray(frames + np.clip(move, -0.5, 0.5))


def segments(
    boundary: Curve,
    speech: Curve,
    rate: float,
    offset: float,
    *,
    threshold: float = 0.5,
    distance: float = 0.08,
    speech_threshold: float = 0.5,
    shortest_pause: float = 0.1,
) -> NDArray[np.float64]:
    """Cut speech at the peaks of the boundary curve: bounds (segments, 2) in seconds.

    `boundary` and `speech` (frames,) are probabilities; frame `i` is centred at `i / rate + offset` seconds;
    all other times are in seconds. A run of speech begins and ends at the nearest peak within half the
    shortest pause of its edge, else at the edge; peaks inside it cut it where both pieces last at least
    `distance`.
    """
    gap = max(1, round(distance * rate))
    found = speech_runs(speech, speech_threshold, max(1, round(shortest_pause * rate)), gap)
    peaks = between_frames(boundary, peak_frames(boundary, threshold, gap)) / rate + offset
    bounds: list[tuple[float, float]] = []
    half = 0.5 / rate
    for start, end in found:
        first = _snap(start / rate + offset - half, peaks, shortest_pause / 2)
        last = _snap((end - 1) / rate + offset + half, peaks, shortest_pause / 2)
        slack = distance - 1e-9
        low, high = np.searchsorted(peaks, [first + slack, last - slack])
        cuts = [max(0.0, first), *peaks[low:high], last]
        bounds += [(a, b) for a, b in pairwise(cuts) if b > a]
    return np.asarray(bounds, np.float64).reshape(-1, 2)


def _snap(time: float, peaks: NDArray[np.float64], reach: float) -> float:
    if not len(peaks):
        return time
    near = float(peaks[np.abs(peaks - time).argmin()])
    return near if abs(near - time) <= reach else time
