"""Run a vision transformer with its tokens really dropped or merged between attention and MLP.

The network brings `embed`, `blocks` (each with `attend` and `feed`) and `heads`; the decision about each
layer is made by NumPy code that sees keys, attention and features, and returns a `Step`. Nothing is masked:
the tensors get shorter.
"""

import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from components.numerics.token_matrix import Step, TokenMatrix, way_back

if TYPE_CHECKING:
    from torch import Tensor

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Seen:
    """What a rule may look at after the attention of `layer` (1 to `layers`) on one picture; CLS is token 0.

    keys (tokens, head width) are the layer's, averaged over heads; attention (tokens,) is what CLS pays to
    each token, averaged over heads; features (tokens, width) are the tokens after attention and its
    residual; sizes (tokens,) is how many original tokens each one stands for; patches is the number of
    patches before any reduction.
    """

    layer: int
    layers: int
    keys: NDArray[np.floating[Any]]
    attention: NDArray[np.floating[Any]]
    features: NDArray[np.floating[Any]]
    sizes: NDArray[np.float64]
    patches: int


Decide = Callable[[Seen], Step | None]


@dataclass(frozen=True, eq=False)
class Outcome:
    """What came of a run; arrays start with the batch axis.

    steps holds for every picture its (layer, step) pairs; entering (layers + 1,) is the number of tokens,
    CLS counted, that enter each layer, and that leave the last; features (batch, tokens, width) are the ones
    that are left; heads maps each head to its output; macs and milliseconds are of the whole batch, the
    latter the fastest of the repeats; deciding is the part of it spent in the rule.
    """

    steps: tuple[tuple[tuple[int, Step], ...], ...]
    entering: tuple[int, ...]
    features: Floats
    heads: dict[str, Floats]
    macs: float
    milliseconds: float
    deciding: float


def run(net: Any, images: Floats, decide: Decide | None = None, repeats: int = 1) -> Outcome:
    """Run `net` on images (batch, 3, height, width); the fastest of `repeats` counts; no `decide`, all stay.

    Every picture of a batch must keep the same number of tokens.
    """
    import torch

    device = next(net.parameters()).device
    tensor = torch.as_tensor(np.ascontiguousarray(images, dtype=np.float32), device=device)
    with torch.inference_mode():
        return min((_once(net, tensor, decide) for _ in range(max(1, repeats))), key=lambda o: o.milliseconds)


def _once(net: Any, images: "Tensor", decide: Decide | None) -> Outcome:
    started, deciding = time.perf_counter(), 0.0
    x = net.embed(images)
    batch, tokens = x.shape[:2]
    sizes = np.ones((batch, tokens))
    steps: list[list[tuple[int, Step]]] = [[] for _ in range(batch)]
    entering, halfway = [tokens], []
    for number, block in enumerate(net.blocks, start=1):
        x, keys, attention = block.attend(x, _log_size(sizes, x))
        if decide is not None:
            began = time.perf_counter()
            made = _decide(decide, number, len(net.blocks), (keys, attention, x), sizes, tokens - 1)
            deciding += time.perf_counter() - began
            if made:
                x = apply(tuple(step.forward for step in made), x)
                sizes = np.stack([step.sizes for step in made])
                for history, step in zip(steps, made, strict=True):
                    history.append((number, step))
        if x.shape[1] != sizes.shape[1]:
            raise RuntimeError(
                f"Layer {number} holds {x.shape[1]} tokens, its matrices say {sizes.shape[1]}."
            )
        halfway.append(x.shape[1])
        x = block.feed(x)
        entering.append(x.shape[1])
    heads = net.heads(_recover(steps, x, tokens))
    out = {name: value.float().cpu().numpy() for name, value in heads.items()}
    spent = time.perf_counter() - started
    return Outcome(
        tuple(map(tuple, steps)), tuple(entering), x.float().cpu().numpy(), out,
        batch * (fixed_macs(net) + layer_macs(net, entering[:-1], halfway)), 1e3 * spent, 1e3 * deciding,
    )  # fmt: skip


