"""No reduction: every patch goes through every layer. What the others are measured against."""

from dataclasses import dataclass

from components.method import Card, Finding
from components.models import ModelStore
from components.models.reduce import Seen
from components.numerics.token_matrix import Step
from components.vision import MODEL, Reducer, reducers
from components.vision._trial import trial


@reducers.add
@dataclass(frozen=True)
class Unreduced(Reducer):
    """Keep all tokens."""

    card = Card(
        title="No reduction",
        authors="Dosovitskiy et al.",
        year=2021,
        url="https://arxiv.org/abs/2010.11929",
        claim="The bundled network sees enough to lose something: mIoU of at least 0.80 on scenes it was"
        " not trained on.",
        figure="the paper's ViT classifies photographs (ViT-L/16: 87.8 % on ImageNet); it has no figure for"
        " our scenes",
        differs="A small ViT (128 px, 256 patches of 8 × 8, 8 layers) with heads for classes, disparity and"
        " presence, trained on generated scenes; on photographs its answers mean nothing.",
    )

    def decide(self, seen: Seen) -> Step | None:
        """Leave the tokens."""
        return None

    @classmethod
    def check(cls, models: ModelStore) -> Finding:
        """Measure the mean IoU over eight classes on 24 held-out scenes."""
        got = trial(cls(), models)
        return Finding(
            f"mIoU {got.miou:.3f}, disparity RMSE {got.rmse:.3f}, presence F1 {got.presence:.3f}",
            cls.card.figure, got.miou >= 0.8, f"{got.scenes} held-out generated scenes", MODEL,
        )  # fmt: skip
