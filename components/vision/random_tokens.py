"""Random pruning: the floor that a rule has to beat, and on dense tasks a better one than it looks."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from components.method import Card, Finding, knob
from components.models import ModelStore
from components.models.reduce import Seen
from components.numerics.token_selection import at_random
from components.vision import MODEL, reducers
from components.vision._budget import Pruning
from components.vision._trial import trial
from components.vision.none import Unreduced


@reducers.add
@dataclass(frozen=True)
class RandomTokens(Pruning):
    """Keep patches drawn at random."""

    seed: int = knob(0, 0, 999, 1, "Seed")

    card = Card(
        title="Random tokens",
        authors="Liu et al. (PatchDropout)",
        year=2022,
        url="https://arxiv.org/abs/2208.07220",
        claim="Half of the patches, drawn at random, save at least a quarter of the network's"
        " multiply-accumulates and keep at least three quarters of its mIoU.",
        figure="dropping half of the input patches at random in training at least halves compute and memory",
        differs="Nothing is trained with dropped patches: they are dropped in the finished network, and"
        " dense heads get a dropped patch back from the kept one with the nearest key.",
    )

    def choose(self, seen: Seen, k: int) -> NDArray[np.int64]:
        """Return `k` patches at random by the seed."""
        return at_random(len(seen.keys) - 1, k, self.seed)

    @classmethod
    def check(cls, models: ModelStore) -> Finding:
        """Compare half of the patches, dropped after layer 2, with all, on 24 scenes and three seeds."""
        full = trial(Unreduced(), models)
        half = cls(keep=0.5, layer=2)
        runs = [trial(replace(half, seed=s), models) for s in range(3)]
        kept = float(np.mean([r.miou for r in runs])) / full.miou
        saved = 1 - runs[0].macs / full.macs
        return Finding(
            f"{100 * kept:.1f} % of the mIoU at {100 * saved:.0f} % fewer MACs", cls.card.figure,
            kept >= 0.75 and saved >= 0.25, f"{full.scenes} held-out generated scenes × 3 seeds", MODEL,
        )  # fmt: skip
