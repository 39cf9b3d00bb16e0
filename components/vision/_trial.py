"""A method on held-out scenes: what its reduction costs and what the heads still get right."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from components.models import ModelStore
from components.models.reduce import Outcome, run
from components.numerics.dense_scores import confusion, mean_iou, object_recall
from components.numerics.scenes import CLASSES, Scene, scene
from components.numerics.token_matrix import compose
from components.vision import MODEL, Prediction, Reducer, pixels_first, predictions

FIRST_SEED = 60_000  # below scenes.HELD_OUT_SEEDS: no model has been trained on these
BATCH = 8


@dataclass(frozen=True)
class Trial:
    """Means over `scenes` held-out scenes.

    miou is pooled over all pixels of the set; rmse is of disparity (0 to 1); presence is the F1 of the six
    shapes at one half; recall the share of visible objects with a patch kept; macs and milliseconds are per
    picture.
    """

    scenes: int
    miou: float
    rmse: float
    presence: float
    recall: float
    macs: float
    milliseconds: float


def trial(method: Reducer, models: ModelStore, scenes: int = 24) -> Trial:
    """Run `method` on the first `scenes` held-out scenes; the same trial is run once."""
    key = ("trial", models.card(MODEL)["sha256"], method.name, method, scenes)
    return models.remember(key, lambda: _measure(method, models, scenes))


@lru_cache(maxsize=1)
def held_out(scenes: int) -> tuple[Scene, ...]:
    """Return the first scenes of the held-out set."""
    return tuple(scene(FIRST_SEED + i) for i in range(scenes))


def _measure(method: Reducer, models: ModelStore, scenes: int) -> Trial:
    net, truths = models.get(MODEL), held_out(scenes)
    said: list[Prediction] = []
    recalled, macs, milliseconds = np.zeros(2), 0.0, 0.0
    for start in range(0, scenes, BATCH):
        part = truths[start : start + BATCH]
        outcome = run(net, pixels_first(np.stack([s.image for s in part])), method.decide)
        said += predictions(outcome)
        macs, milliseconds = macs + outcome.macs, milliseconds + outcome.milliseconds
        recalled += _recalled(outcome, part, net.side)
    counts = sum(
        confusion(p.segmentation, t.segmentation, len(CLASSES)) for p, t in zip(said, truths, strict=True)
    )
    squares = [
        np.square(p.disparity - t.disparity, dtype=np.float64).mean()
        for p, t in zip(said, truths, strict=True)
    ]
    there = np.stack([t.presence for t in truths])
    claimed = np.stack([p.presence for p in said]) > 0.5
    return Trial(
        scenes, mean_iou(np.asarray(counts)), float(np.sqrt(np.mean(squares))),
        2 * float((there & claimed).sum()) / max(1, int(there.sum() + claimed.sum())),
        float(recalled[0] / recalled[1]), macs / scenes, milliseconds / scenes,
    )  # fmt: skip


def _recalled(
    outcome: Outcome, part: tuple[Scene, ...], side: int
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return how many objects have a patch kept, and how many there are, over the pictures of one batch."""
    total = np.zeros(2)
    for history, truth in zip(outcome.steps, part, strict=True):
        columns = np.unique(compose(tuple(step for _, step in history), 1 + side**2)[0].columns)
        total += object_recall(columns[columns > 0] - 1, truth.instances, side)
    return total
