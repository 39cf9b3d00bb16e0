"""A small vision-language decoder: rotary positions, SwiGLU, one word as the answer; its encoder is frozen.

A sequence is [system prompt | text before the picture, if any | visual tokens | question], causal, and the
answer is the word with the largest logit at the question's last position. What token reduction needs is open:

    visual = net.project(features)                       # (pictures, N, width), features from `look`
    reading = net.read(visual[:1, kept], "what colour is the ball", kept=kept, drop_before=7)

`kept` are the grid places of the visual tokens that are given: every token keeps the rotary position it has
in the full sequence. With `drop_before` = l all visual tokens leave the sequence before layer l (from 1), so
that layer l and all later ones neither compute nor store anything for them (ToDRE, arXiv 2505.18757, its
second stage). Inference attends through the fused kernel.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from components.errors import InputError
from components.models.nets.causal_lm import Norm

MASKED = -1e4


class Turn(NamedTuple):
    """Cosines and sines of the rotary angles, each (1, tokens, 1, head width)."""

    cosine: Tensor
    sine: Tensor

    def of(self, x: Tensor) -> Tensor:
        """Turn pairs of channels of x (batch, tokens, heads, head width) by the angle of their position."""
        first, second = x.chunk(2, -1)
        return x * self.cosine + torch.cat([-second, first], -1) * self.sine


class Block(nn.Module):
    """One pre-norm decoder layer: attention with normalised queries and keys, then SwiGLU."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attend, self.norm_feed = Norm(width), Norm(width)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.up = nn.Linear(width, 2 * hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)
        # Normalised queries and keys have no temperature of their own: one a head is learned.
        self.sharpness = nn.Parameter(torch.zeros(heads))
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.down.weight)

    def project(self, x: Tensor, turn: Turn) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries (scaled), keys and values (batch, heads, tokens, head width) of x."""
        batch, tokens, width = x.shape
        q, k, v = self.qkv(self.norm_attend(x)).split(width, -1)
        wide = width // self.heads
        both = torch.cat([q, k], -1).view(batch, tokens, 2 * self.heads, wide)
        both = turn.of(F.layer_norm(both, (wide,))).transpose(1, 2)
        q, k = both.chunk(2, 1)
        scale = self.sharpness.exp()[:, None, None] / math.sqrt(wide)
        return q * scale.to(q.dtype), k, v.reshape(batch, tokens, self.heads, wide).transpose(1, 2)

    def feed(self, x: Tensor, heard: Tensor) -> Tensor:
        """Return the stream x (batch, tokens, width) with what attention heard, and the MLP on top."""
        x = x + self.out(heard.transpose(1, 2).flatten(2))
        gate, value = self.up(self.norm_feed(x)).chunk(2, -1)
        fed: Tensor = x + self.down(F.silu(gate) * value)
        return fed


@dataclass(frozen=True, eq=False)
class Reading:
    """What came of one question.

    probabilities (words,) are over the net's `words`; `lengths` are the tokens that each layer computed and
    stored keys and values of. `to_visual[l]` is the share of the text's attention that layer l + 1 sends to
    visual tokens (alpha t->v), `to_text[l]` the share of the visual tokens' attention that goes to text
    (alpha v->t; 0 where no text stands before the picture, because attention is causal), `last[l]` the same
    as `to_visual` for the last position alone. All three are means over heads, and empty unless watched.
    Layers without visual tokens have shares of 0.
    """

    answer: str
    probabilities: Tensor
    lengths: tuple[int, ...]
    to_visual: tuple[float, ...]
    to_text: tuple[float, ...]
    last: tuple[float, ...]


@dataclass(frozen=True)
class Geometry:
    """The net's sizes; `features` is the width of the encoder's features, `grid` how many tokens they are."""

    words: tuple[str, ...]
    system: str
    features: int = 320
    grid: int = 256
    width: int = 192
    depth: int = 8
    heads: int = 3
    hidden: int = 512


class SceneVLM(nn.Module):
    """Visual features and a question in, one word out. The module's text shows the parts."""

    prompt: Tensor

    def __init__(self, shape: Geometry) -> None:
        super().__init__()
        self.shape, self.words, self.heads = shape, shape.words, shape.heads
        self.codes = {word: i for i, word in enumerate(shape.words)}
        width = shape.width
        self.table = nn.Parameter(0.05 * torch.randn(len(shape.words), width))
        self.bridge = nn.Sequential(
            nn.Linear(shape.features, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )
        self.blocks = nn.ModuleList(Block(width, shape.heads, shape.hidden) for _ in range(shape.depth))
        self.norm = Norm(width)
        self.hints = nn.Linear(width, 2)
        self.register_buffer("prompt", torch.tensor(self.encode(shape.system)), persistent=False)

    def encode(self, text: str) -> list[int]:
        """Return the word ids of a text, punctuation and case aside; raises InputError on unknown words."""
        found = [word.strip("?.,!:").lower() for word in text.split()]
        strange = [word for word in found if word not in self.codes]
        if strange:
            raise InputError(
                f"The model does not know {strange[0]!r}; ask in its {len(self.words)} words, such as"
                " 'what colour is the ball' or 'how many red objects are there'."
            )
        return [self.codes[word] for word in found]

    def project(self, features: Tensor) -> Tensor:
        """Return visual tokens (pictures, N, width), of unit variance, of features (pictures, N, wide)."""
        vectors = self.bridge(features)
        return F.layer_norm(vectors, (vectors.shape[-1],))

    def embed(self, ids: Tensor) -> Tensor:
        """Return the input vectors (..., width) of word ids (...), of unit variance."""
        vectors = F.embedding(ids, self.table)
        return F.layer_norm(vectors, (vectors.shape[-1],))

    def turn(self, positions: Tensor, dtype: torch.dtype) -> Turn:
        """Return the rotary angles of positions (tokens,)."""
        half = self.shape.width // self.heads // 2
        speeds = 10_000.0 ** (-torch.arange(half, device=positions.device) / half)
        angles = (positions[:, None] * speeds).repeat(1, 2)[None, :, None]
        return Turn(angles.cos().to(dtype), angles.sin().to(dtype))

    def logits(self, states: Tensor) -> Tensor:
        """Return the logits (..., words) of states (..., width) as they leave the last block."""
        said: Tensor = self.norm(states) @ self.table.to(states.dtype).T
        return said

    def positions(self, before: int, kept: Tensor, after: int) -> Tensor:
        """Return every token's position in the full sequence, [system | before | kept visual | after]."""
        first = len(self.prompt) + before
        head = torch.arange(first, device=kept.device)
        tail = torch.arange(after, device=kept.device) + first + self.shape.grid
        return torch.cat([head, first + kept, tail])

    def read(self, visual: Tensor, question: str, before: str = "", kept: Tensor | None = None,
             drop_before: int | None = None, watch: bool = False) -> Reading:
        """Answer one question about visual tokens (1, k, width) of the grid places `kept` (k,), rising.

        `drop_before` is the layer (1 to depth) from which on there are no visual tokens; `watch` measures
        attention, in extra rows that the answer does not depend on. k may be 0. Raises InputError.
        """
        kept = torch.arange(self.shape.grid, device=visual.device) if kept is None else kept
        self._refuse(visual, kept, drop_before)
        text, asked = self.encode(before), self.encode(question)
        if not asked:
            raise InputError("The question is empty; ask in the model's words.")
        ids = torch.tensor([*self.prompt.tolist(), *text, *asked], device=visual.device)
        first = len(ids) - len(asked)
        rows = self.embed(ids)[None]
        x = torch.cat([rows[:, :first], visual.to(rows.dtype), rows[:, first:]], 1)
        span = slice(first, first + len(kept))
        turn = self.turn(self.positions(len(text), kept, len(asked)), x.dtype)
        spoken = slice(len(self.prompt), first)
        lengths, seen = [], []
        block: Any
        for layer, block in enumerate(self.blocks, start=1):
            if layer == drop_before:
                x, turn = without(x, span), Turn(*(without(t, span) for t in turn))
                span = slice(first, first)
            q, k, v = block.project(x, turn)
            lengths.append(k.shape[2])
            if watch:
                seen.append(shares(q, k, spoken, span))
            x = block.feed(x, F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=1.0))
        probabilities = self.logits(x[0, -1]).float().softmax(-1)
        columns = zip(*seen, strict=True) if seen else ((), (), ())
        return Reading(self.words[int(probabilities.argmax())], probabilities, tuple(lengths), *columns)

    def _refuse(self, visual: Tensor, kept: Tensor, drop_before: int | None) -> None:
        if visual.ndim != 3 or len(visual) != 1 or visual.shape[1] != len(kept):
            raise InputError(
                f"Visual tokens {tuple(visual.shape)} were given with {len(kept)} places; give one picture's"
                " tokens and the place of each."
            )
        if len(kept) and (kept.min() < 0 or kept.max() >= self.shape.grid or (kept.diff() <= 0).any()):
            raise InputError(f"The places of visual tokens must rise, from 0 to {self.shape.grid - 1}.")
        if drop_before is not None and not 1 <= drop_before <= len(self.blocks):
            raise InputError(
                f"drop_before is {drop_before}; give a layer from 1 to {len(self.blocks)}, or none."
            )


