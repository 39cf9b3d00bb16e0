"""A small vision transformer for dense prediction whose tokens can be reduced between any two of its steps.

The steps are public, because token reduction works between them:

    tokens = net.embed(images)      # (batch, 1 + N, d): the [CLS] token, then the grid by rows
    for block in net.blocks:
        tokens, keys, cls_attention = block.attend(tokens, log_size)
        ...                         # prune, merge or transform tokens here, and log_size with them
        tokens = block.feed(tokens)
    answers = net.heads(tokens)     # needs the full grid again: 1 + N tokens

A block takes any number of tokens. `log_size` is the logarithm of how many original tokens each one stands
for; it is added to the attention logits of its key: softmax(Q K^T / sqrt(d_head) + log m), the
"proportional attention" of ToMe (arXiv 2210.09461, section 3). Attention always runs through the fused
kernel: no tokens-by-tokens matrix is built here, and the row of the [CLS] query is the only one that is
made explicit.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Block(nn.Module):
    """One pre-norm transformer layer in two steps: `attend`, then `feed`."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attend, self.norm_feed = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def _project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        batch, tokens, width = x.shape
        split = self.qkv(self.norm_attend(x)).view(batch, tokens, 3, self.heads, width // self.heads)
        q, k, v = split.permute(2, 0, 3, 1, 4)
        return q, k, v

    def _mix(self, x: Tensor, q: Tensor, k: Tensor, v: Tensor, log_size: Tensor | None) -> Tensor:
        batch, tokens, width = x.shape
        bias = None
        if log_size is not None:
            bias = log_size.to(q.dtype)[:, None, None, :].expand(batch, 1, tokens, tokens)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        attended: Tensor = x + self.out(mixed.transpose(1, 2).reshape(batch, tokens, width))
        return attended

    def attend(self, x: Tensor, log_size: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Return tokens after attention with the residual, their keys, and the attention they get from [CLS].

        `x` is (batch, tokens, d), `log_size` (batch, tokens) or nothing. Keys are (batch, tokens, d_head),
        the mean over heads; the [CLS] row is (batch, tokens), the mean over heads of softmax(q_cls K^T /
        sqrt(d_head) + log m): it sums to 1 and its first entry is [CLS] itself.
        """
        q, k, v = self._project(x)
        row = (q[:, :, :1] @ k.transpose(-2, -1)).squeeze(2) / math.sqrt(q.shape[-1])
        if log_size is not None:
            row = row + log_size[:, None]
        return self._mix(x, q, k, v, log_size), k.mean(1), row.softmax(-1).mean(1)

    def feed(self, x: Tensor) -> Tensor:
        """Return tokens (batch, tokens, d) after the MLP with its residual."""
        fed: Tensor = x + self.down(F.gelu(self.up(self.norm_feed(x))))
        return fed

    def forward(self, x: Tensor, log_size: Tensor | None = None) -> Tensor:
        """Return `feed(attend(x))` without the by-products."""
        return self.feed(self._mix(x, *self._project(x), log_size))


class Decoder(nn.Module):
    """From token features on their grid to full-resolution maps: pixel shuffle, 3 x 3 convolution, again."""

    def __init__(self, width: int, channels: int, outputs: int, patch: int) -> None:
        super().__init__()
        first, second = 4, patch // 4
        self.spread = nn.Linear(width, channels * first * first)
        self.first = nn.PixelShuffle(first)
        self.smooth = nn.Conv2d(channels, channels, 3, padding=1)
        self.last = nn.Conv2d(channels, outputs * second * second, 3, padding=1)
        self.second = nn.PixelShuffle(second)

    def forward(self, grid: Tensor) -> Tensor:
        """Return (batch, outputs, height, width in pixels) of features (batch, rows, columns, width)."""
        x = self.first(self.spread(grid).permute(0, 3, 1, 2))
        x = x + self.smooth(F.gelu(x))
        maps: Tensor = self.second(self.last(F.gelu(x)))
        return maps


@dataclass(frozen=True)
class Geometry:
    """The net's sizes: square images of `size` pixels in patches of `patch`, tokens of `width`."""

    size: int = 128
    patch: int = 8
    width: int = 160
    depth: int = 8
    heads: int = 2
    hidden: int = 480
    classes: int = 8
    shapes: int = 6
    colours: int = 8
    textures: int = 4


class DenseViT(nn.Module):
    """Images in; segmentation, disparity and the shapes present out. The module's text shows its steps."""

    def __init__(self, shape: Geometry) -> None:
        super().__init__()
        self.shape, self.size, self.patch, self.width = shape, shape.size, shape.patch, shape.width
        self.classes, self.side, width = shape.classes, shape.size // shape.patch, shape.width
        self.stem = nn.Sequential(
            nn.Conv2d(3, width // 4, 3, 2, 1), nn.GELU(),
            nn.Conv2d(width // 4, width // 2, 3, 2, 1), nn.GELU(),
            nn.Conv2d(width // 2, width, 3, 2, 1), nn.GELU(), nn.Conv2d(width, width, 1),
        )  # fmt: skip
        self.cls = nn.Parameter(0.02 * torch.randn(1, 1, width))
        self.position = nn.Parameter(0.02 * torch.randn(1, 1 + self.side**2, width))
        self.blocks = nn.ModuleList(Block(width, shape.heads, shape.hidden) for _ in range(shape.depth))
        self.norm = nn.LayerNorm(width)
        self.decoder = Decoder(width, 32, shape.classes + 1, shape.patch)
        self.present = nn.Linear(width, shape.shapes)
        self.paint = nn.Linear(width, shape.colours + shape.textures)

    def embed(self, images: Tensor) -> Tensor:
        """Return tokens (batch, 1 + N, d), with positions, of RGB images (batch, 3, size, size), 0 to 1."""
        patches = self.stem(2 * images - 1).flatten(2).transpose(1, 2)
        return torch.cat([self.cls.expand(len(images), -1, -1), patches], 1) + self.position

    def features(self, tokens: Tensor) -> Tensor:
        """Return the tokens that the heads read, normalised; any number of them, (batch, tokens, d)."""
        normed: Tensor = self.norm(tokens)
        return normed

    def heads(self, tokens: Tensor) -> dict[str, Tensor]:
        """Return the answers of a full grid of tokens (batch, 1 + N, d), as they leave the last block.

        `segmentation` logits (batch, classes, size, size), `disparity` (batch, size, size), `presence` logits
        (batch, shapes).
        """
        features = self.features(tokens)
        maps = self.decoder(features[:, 1:].reshape(-1, self.side, self.side, self.width))
        return {
            "segmentation": maps[:, : self.classes],
            "disparity": maps[:, self.classes],
            "presence": self.present(features[:, 0]),
        }

    def surfaces(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits of every patch: colour (batch, N, colours) and texture (batch, N, textures)."""
        logits = self.paint(self.features(tokens)[:, 1:])
        colour, texture = logits.split([self.shape.colours, self.shape.textures], -1)
        return colour, texture

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return `heads` of all blocks over `embed`."""
        tokens = self.embed(images)
        for block in self.blocks:
            tokens = block(tokens)
        return self.heads(tokens)


def build(**arguments: int) -> DenseViT:
    """Return the net with random weights; the arguments are the fields of `Geometry`."""
    return DenseViT(Geometry(**arguments))
