"""Min-cut segmentation of frames into a given number of pieces, as the predecessors of Sylber do it.

Pieces are chosen so that frames resemble those of their own piece and not those of others: dynamic
programming over the normalised cut of the frames' similarity graph (SDHuBERT, arXiv 2310.10803, after Shi
and Malik 2000).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.floating[Any]]


def min_cut(features: Frames, pieces: int, longest: int = 50) -> NDArray[np.int64]:
    """Cut `features` (frames, dim) into `pieces` ranges of at most `longest` frames: half-open (pieces, 2).

    Minimises the sum over pieces of cut / volume, where a piece's volume is the similarity of its frames to
    all frames and its cut the part of it that goes to other pieces; the similarity is the cosine, at least
    0. The cost is frames² · dim for the graph and frames · longest · pieces for the search. Where `pieces`
    ranges of that length cannot cover the frames, as many more are made as it takes.
    """
    count = len(features)
    if count == 0:
        return np.zeros((0, 2), np.int64)
    longest = min(longest, count)
    pieces = min(max(pieces, -(-count // longest)), count)
    costs = _costs(np.asarray(features, np.float64), longest)
    best = np.full(count + 1, np.inf)  # best[t]: the least cost of cutting the first t frames into k pieces
    best[0] = 0.0
    lengths = np.arange(1, longest + 1)
    choices = np.zeros((pieces, count + 1), np.int32)
    ends = np.arange(count + 1)[:, None]
    starts = ends - lengths
    reachable = starts >= 0
    for k in range(pieces):
        options = np.where(reachable, best[np.maximum(starts, 0)] + costs, np.inf)
        choices[k] = options.argmin(axis=1)
        best = options.min(axis=1)
    bounds = []
    end = count
    for k in range(pieces - 1, -1, -1):
        start = end - int(lengths[choices[k, end]])
        bounds.append((start, end))
        end = start
    return np.asarray(bounds[::-1], np.int64)


def _costs(features: Frames, longest: int) -> NDArray[np.float64]:
    """Return cut / volume of the piece of each length that ends before each frame: (frames + 1, longest)."""
    norms = np.linalg.norm(features, axis=1, keepdims=True)
    unit = features / np.maximum(norms, 1e-12)
    graph = np.maximum(unit @ unit.T, 0.0)
    count = len(features)
    table = np.zeros((count + 1, count + 1))
    np.cumsum(np.cumsum(graph, axis=0), axis=1, out=table[1:, 1:])
    ends = np.arange(count + 1)[:, None]
    starts = np.maximum(ends - np.arange(1, longest + 1), 0)
    within = table[ends, ends] - 2 * table[starts, ends] + table[starts, starts]
    volume = table[ends, count] - table[starts, count]
    costs: NDArray[np.float64] = 1.0 - within / np.maximum(volume, 1e-9)
    return costs
