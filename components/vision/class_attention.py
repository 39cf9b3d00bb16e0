"""Keep the patches that CLS attends to most: the rule under most pruning methods for classification."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from components.method import Card, Finding
from components.models import ModelStore
from components.models.reduce import Seen
from components.numerics.token_selection import by_attention
from components.vision import MODEL, reducers
from components.vision._budget import Pruning
from components.vision._trial import trial
from components.vision.none import Unreduced
from components.vision.tome import TokenMerging


@reducers.add
@dataclass(frozen=True)
class ClassAttention(Pruning):
    """Top-k by the attention that CLS pays, averaged over heads."""

    card = Card(
        title="Class-attention top-k",
        authors="Liang et al. (EViT)",
        year=2022,
        url="https://arxiv.org/abs/2202.07800",
        claim="Tokens that CLS attends to tell what the picture holds better than where it is: F1 of presence"
        " loses a smaller part than mIoU, and merging keeps more mIoU at no more MACs.",
        figure="DeiT-S on ImageNet, keep 0.7 at layers 4, 7 and 10: 79.5 % of 79.8 % at 35 % fewer MACs"
        " (fine-tuned)",
        differs="Prunes once and drops the rest instead of fusing it into one token; no fine-tuning;"
        " presence of six shapes instead of 1,000 classes.",
    )

    def choose(self, seen: Seen, k: int) -> NDArray[np.int64]:
        """Return the `k` patches with the most attention from CLS."""
        return by_attention(seen.attention[1:], k)

    @classmethod
    def check(cls, models: ModelStore) -> Finding:
        """Compare half of the patches, chosen after layer 2, with merging at the same MACs, on 24 scenes."""
        full, ours = trial(Unreduced(), models), trial(cls(keep=0.5, layer=2), models)
        merged = trial(TokenMerging(keep=0.15), models)
        kept, same = 100 * ours.miou / full.miou, 100 * merged.miou / full.miou
        saved, less = 100 * (1 - ours.macs / full.macs), 100 * (1 - merged.macs / full.macs)
        known = 100 * ours.presence / full.presence
        return Finding(
            f"presence F1 kept {known:.1f} %, mIoU kept {kept:.1f} % at {saved:.0f} % fewer MACs; merging"
            f" keeps {same:.1f} % at {less:.0f} %",
            cls.card.figure, known > kept and same > kept and merged.macs <= ours.macs,
            f"{full.scenes} held-out generated scenes", MODEL,
        )  # fmt: skip
