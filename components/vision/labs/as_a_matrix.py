"""Every reducer as the one matrix it is, on the same picture."""

from dataclasses import dataclass

import numpy as np

from components.method import Card, Finding, HeatMap, Panel, Table, knob
from components.models import ModelStore
from components.models.reduce import Seen, applied
from components.numerics.token_matrix import Step
from components.vision import MODEL, Picture, Reducer, VisionLab, labs, reducers


def at_budget(name: str, **wanted: float) -> Reducer:
    """Return a reducer with those of the wanted knobs that it has."""
    knobs = reducers[name].knobs()
    return reducers.create(name, **{key: value for key, value in wanted.items() if key in knobs})


@labs.add
@dataclass(frozen=True)
class AsAMatrix(VisionLab):
    """W over all stages, one heat map a method."""

    keep: float = knob(0.25, 0.05, 1, 0.05, "Patches or tokens left (share)")
    layer: int = knob(1, 1, 8, 1, "Pruning after the attention of layer")

    card = Card(
        title="Every method as a matrix",
        authors="Zeng et al. (Token Transforming)",
        year=2025,
        url="https://arxiv.org/abs/2506.05709",
        claim="Pruning and merging are both Y = W X with rows that sum to one: what the network goes on"
        " with equals W X to 1e-5.",
        figure="DeiT-S with the many-to-many matrix: 40 % fewer FLOPs, 1.5 × the speed, 0.1 points of"
        " accuracy less",
        differs="Shows the matrices of the methods of this page; the paper's accuracy is no part of this"
        " lab.",
    )
    opening = (
        "Token Transforming writes every reduction as Y = W X: pruning copies single tokens, merging"
        " averages disjoint groups, and a general W lets a token pass into several.",
        "Lower the share that is left, and move the layer at which the pruning methods act.",
        "Look for empty columns: those patches are lost; where a column has its entry, the patch lives on.",
    )

    def __call__(self, picture: Picture, models: ModelStore) -> tuple[Panel, ...]:
        """Return a table of what the matrices have in common, then one heat map a method."""
        rows: list[tuple[str | float | int, ...]] = []
        maps: list[Panel] = []
        for name in reducers.names():
            title = reducers[name].card.title
            forward = at_budget(name, keep=self.keep, layer=self.layer)(picture, models).composed[0]
            # rows run by the patch they mostly stand for
            dense = forward.dense()[np.argsort(forward.strongest(), kind="stable")]
            lost = int((dense.sum(axis=0) == 0).sum())
            most = int((dense > 0).sum(axis=1).max())
            rows.append((title, dense.shape[0], float(dense.sum(axis=1).min()), lost, most))
            maps.append(HeatMap(
                f"W of {title}", "token in (0 is CLS)", "token out", dense.astype(np.float32), unit="weight"
            ))  # fmt: skip
        columns = ("method", "rows (tokens out)", "least row sum", "tokens lost", "most tokens in one")
        return (Table("What the matrices have in common", columns, tuple(rows)), *maps)

    @classmethod
    def check(cls, models: ModelStore) -> Finding:
        """Compare W X with what the network goes on with, at every stage of every method, on 3 scenes."""
        worst, sums, seeds = 0.0, 0.0, (1, 2, 3)
        for name in reducers.names():
            method = at_budget(name, keep=0.25, layer=4)
            for seed in seeds:
                watched = _Watched(method)
                method.run(Picture.of_scene(seed), models, watched.decide)
                worst, sums = max(worst, watched.worst), max(sums, watched.sums)
        return Finding(
            f"largest difference {worst:.1e}; row sums within {sums:.1e} of one",
            "an identity, checked there by algebra", worst <= 1e-5 and sums <= 1e-6,
            f"{len(reducers.names())} methods × {len(seeds)} generated scenes", MODEL,
        )  # fmt: skip


class _Watched:
    """A reducer's rule that compares the dense product with the network's way of applying W."""

    def __init__(self, method: Reducer) -> None:
        self.method, self.worst, self.sums = method, 0.0, 0.0

    def decide(self, seen: Seen) -> Step | None:
        """Decide as the method does, and keep the largest difference seen."""
        step = self.method.decide(seen)
        if step is not None:
            dense = step.forward.dense()
            difference = dense @ seen.features - applied(step.forward, seen.features)
            self.worst = max(self.worst, float(np.abs(difference).max()))
            self.sums = max(self.sums, float(np.abs(dense.sum(axis=1) - 1).max()))
        return step
