"""The token decoder's start in closed form: two spaces, units, random features, least squares on key frames.

The spaces: tokens are projected on what they say, linearly, of their own item's key frames, mel and phones
together, so that two tokens lie near one another where they sound alike. In one of them tokens are read. In
the other, in which phones weigh more, k-means finds the units: a mel's largest differences are of level and
voice quality, which say little of the words. The read-out: ridge regression from an item's surroundings,
plain and through random rectified features, to its key frames, over tokens and units both, cut to the rank
of `patch`.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from components.models.decode_speech import timeline
from components.models.nets.syllable_decoder import KEYS, SyllableDecoder, spoken
from components.models.recipes._resynthesis_corpus import PHONES, Clip
from components.models.recipes._unit_scores import nearest_means

ROUNDS = 15
RIDGE = 3.0  # on features of deviation one
SAID = 3.0  # deviation of the phones beside that of the mel, in the space of the units
FEW = 2000  # clips that the read-out's start is found on: its features fill the memory
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
    square = (values.T @ values).double()  # in single precision the solver gives up on a low rank
    vectors: Tensor = torch.linalg.eigh(square)[1].to(values.dtype)
    return vectors[:, -count:].flip(1)


@torch.no_grad()
def start(net: SyllableDecoder, clips: list[Clip], seed: int) -> None:
    """Give a net its spaces, its units and its read-out."""
    _set_spaces(net, clips, seed)
    few = clips[:: 1 + len(clips) // FEW]
    lines = [timeline(c.said) for c in few]
    keys = [torch.from_numpy(key_frames(c.mel, line[2])) for c, line in zip(few, lines, strict=True)]
    wanted = torch.cat(keys)
    tokens = [torch.from_numpy(line[0]) for line in lines]
    prosody = [torch.from_numpy(line[1]) for line in lines]
    level = wanted.mean(0)
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


def _set_spaces(net: SyllableDecoder, clips: list[Clip], seed: int) -> None:
    parts = [_spoken_items(c) for c in clips]
    tokens, mel, phones = (torch.from_numpy(np.concatenate(column)) for column in zip(*parts, strict=True))
    net.mean.copy_(tokens.mean(0))
    mel -= mel.mean(0)
    phones -= phones.mean(0)
    phones *= (mel.square().mean() / phones.square().mean().clamp(min=1e-9)).sqrt()
    for layer, weight in ((net.squeeze, 1.0), (net.place, SAID)):
        wanted = torch.cat([mel, weight * phones], 1)
        layer.weight.copy_(_space(tokens - net.mean, wanted, layer.out_features))
    placed = net.placed(tokens)
    generator = torch.Generator().manual_seed(seed)
    first = placed[torch.randint(len(placed), (len(net.centroids),), generator=generator)]
    net.centroids.copy_(nearest_means(placed, first, ROUNDS, seed))
    unit, read = net.units(placed), net.squeezed(tokens)
    counts = torch.bincount(unit, minlength=len(net.centroids)).clamp(min=1)
    net.embedding.copy_(torch.zeros_like(net.embedding).index_add_(0, unit, read) / counts[:, None])


def _spoken_items(clip: Clip) -> tuple[Table, Table, Table]:
    """Return the tokens of a clip's segments, their key frames, and the phones at these as 0 and 1."""
    tokens, prosody, index, _ = timeline(clip.said)
    said = np.eye(len(PHONES), dtype=np.float32)[clip.phones]
    real = prosody[:, -1] == 0
    return tokens[real], key_frames(clip.mel, index)[real], key_frames(said, index)[real]


def _space(tokens: Tensor, wanted: Tensor, count: int) -> Tensor:
    """Return the map (count, dim) to what tokens, about zero, say linearly of `wanted`, of deviation one."""
    scale = tokens.std(0) + 1e-3
    weights = ridge(tokens / scale, wanted)
    directions = principal((tokens / scale) @ weights, count)
    matrix: Tensor = (weights @ directions).T / scale
    return matrix / (tokens @ matrix.T).std()


def _seen(net: SyllableDecoder, tokens: Tensor, prosody: Tensor, coarse: float) -> Tensor:
    vectors = net.embedding[net.units(net.placed(tokens))] if coarse else net.squeezed(tokens)
    shown = vectors[None] * spoken(prosody[None])
    return net.surroundings(shown, prosody[None], torch.tensor([coarse]))[0]