def _decide(
    decide: Decide,
    layer: int,
    layers: int,
    seen: tuple[Any, Any, Any],
    sizes: NDArray[np.float64],
    patches: int,
) -> list[Step]:
    """Ask the rule for every picture of the batch; all of them reduce to one length, or none does."""
    keys, attention, features = (value.float().cpu().numpy() for value in seen)
    made = [
        decide(Seen(layer, layers, keys[i], attention[i], features[i], sizes[i], patches))
        for i in range(len(keys))
    ]
    steps = [step for step in made if step is not None]
    if steps and (len(steps) < len(made) or len({step.forward.shape for step in steps}) > 1):
        raise RuntimeError(
            f"Layer {layer}: the pictures of one batch would differ in their number of tokens."
        )
    return steps


def _log_size(sizes: NDArray[np.float64], x: "Tensor") -> "Tensor | None":
    """Return log sizes (batch, tokens) for proportional attention, nothing while every size is one."""
    import torch

    return None if (sizes == 1).all() else torch.as_tensor(np.log(sizes), dtype=x.dtype, device=x.device)


def apply(matrices: tuple[TokenMatrix, ...], x: "Tensor") -> "Tensor":
    """Return W X, x (batch, tokens in, width): a gather where W copies, else weighted sums."""
    import torch

    batch, tokens, width = x.shape
    out = matrices[0].shape[0]
    flat = x.reshape(batch * tokens, width)
    columns = np.concatenate([m.columns + i * tokens for i, m in enumerate(matrices)])
    parts = flat.index_select(0, torch.as_tensor(columns, device=x.device))
    if all(m.one_hot for m in matrices):
        return parts.reshape(batch, out, width)
    rows = torch.as_tensor(
        np.concatenate([m.rows + i * out for i, m in enumerate(matrices)]), device=x.device
    )
    weights = torch.as_tensor(np.concatenate([m.weights for m in matrices]), dtype=x.dtype, device=x.device)
    return (
        x.new_zeros(batch * out, width)
        .index_add_(0, rows, weights[:, None] * parts)
        .reshape(batch, out, width)
    )


def applied(matrix: TokenMatrix, tokens: NDArray[np.floating[Any]]) -> Floats:
    """Return W X of tokens (tokens in, width) as the network computes it, in single precision."""
    import torch

    product: Floats = apply((matrix,), torch.as_tensor(tokens, dtype=torch.float32)[None])[0].numpy()
    return product


def _recover(steps: list[list[tuple[int, Step]]], x: "Tensor", tokens: int) -> "Tensor":
    """Return the full grid (batch, tokens, width) by each picture's composed way back."""
    if not any(steps):
        return x
    backs = tuple(way_back(tuple(s for _, s in history), tokens) for history in steps)
    return apply(backs, x)


def layer_macs(net: Any, entering: list[int], halfway: list[int]) -> float:
    """Return the layers' multiply-accumulates: n tokens in attention, n' after the reduction in the MLP.

    A layer costs 4 n d² + 2 n² d + 2 n' d m: projections, scores with their mixture, and the MLP of width m.
    The rule itself and the one row of [CLS] attention (n d) are left out, as in the papers; their time is
    measured instead.
    """
    d, m = net.width, net.blocks[0].up.out_features
    return float(
        sum(4 * n * d * d + 2 * n * n * d + 2 * h * d * m for n, h in zip(entering, halfway, strict=True))
    )


_FIXED: "WeakKeyDictionary[Any, float]" = WeakKeyDictionary()


def fixed_macs(net: Any) -> float:
    """Return the multiply-accumulates of stem and heads on one picture, which no reduction changes.

    Convolutions and linear maps are counted by the shapes of one pass: outputs × inputs of each one.
    """
    import torch
    from torch import nn

    if net not in _FIXED:
        counts: list[int] = []

        def count(module: Any, given: Any, out: "Tensor") -> None:
            counts.append(out.numel() * module.weight[0].numel())

        copy = deepcopy(net)  # the net itself may be running for somebody else
        for module in copy.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                module.register_forward_hook(count)
        with torch.inference_mode():
            device = next(net.parameters()).device
            copy.heads(copy.embed(torch.zeros(1, 3, net.size, net.size, device=device)))
        _FIXED[net] = float(sum(counts))
    return _FIXED[net]