def without(x: Tensor, span: slice) -> Tensor:
    """Return x (batch, tokens, ...) less the tokens of a span."""
    return torch.cat([x[:, : span.start], x[:, span.stop :]], 1)


def shares(q: Tensor, k: Tensor, before: slice, visual: slice) -> tuple[float, float, float]:
    """Return ToDRE's alpha t->v and alpha v->t of one layer, and the last position's share on visual tokens.

    q and k are (1, heads, tokens, head width), q scaled; text is the span `before` and all that follows the
    visual span. Rows sum to 1, so an alpha is the mean over its rows of what they send to its columns.
    """
    tokens = k.shape[2]
    if visual.start == visual.stop:
        return 0.0, 0.0, 0.0
    place = torch.arange(tokens, device=k.device)
    text = ((place >= before.start) & (place < before.stop)) | (place >= visual.stop)
    hidden = torch.full((tokens, tokens), -torch.inf, device=k.device).triu(1)
    weights = (q[0] @ k[0].transpose(-1, -2) + hidden).softmax(-1).mean(0)
    to_visual, to_text = weights[:, visual].sum(1), weights[:, text].sum(1)
    return float(to_visual[text].mean()), float(to_text[visual].mean()), float(to_visual[-1])


def look(encoder: Any, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return features (pictures, N, 2 d) of images for `project`, and CLS's attention (pictures, N).

    `encoder` is a `DenseViT`: its normalised final tokens and, beside them, its stem's tokens, which still
    have the colour and texture of the patch itself. The attention is the last layer's, the mean over heads.
    """
    tokens = encoder.embed(images)
    early = tokens[:, 1:]
    attention = tokens.new_zeros(tokens.shape[:2])
    for block in encoder.blocks[:-1]:
        tokens = block(tokens)
    attended, _, attention = encoder.blocks[-1].attend(tokens)
    final = encoder.features(encoder.blocks[-1].feed(attended))[:, 1:]
    return torch.cat([final, F.layer_norm(early, (early.shape[-1],))], -1), attention[:, 1:]


def build(words: Sequence[str], **arguments: Any) -> SceneVLM:
    """Return the net with random weights; the arguments are the fields of `Geometry`."""
    return SceneVLM(Geometry(words=tuple(words), **arguments))
