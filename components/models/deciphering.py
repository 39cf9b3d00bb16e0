"""The lexinvariant model and its twin asked about symbols in NumPy: losses and what each symbol may be.

Symbols are those of `components.numerics.substitution`; `net` is `lexinvariant-lm` or `lexinvariant-twin`
of the store. The same seed gives the same random rows and so the same numbers.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.errors import InputError

Reals = NDArray[np.float64]
LONGEST = 1024  # symbols, as in training


def losses(net: Any, text: NDArray[np.integer[Any]], seed: int = 0) -> Reals:
    """Return the loss in bits (time,) of each symbol of a text, given those before it."""
    import torch

    tokens = _tokens(text)
    with torch.inference_mode():
        odds = net(tokens, _rows(net, seed))[0, :-1].double().log_softmax(-1)
    bits: Reals = -odds.gather(-1, tokens[0, :, None])[:, 0].numpy() / math.log(2)
    return bits


def beliefs(net: Any, text: NDArray[np.integer[Any]], seed: int = 0) -> Reals:
    """Return log P in nats (time, 32) of what each symbol of a text is in plain English, once it is seen.

    Only the lexinvariant model can say so; the first n rows are what it believes after n symbols.
    """
    import torch

    if net.own_rows:
        raise InputError("The normal twin reads no ciphers; choose lexinvariant-lm.")
    with torch.inference_mode():
        found: Reals = net.beliefs(_tokens(text), _rows(net, seed))[0].double().numpy()
    return found


def _tokens(text: NDArray[np.integer[Any]]) -> Any:
    """Return symbols as a tensor (1, time), or refuse their number."""
    import torch

    if not 1 <= len(text) <= LONGEST:
        raise InputError(f"The text has {len(text):,} characters; give 1 to {LONGEST:,}.")
    return torch.from_numpy(np.asarray(text, dtype=np.int64))[None]


def _rows(net: Any, seed: int) -> Any:
    return None if net.own_rows else net.fresh_rows(1, seed)
