"""The token decoder's start in closed form: a space for units, random features, least squares on key frames.

The space: tokens are projected on what they say, linearly, of their own item's key frames, so that two
tokens lie near one another where they sound alike; k-means finds the units there. The read-out: ridge
regression from an item's surroundings, plain and through random rectified features, to its key frames, over
tokens and units both, cut to the rank of `patch`.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from components.models.decode_speech import timeline
from components.models.nets.syllable_decoder import KEYS, SyllableDecoder, spoken
from components.models.recipes._resynthesis_corpus import Clip
from components.models.recipes._unit_scores import nearest_means

ROUNDS = 15
RIDGE = 3.0  # on features of deviation one
SHARPNESS = 1.5  # deviation of what a random feature is rectified from
Table = NDArray[np.float32]


def key_frames(mel: NDArray[np.floating], index: NDArray[np.int64]) -> Table:
    """Return each item's key frames (items, KEYS * bands): the mel at even steps over the item."""
    wide = mel[: len(index)].astype(np.float32)
    begin = np.flatnonzero(np.diff(index, prepend=-1))
    length = np.diff(begin, append=len(index))
    at = begin[:, None] - 0.5 + length[:, None] * np.linspace(0, 1, KEYS)
    at = np.clip(at, begin[:, None], (begin + length - 1)[:, None])
    low = np.minimum(at.astype(np.int64), max(0, len(wide) - 2))
    share = (at - low)[..., None].astype(np.float32)
    found = wide[low] * (1 - share) + wide[np.minimum(low + 1, len(wide) - 1)] * share
    frames: Table = found.reshape(len(begin), -1)
    return frames


def ridge(x: Tensor, y: Tensor, penalty: float = RIDGE) -> Tensor:
    """Return the weights (inputs, outputs) of least squares with a penalty on their squares."""
    square = x.T @ x
    square.diagonal().add_(penalty)
    weights: Tensor = torch.linalg.solve(square, x.T @ y)
    return weights


def principal(values: Tensor, count: int) -> Tensor:
    """Return the `count` directions (dim, count) of the largest second moments of rows (n, dim)."""
    vectors: Tensor = torch.linalg.eigh(values.T @ values)[1]
    return vectors[:, -count:].flip(1)


@torch.no_grad()
def start(net: SyllableDecoder, clips: list[Clip], seed: int) -> None:
    """Give a net its space, its units and its read-out."""
    lines = [timeline(c.said) for c in clips]
    keys = [torch.from_numpy(key_frames(c.mel, line[2])) for c, line in zip(clips, lines, strict=True)]
    tokens = [torch.from_numpy(line[0]) for line in lines]
    prosody = [torch.from_numpy(line[1]) for line in lines]
    wanted = torch.cat(keys)
    level = wanted.mean(0)
    _set_space(net, torch.cat(tokens), torch.cat(prosody), wanted - level, seed)
    seen = torch.cat([_seen(net, t, p, coarse) for coarse in (0.0, 1.0)
                      for t, p in zip(tokens, prosody, strict=True)])  # fmt: skip
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(net.up.weight.shape, generator=generator) / (seen.std(0) + 0.05)
    weight *= SHARPNESS / seen.shape[1] ** 0.5
    net.up.weight.copy_(weight)
    net.up.bias.copy_(torch.randn(len(weight), generator=generator) - weight @ seen.mean(0))
    values = net.hidden(seen)
    middle, scale = values.mean(0), values.std(0) + 1e-2
    target = (wanted - level).repeat(2, 1)
    weights = ridge((values - middle) / scale, target)
    directions = principal(((values[::4] - middle) / scale) @ weights, net.spread.in_features)
    net.read.weight.copy_((weights @ directions).T / scale)
    net.read.bias.copy_(-net.read.weight @ middle)
    net.spread.weight.copy_(directions)
    net.spread.bias.copy_(level)


def _set_space(net: SyllableDecoder, tokens: Tensor, prosody: Tensor, wanted: Tensor, seed: int) -> None:
    real = spoken(prosody)[:, 0]
    kept = tokens[real]
    net.mean.copy_(kept.mean(0))
    scale = kept.std(0) + 1e-3
    weights = ridge((kept - net.mean) / scale, wanted[real])
    directions = principal(((kept - net.mean) / scale) @ weights, net.squeeze.out_features)
    net.squeeze.weight.copy_((weights @ directions).T / scale)
    placed = net.squeezed(kept)
    net.squeeze.weight /= placed.std()
    placed = placed / placed.std()
    generator = torch.Generator().manual_seed(seed)
    first = placed[torch.randint(len(placed), (len(net.centroids),), generator=generator)]
    net.centroids.copy_(nearest_means(placed, first, ROUNDS, seed))


def _seen(net: SyllableDecoder, tokens: Tensor, prosody: Tensor, coarse: float) -> Tensor:
    vectors = net.squeezed(tokens)
    if coarse:
        vectors = net.centroids[net.units(vectors)]
    shown = vectors[None] * spoken(prosody[None])
    return net.surroundings(shown, prosody[None], torch.tensor([coarse]))[0]
