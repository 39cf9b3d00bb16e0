"""One vector a syllable → log-mel spectrogram: tokens with their neighbours, key frames, refined frames.

A clip is a row of *items* without holes: its segments and the gaps between them (`timeline`). A segment's
token holds what the encoder heard in it; pitch, level and length come beside it. Depth-wise convolutions
over the items (four neighbours to either side a block) let a token see its surroundings; each item then
brings `KEYS` key frames, between which its frames interpolate, because one flat vector cannot be played.
Convolutions over the frames refine them. After arXiv 2410.07168's token-to-speech, with mel in place of
articulation and without flow matching.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

KERNEL = 9
HARMONICS = 4  # sine and cosine pairs of the position in an item
KEYS = 8  # key frames an item
EXPAND = 3  # width of a perceptron's middle, in widths
ITEM_BLOCKS = 2
PROSODY = 5  # log-length, voiced or not, log-pitch, level, silence or not


class Block(nn.Module):
    """Depth-wise convolution along a row, then a perceptron at each place, around a residual path."""

    def __init__(self, width: int, dilation: int = 1) -> None:
        super().__init__()
        reach = dilation * (KERNEL // 2)
        # A 2-D convolution over one column, because its channels-last kernel is several times faster
        self.depthwise = nn.Conv2d(width, width, (KERNEL, 1), 1, (reach, 0), (dilation, 1), groups=width)
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, EXPAND * width)
        self.down = nn.Linear(EXPAND * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, places, width) to the same shape."""
        y = self.depthwise(x.transpose(1, 2).unsqueeze(-1)).squeeze(-1).transpose(1, 2)
        out: Tensor = x + self.down(functional.gelu(self.up(self.norm(y))))
        return out


class SyllableDecoder(nn.Module):
    """Tokens (batch, items, dim) and prosody → log-mel (batch, frames, bands); holds the unit centroids."""

    centroids: Tensor
    mean: Tensor
    scale: Tensor

    def __init__(
        self, dim: int, squeezed: int, units: int, width: int, bands: int, dilations: tuple[int, ...]
    ) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("scale", torch.ones(dim))
        self.register_buffer("centroids", torch.zeros(units, squeezed))
        self.squeeze = nn.Linear(dim, squeezed)
        self.enter = nn.Linear(squeezed, width)
        self.prosody = nn.Linear(PROSODY, width)
        self.items = nn.ModuleList(Block(width) for _ in range(ITEM_BLOCKS))
        self.spread = nn.Linear(width, KEYS * width)
        self.place = nn.Linear(2 * HARMONICS + 2, width)
        self.frames = nn.ModuleList(Block(width, d) for d in dilations)
        self.leave = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, bands))

    def squeezed(self, tokens: Tensor) -> Tensor:
        """Return tokens (..., dim) in the space of the units (..., squeezed): length sqrt(squeezed)."""
        y = self.squeeze((tokens - self.mean) / self.scale)
        return functional.layer_norm(y.float(), y.shape[-1:])

    def units(self, squeezed: Tensor) -> Tensor:
        """Return the number of the nearest centroid (...,) of vectors (..., squeezed)."""
        flat = squeezed.reshape(-1, squeezed.shape[-1])
        score = flat @ self.centroids.T - self.centroids.square().sum(1) / 2
        return score.argmax(1).view(squeezed.shape[:-1])

    def decode(self, vectors: Tensor, prosody: Tensor, index: Tensor, position: Tensor) -> Tensor:
        """Return log-mel (batch, frames, bands) from items in the space of the units.

        vectors (batch, items, squeezed) are zero in gaps; prosody (batch, items, 5) as `timeline` gives it;
        index (batch, frames) is the item of each frame, -1 for padding; position (batch, frames) from 0 to 1
        within it. Padded items hold zeros in `prosody` and are out of reach of no frame that counts.
        """
        real = (prosody != 0).any(-1, keepdim=True)
        x = (self.enter(vectors) + self.prosody(prosody)) * real
        for block in self.items:
            x = block(x) * real
        keys = self.spread(x).unflatten(-1, (KEYS, -1)).flatten(1, 2)  # (batch, items · keys, width)
        kept = (index >= 0)[..., None]
        item = index.clamp(min=0)
        place = position * (KEYS - 1)
        left = place.floor().clamp(max=KEYS - 2)
        share = (place - left)[..., None]
        first = item * KEYS + left.long()
        y = rows(keys, first) * (1 - share) + rows(keys, first + 1) * share
        length = rows(prosody[..., :1], item)
        y = (y + rows(x, item) + self.place(self.waves(position, length))) * kept
        for block in self.frames:
            y = block(y) * kept
        mel: Tensor = self.leave(y).float()
        return mel

    def waves(self, position: Tensor, length: Tensor) -> Tensor:
        """Return the sines of a frame's position (batch, frames, 10), its item's log-length last."""
        angle = torch.pi * position[..., None] * torch.arange(1, HARMONICS + 1, device=position.device)
        return torch.cat([angle.sin(), angle.cos(), position[..., None], length], -1)

    def forward(self, tokens: Tensor, prosody: Tensor, index: Tensor, position: Tensor,
                quantise: bool = False) -> Tensor:  # fmt: skip
        """Return log-mel from tokens (batch, items, dim), or from the centroids nearest to them."""
        vectors = self.squeezed(tokens)
        if quantise:
            vectors = self.centroids[self.units(vectors)]
        spoken = (prosody[..., -1:] == 0) & (prosody != 0).any(-1, keepdim=True)
        return self.decode(vectors * spoken, prosody, index, position)


def rows(table: Tensor, index: Tensor) -> Tensor:
    """Return the rows `index` (batch, n) of each table (batch, m, width)."""
    return table.gather(1, index[..., None].expand(-1, -1, table.shape[-1]))


def build(
    dim: int = 384, squeezed: int = 96, units: int = 1000, width: int = 192, bands: int = 80,
    dilations: tuple[int, ...] = (1, 2, 4, 1),
) -> nn.Module:  # fmt: skip
    """Build the decoder; see the module's docstring."""
    return SyllableDecoder(dim, squeezed, units, width, bands, tuple(dilations))
