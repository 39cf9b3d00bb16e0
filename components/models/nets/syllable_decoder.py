"""One vector a syllable → log-mel spectrogram: a token with its neighbours becomes a few key frames.

A clip is a row of *items* without holes: its segments and the gaps between them (`timeline`). A segment's
token holds what the encoder heard in it; length, pitch and level come beside it. Each item is read together
with two neighbours to either side and brings `KEYS` key frames, spaced evenly over it; its frames
interpolate between them, because one flat vector cannot be played. Two read-outs add up: a wide one of rank
`patch`, which a closed form can fill, and a deep one of `depth` blocks, each of which sees one more item to
either side. A last part looks at frames in place of items: it blends neighbouring syllables and sharpens
what interpolation has blurred; the deep read-out brings it `LATENT` numbers a key frame beside the bands.
After arXiv 2410.07168's token-to-speech, with mel in place of articulation and without flow matching.
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
PLACED = 64  # axes of the space in which a token's unit is found
LATENT = 48  # numbers beside the bands in each key frame, for the polish alone
POLISH = 192  # width of the polish
NEAR = 5  # frames that a frame is read together with, itself in the middle


def sides(x: Tensor, count: int) -> Tensor:
    """Join each row of x (batch, rows, width) with its neighbours, `count` in all; zero beyond the ends."""
    wide = functional.pad(x, (0, 0, count // 2, count // 2))
    return torch.cat([wide[:, i : i + x.shape[1]] for i in range(count)], -1)


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
        x = x + functional.gelu(self.mix(sides(self.before(x) * real, 3)))
        hidden = functional.gelu(self.wide(self.between(x)))
        out: Tensor = x + self.narrow(functional.dropout(hidden, DROPPED, self.training))
        return out


class Polish(nn.Module):
    """What is added to frames, read from each with its neighbours; at first nothing."""

    def __init__(self, bands: int, width: int = POLISH) -> None:
        super().__init__()
        self.enter = nn.Linear(NEAR * (bands + LATENT), width)
        self.norm = nn.LayerNorm(width)
        self.mix = nn.Linear(NEAR * width, width)
        self.leave = nn.Linear(width, bands)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, frames: Tensor, kept: Tensor) -> Tensor:
        """Map frames (batch, frames, bands + LATENT) to (batch, frames, bands); kept is 0 where padded."""
        x = functional.gelu(self.enter(sides(frames * kept, NEAR)))
        x = x + functional.gelu(self.mix(sides(self.norm(x) * kept, NEAR)))
        out: Tensor = self.leave(x)
        return out


class SyllableDecoder(nn.Module):
    """Tokens (batch, items, dim) and prosody → log-mel (batch, frames, bands); holds the units.

    A token is read in a space of `squeezed` numbers, which learns. Which unit it belongs to is found in a
    smaller one, which does not, so that units stay what they are; `embedding` says in the first
    space how a unit is read.
    """

    centroids: Tensor
    mean: Tensor

    def __init__(
        self, dim: int, squeezed: int, units: int, hidden: int, patch: int, bands: int, width: int,
        depth: int,
    ) -> None:  # fmt: skip
        super().__init__()
        self.bands = bands
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("centroids", torch.zeros(units, PLACED))
        self.place = nn.Linear(dim, PLACED, bias=False).requires_grad_(False)
        self.squeeze = nn.Linear(dim, squeezed, bias=False)
        self.embedding = nn.Parameter(torch.zeros(units, squeezed))
        seen = PARTS * (squeezed + PROSODY) + 1
        self.up = nn.Linear(seen, hidden)
        self.read = nn.Linear(seen + hidden, patch)
        self.spread = nn.Linear(patch, KEYS * bands)
        self.enter = nn.Linear(seen, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(depth))
        self.last = nn.LayerNorm(width)
        self.leave = nn.Linear(width, KEYS * (bands + LATENT))
        nn.init.zeros_(self.leave.bias)
        with torch.no_grad():  # at first the wide read-out speaks alone
            self.leave.weight.view(KEYS, bands + LATENT, width)[:, :bands].zero_()
        self.polish = Polish(bands)

    def squeezed(self, tokens: Tensor) -> Tensor:
        """Return tokens (..., dim) as they are read (..., squeezed)."""
        out: Tensor = self.squeeze(tokens - self.mean).float()
        return out

    def placed(self, tokens: Tensor) -> Tensor:
        """Return tokens (..., dim) in the space of the units' centroids (..., PLACED)."""
        out: Tensor = self.place(tokens - self.mean).float()
        return out

    def units(self, placed: Tensor) -> Tensor:
        """Return the number of the nearest centroid (...,) of vectors (..., PLACED)."""
        flat = placed.reshape(-1, placed.shape[-1])
        score = flat @ self.centroids.T - self.centroids.square().sum(1) / 2
        return score.argmax(1).view(placed.shape[:-1])

    def surroundings(self, vectors: Tensor, prosody: Tensor, coarse: Tensor) -> Tensor:
        """Return what an item is read from (batch, items, seen): itself, two before, two after, `coarse`.

        coarse (batch,) is 1 where the vectors are those of units. Beyond the ends of a clip stands zero.
        """
        own = torch.cat([vectors, prosody], -1)
        wide = functional.pad(own, (0, 0, REACH, REACH))
        near = [wide[:, i : i + own.shape[1]] for i in range(PARTS)]
        return torch.cat([*near, coarse[:, None, None].expand(-1, own.shape[1], 1)], -1)

    def hidden(self, seen: Tensor) -> Tensor:
        """Return what the read-out is linear in (..., seen + hidden)."""
        return torch.cat([seen, functional.relu(self.up(seen))], -1)

    def keys(self, vectors: Tensor, prosody: Tensor, coarse: Tensor) -> Tensor:
        """Return the key frames (batch, items, KEYS, bands + LATENT) of vectors that are zero in gaps."""
        seen = self.surroundings(vectors, prosody, coarse)
        wide = self.spread(self.read(self.hidden(seen))).view(*seen.shape[:2], KEYS, self.bands)
        deep = self.deep(seen, prosody).view(*seen.shape[:2], KEYS, self.bands + LATENT)
        return functional.pad(wide.float(), (0, LATENT)) + deep.float()

    def deep(self, seen: Tensor, prosody: Tensor) -> Tensor:
        """Return the deep read-out's share of the key frames (batch, items, KEYS * (bands + LATENT))."""
        real = (prosody != 0).any(-1, keepdim=True)
        x = self.enter(seen)
        for block in self.blocks:
            x = block(x, real)
        out: Tensor = self.leave(self.last(x))
        return out

    def decode(
        self, vectors: Tensor, prosody: Tensor, index: Tensor, position: Tensor, coarse: Tensor
    ) -> Tensor:
        """Return log-mel (batch, frames, bands) from items as they are read (batch, items, squeezed).

        index (batch, frames) is the item of each frame, position (batch, frames) runs from 0 to 1 in it.
        """
        keys = self.keys(vectors, prosody, coarse).flatten(1, 2)
        place = position * (KEYS - 1)
        left = place.floor().clamp(max=KEYS - 2)
        share = (place - left)[..., None]
        first = index.clamp(min=0) * KEYS + left.long()
        frames = rows(keys, first) * (1 - share) + rows(keys, first + 1) * share
        mel: Tensor = frames[..., : self.bands] + self.polish(frames, (index >= 0)[..., None]).float()
        return mel

    def forward(
        self, tokens: Tensor, prosody: Tensor, index: Tensor, position: Tensor, quantise: bool = False
    ) -> Tensor:
        """Return log-mel from tokens (batch, items, dim), or from the units nearest to them."""
        vectors = self.embedding[self.units(self.placed(tokens))] if quantise else self.squeezed(tokens)
        coarse = vectors.new_full((len(vectors),), float(quantise))
        return self.decode(vectors * spoken(prosody), prosody, index, position, coarse)


def spoken(prosody: Tensor) -> Tensor:
    """Say which items (batch, items, 1) are segments: neither gaps nor padding, whose prosody is all zero."""
    return (prosody[..., -1:] == 0) & (prosody != 0).any(-1, keepdim=True)


def rows(table: Tensor, index: Tensor) -> Tensor:
    """Return the rows `index` (batch, n) of each table (batch, m, width)."""
    return table.gather(1, index[..., None].expand(-1, -1, table.shape[-1]))


def build(
    dim: int = 576, squeezed: int = 192, units: int = 1000, hidden: int = 832, patch: int = 192,
    bands: int = 80, width: int = 384, depth: int = 2,
) -> nn.Module:  # fmt: skip
    """Build the decoder; see the module's docstring."""
    return SyllableDecoder(dim, squeezed, units, hidden, patch, bands, width, depth)
