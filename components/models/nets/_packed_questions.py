"""Many questions about one picture behind one visual prefix: `SceneVLM` as it is trained and measured.

A question attends to the prefix [system | text before | visual] and to itself alone, at the positions it has
when it is the only one. So one pass over the prefix serves all questions, and each answer is what
`SceneVLM.read` gives.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from components.models.nets.scene_vlm import MASKED, SceneVLM


class Extent(NamedTuple):
    """The tokens of the prefix, the number of questions, the tokens of each (padded)."""

    prefix: int
    questions: int
    words: int


class Pass(NamedTuple):
    """What `packed` returns.

    logits (pictures, questions, words); stream (pictures, k, width) are the visual tokens that leave block
    `hints_after` (0: that enter the first); pointing (pictures, questions, L, k) is the attention that the
    first head of the block after it pays to them from every word of a question.
    """

    logits: Tensor
    stream: Tensor
    pointing: Tensor


def packed(net: SceneVLM, visual: Tensor, before: Tensor, questions: Tensor, ends: Tensor,
           kept: Tensor | None = None, drop_before: int | None = None, hints_after: int = 0) -> Pass:
    """Answer questions (pictures, questions, L), word ids padded behind; see `Pass`.

    visual (pictures, k, width) stands at the grid places `kept` (k,), all of them where none are given;
    before is word ids (pictures, T) and may be empty; ends (pictures, questions) is the last word's place in
    each question. `drop_before` is as in `SceneVLM.read`, and later than `hints_after`.
    """
    pictures, count, longest = questions.shape
    kept = torch.arange(net.shape.grid, device=visual.device) if kept is None else kept
    head = net.embed(torch.cat([net.prompt.expand(pictures, -1), before], 1))
    x = torch.cat([head, visual.to(head.dtype), net.embed(questions).flatten(1, 2)], 1)
    if torch.is_autocast_enabled(x.device.type):
        x = x.to(torch.get_autocast_dtype(x.device.type))
    first = head.shape[1]
    extent = Extent(first + len(kept), count, longest)
    places = net.positions(before.shape[1], kept, longest)
    places = torch.cat([places[: extent.prefix], places[extent.prefix :].repeat(count)])
    stream = pointing = x[:, first : extent.prefix]
    for layer, block in enumerate(net.blocks, start=1):
        if layer == drop_before:
            x = torch.cat([x[:, :first], x[:, extent.prefix :]], 1)
            places = torch.cat([places[:first], places[extent.prefix :]])
            extent = extent._replace(prefix=first)
        asked = _ends(ends, longest) if layer == len(net.blocks) else None
        x, weights = _step(net, block, x, places, extent, asked)
        if layer == hints_after:
            stream = x[:, first : extent.prefix]
        if layer == hints_after + 1:
            pointing = weights[:, 0, :, first : extent.prefix].reshape(pictures, count, longest, -1)
    return Pass(net.logits(x), stream, pointing)


def _ends(ends: Tensor, longest: int) -> Tensor:
    """Return the place of every question's last word among all question tokens, (pictures, questions)."""
    return ends + longest * torch.arange(ends.shape[1], device=ends.device)


def _step(net: SceneVLM, block: Any, x: Tensor, places: Tensor, extent: Extent,
          asked: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return the stream after one block, with `asked` of those question tokens alone, and `_answering`'s."""
    q, k, v = block.project(x, net.turn(places, x.dtype))
    keys, values = _split(k, extent), _split(v, extent)
    heard, weights = _answering(q[:, :, extent.prefix :], keys, values, extent)
    if asked is None:
        told = _causal(q[:, :, : extent.prefix], keys[0], values[0])
        return block.feed(x, torch.cat([told, heard], 2)), weights
    chosen = asked[:, None, :, None].expand(-1, heard.shape[1], -1, heard.shape[3])
    stream = x[:, extent.prefix :].gather(1, asked[..., None].expand(-1, -1, x.shape[-1]))
    return block.feed(stream, heard.gather(2, chosen)), weights


def _split(x: Tensor, extent: Extent) -> tuple[Tensor, Tensor]:
    """Return the rows of the prefix (batch, heads, prefix, d), and of the questions, one axis more."""
    return x[:, :, : extent.prefix], _apart(x[:, :, extent.prefix :], extent)


def _apart(x: Tensor, extent: Extent) -> Tensor:
    """Return rows of all questions (batch, heads, tokens, d) as (batch, heads, questions, words, d)."""
    return x.reshape(*x.shape[:2], extent.questions, extent.words, x.shape[-1])


def _causal(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attend in plain products: on a processor the gradient of the fused kernel costs three times as much."""
    tokens = q.shape[2]
    later = torch.full((tokens, tokens), MASKED, device=q.device, dtype=q.dtype).triu(1)
    return (q @ k.transpose(-1, -2) + later).softmax(-1) @ v


def _answering(q: Tensor, k: tuple[Tensor, Tensor], v: tuple[Tensor, Tensor],
               extent: Extent) -> tuple[Tensor, Tensor]:
    """Let every question attend to the prefix and, causally, to its own words; return weights as well."""
    later = torch.full((extent.words,) * 2, MASKED, device=q.device, dtype=q.dtype).triu(1)
    own = _apart(q, extent) @ k[1].transpose(-1, -2) + later
    weights = torch.cat([q @ k[0].transpose(-1, -2), own.flatten(2, 3)], -1).softmax(-1)
    mine = _apart(weights[..., extent.prefix :], extent) @ v[1]
    heard: Tensor = weights[..., : extent.prefix] @ v[0] + mine.flatten(2, 3)
    return heard, weights
