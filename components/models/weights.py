"""How the weights of bundled models are stored: floats in 16 bits, chosen matrices in 8 with a step a row.

A matrix (rows, columns) in 8 bits is whole numbers from -127 to 127 under its own name and the step of every
row, the row's largest magnitude over 127, under its name and `STEP`. The metrics on a card are measured after
`round_as_stored`, on the very numbers that `unpacked` gives back.
"""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, dtype, nn

STEP = "::step"
LARGEST = 127
SMALLEST_MATRIX = 4096  # elements; below it the steps and the loss are not worth it


def matrices(net: "nn.Module") -> tuple[str, ...]:
    """Return the names of a network's trained matrices that are large enough to be stored in 8 bits."""
    return tuple(name for name, p in net.named_parameters() if p.ndim == 2 and p.numel() >= SMALLEST_MATRIX)


def packed(state: Mapping[str, "Tensor"], in_8_bits: Collection[str] = (),
           floats: "dtype | None" = None) -> dict[str, "Tensor"]:
    """Return what is stored of a state: floats as `floats` (16-bit), the named matrices in 8 bits.

    Raises ValueError where a name is no matrix of the state.
    """
    import torch

    kept = {k: v.detach().cpu() for k, v in state.items()}
    wrong = [name for name in in_8_bits if name not in kept or kept[name].ndim != 2]
    if wrong:
        raise ValueError(f"{', '.join(wrong)}: no matrix of that name can be stored in 8 bits.")
    stored = {}
    for name, values in kept.items():
        if name in in_8_bits:
            # A bfloat16 step times 127 is exact in float32, so that rounding again changes nothing.
            step = (values.float().abs().amax(1, keepdim=True) / LARGEST).bfloat16()
            whole = (values.float() / step.float().clamp(min=torch.finfo(torch.float32).tiny)).round()
            stored[name] = whole.clamp(-LARGEST, LARGEST).to(torch.int8).contiguous()
            stored[name + STEP] = step
        else:
            as_floats = values.to(floats or torch.float16) if values.is_floating_point() else values
            stored[name] = as_floats.contiguous()
    return stored


def unpacked(stored: Mapping[str, "Tensor"]) -> dict[str, "Tensor"]:
    """Return the state that `packed` has stored, all floats in 32 bits."""
    state = {}
    for name, values in stored.items():
        if name.endswith(STEP):
            continue
        step = stored.get(name + STEP)
        if step is not None:
            state[name] = values.float() * step.float()
        else:
            state[name] = values.float() if values.is_floating_point() else values
    return state


def round_as_stored(net: "nn.Module", in_8_bits: Collection[str] = ()) -> None:
    """Give a network the numbers it will have once it was stored and loaded."""
    net.load_state_dict(unpacked(packed(net.state_dict(), in_8_bits)))
