"""One vector a syllable → log-mel spectrogram: a token with its neighbours becomes a few key frames.

A clip is a row of *items* without holes: its segments and the gaps between them (`timeline`). A segment's
token holds what the encoder heard in it; length, pitch and level come beside it. Each item is read together
with two neighbours to either side and brings `KEYS` key frames, spaced evenly over it; its frames
interpolate between them, because one flat vector cannot be played. Two read-outs add up: a wide one of rank
`patch`, which a closed form can fill, and a deep one of `depth` blocks, each of which sees one more item to
either side. After arXiv 2410.07168's token-to-speech, with mel in place of articulation and without flow
matching.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

KEYS = 10  # key frames an item
REACH = 2  # items to either side
PROSODY = 5  # log-length, voiced or not, log-pitch, level, silence or not
PARTS = 2 * REACH + 1
DROPPED = 0.1  # share of a block's hidden values left out in training
EXPAND = 3  # how many times wider a block's perceptron is


class Block(nn.Module):
    """A residual block over items: a mix of three neighbours, then a perceptron of each item alone."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.before = nn.LayerNorm(width)
        self.mix = nn.Linear(3 * width, width)
        self.between = nn.LayerNorm(width)
        self.wide = nn.Linear(width, EXPAND * width)
        self.narrow = nn.Linear(EXPAND * width, width)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        """Map items (batch, items, width); `real` (batch, items, 1) is 0 where a row is padded."""
        side = functional.pad(self.before(x) * real, (0, 0, 1, 1))
        count = x.shape[1]
        x = x + functional.gelu(self.mix(torch.cat([side[:, i : i + count] for i in range(3)], -1)))
        hidden = functional.gelu(self.wide(self.between(x)))
        out: Tensor = x + self.narrow(functional.dropout(hidden, DROPPED, self.training))
        return out


class SyllableDecoder(nn.Module):
    """Tokens (batch, items, dim) and prosody → log-mel (batch, frames, bands); holds the unit centroids."""

    centroids: Tensor
    mean: Tensor

    def __init__(
        self, dim: int, squeezed: int, units: int, hidden: int, patch: int, bands: int, width: int,
        depth: int,
    ) -> None:  # fmt: skip
        super().__init__()
        self.bands = bands
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("centroids", torch.zeros(units, squeezed))
        self.squeeze = nn.Linear(dim, squeezed, bias=False)
        seen = PARTS * (squeezed + PROSODY) + 1
        self.up = nn.Linear(seen, hidden)
        self.read = nn.Linear(seen + hidden, patch)
        self.spread = nn.Linear(patch, KEYS * bands)
        self.enter = nn.Linear(seen, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(depth))
        self.last = nn.LayerNorm(width)
        self.leave = nn.Linear(width, KEYS * bands)
        nn.init.zeros_(self.leave.weight)  # at first the wide read-out speaks alone
        nn.init.zeros_(self.leave.bias)

    def squeezed(self, tokens: Tensor) -> Tensor:
        """Return tokens (..., dim) in the space of the units (..., squeezed)."""
        out: Tensor = self.squeeze(tokens - self.mean).float()
        return out

    def units(self, squeezed: Tensor) -> Tensor:
        """Return the number of the nearest centroid (...,) of vectors (..., squeezed)."""
        flat = squeezed.reshape(-1, squeezed.shape[-1])
        score = flat @ self.centroids.T - self.centroids.square().sum(1) / 2
        return score.argmax(1).view(squeezed.shape[:-1])

    def surroundings(self, vectors: Tensor, prosody: Tensor, coarse: Tensor) -> Tensor:
        """Return what an item is read from (batch, items, seen): itself, two before, two after, `coarse`.

        coarse (batch,) is 1 where the vectors are centroids. Beyond the ends of a clip stands zero.
        """
        own = torch.cat([vectors, prosody], -1)
        wide = functional.pad(own, (0, 0, REACH, REACH))
        near = [wide[:, i : i + own.shape[1]] for i in range(PARTS)]
        return torch.cat([*near, coarse[:, None, None].expand(-1, own.shape[1], 1)], -1)

    def hidden(self, seen: Tensor) -> Tensor:
        """Return what the read-out is linear in (..., seen + hidden)."""
        return torch.cat([seen, functional.relu(self.up(seen))], -1)

    def keys(self, vectors: Tensor, prosody: Tensor, coarse: Tensor) -> Tensor:
        """Return the key frames (batch, items, KEYS, bands) of vectors that are zero in gaps."""
        seen = self.surroundings(vectors, prosody, coarse)
        wide = self.spread(self.read(self.hidden(seen)))
        out: Tensor = (wide.float() + self.deep(seen, prosody).float()).unflatten(-1, (KEYS, self.bands))
        return out

    def deep(self, seen: Tensor, prosody: Tensor) -> Tensor:
        """Return the deep read-out's share of the key frames (batch, items, KEYS * bands)."""
        real = (prosody != 0).any(-1, keepdim=True)
        x = self.enter(seen)
        for block in self.blocks:
            x = block(x, real)
        out: Tensor = self.leave(self.last(x))
        return out

    def decode(
        self, vectors: Tensor, prosody: Tensor, index: Tensor, position: Tensor, coarse: Tensor
    ) -> Tensor:
        """Return log-mel (batch, frames, bands) from items in the space of the units.

        index (batch, frames) is the item of each frame, position (batch, frames) runs from 0 to 1 in it.
        """
        keys = self.keys(vectors, prosody, coarse).flatten(1, 2)
        place = position * (KEYS - 1)
        left = place.floor().clamp(max=KEYS - 2)
        share = (place - left)[..., None]
        first = index.clamp(min=0) * KEYS + left.long()
        return rows(keys, first) * (1 - share) + rows(keys, first + 1) * share

    def forward(
        self, tokens: Tensor, prosody: Tensor, index: Tensor, position: Tensor, quantise: bool = False
    ) -> Tensor:
        """Return log-mel from tokens (batch, items, dim), or from the centroids nearest to them."""
        vectors = self.squeezed(tokens)
        if quantise:
            vectors = self.centroids[self.units(vectors)]
        coarse = vectors.new_full((len(vectors),), float(quantise))
        return self.decode(vectors * spoken(prosody), prosody, index, position, coarse)


def spoken(prosody: Tensor) -> Tensor:
    """Say which items (batch, items, 1) are segments: neither gaps nor padding, whose prosody is all zero."""
    return (prosody[..., -1:] == 0) & (prosody != 0).any(-1, keepdim=True)


def rows(table: Tensor, index: Tensor) -> Tensor:
    """Return the rows `index` (batch, n) of each table (batch, m, width)."""
    return table.gather(1, index[..., None].expand(-1, -1, table.shape[-1]))


def build(
    dim: int = 576, squeezed: int = 192, units: int = 1000, hidden: int = 1024, patch: int = 192,
    bands: int = 80, width: int = 384, depth: int = 2,
) -> nn.Module:  # fmt: skip
    """Build the decoder; see the module's docstring."""
    return SyllableDecoder(dim, squeezed, units, hidden, patch, bands, width, depth)
