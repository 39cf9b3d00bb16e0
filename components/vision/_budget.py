"""The budget that all pruning methods share: which part of the patches stays, and after which layer."""

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from components.method import knob
from components.models.reduce import Seen
from components.numerics.token_matrix import Step, pruning
from components.vision import Reducer


@dataclass(frozen=True)
class Pruning(Reducer):
    """Keep a share of the patches once; the later layers see those alone."""

    keep: float = knob(0.25, 0.05, 1, 0.05, "Patches kept (share)", help="The rest is dropped for good.")
    layer: int = knob(4, 1, 8, 1, "After the attention of layer", help="Earlier saves more and costs more.")

    @abstractmethod
    def choose(self, seen: Seen, k: int) -> NDArray[np.int64]:
        """Return `k` patches (from 0, without CLS) in the order of choice."""

    def decide(self, seen: Seen) -> Step | None:
        """Prune at the chosen layer, the dropped patches' mass with them."""
        if seen.layer != self.layer:
            return None
        k = max(1, round(self.keep * (len(seen.keys) - 1)))
        return pruning(self.choose(seen, k), seen.keys, seen.sizes)
