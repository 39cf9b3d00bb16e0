"""A byte language model drives an arithmetic coder: distributions as whole counts.

Encoder and decoder must see the very same counts. A network's last digits depend on the shape of its input,
so both have to ask through the same function: `predictor` for a coder that goes byte by byte.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from components.numerics.arithmetic_coding import Counts, Predictor, own_shares, whole_counts
from components.numerics.equal_info import CodeBook, code_book

if TYPE_CHECKING:
    from torch import Tensor

    from components.models.nets.causal_lm import CausalLM

ASKED = 4096  # windows whose counts a predictor remembers


def counts_after(net: "CausalLM", texts: list[bytes]) -> Counts:
    """Return the counts (texts, 256) of the byte after each of several texts of one length."""
    import torch

    with torch.inference_mode():
        vectors = net.begin(len(texts))
        if texts[0]:
            vectors = torch.cat([vectors, net.embed(_ids(texts).to(net.start.device))], 1)
        states, _ = net.states(vectors)
        found: Counts = whole_counts(_odds(net.read(states[:, -1:]))[:, 0])
        return found


def predictor(net: "CausalLM") -> Predictor:
    """Return a function from a text to the counts (256,) of its next byte; it sees at most one context."""

    @lru_cache(ASKED)
    def predict(text: bytes) -> Counts:
        counts: Counts = counts_after(net, [text])[0]
        return counts

    return lambda text: predict(text[-(net.context - 1) :])


def book_of(net: "CausalLM", bits: int = 16, longest: int = 32) -> CodeBook:
    """Return what every code of Equal-Info windows means under a byte model."""
    return code_book(lambda texts: counts_after(net, texts), bits, longest)


def shares_along(net: "CausalLM", data: bytes, batch: int = 16) -> Iterator[tuple[int, int]]:
    """Yield the edges of each byte's share, each with half a context of text before it (or all there is).

    For encoding what nobody decodes: many stretches go through the network at once, in half precision.
    """
    import torch

    half = net.context // 2
    starts = range(0, len(data), half)
    for at in range(0, len(starts), batch):
        group = [data[max(0, s - half) : s + half] for s in starts[at : at + batch]]
        longest = max(map(len, group))
        ids = _ids([part.ljust(longest, b"\0") for part in group])
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            odds = _odds(net(ids))
        for start, part, rows in zip(starts[at : at + batch], group, odds, strict=True):
            before = min(half, start)
            yield from own_shares(part[before:], whole_counts(rows[before : len(part)]))


def _ids(texts: list[bytes]) -> "Tensor":
    import torch

    found = np.frombuffer(b"".join(texts), np.uint8).reshape(len(texts), -1)
    return torch.from_numpy(found.astype(np.int64))


def _odds(logits: "Tensor") -> Any:
    return logits.double().softmax(-1).cpu().numpy()
