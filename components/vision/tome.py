"""Token Merging (ToMe): in every layer the most similar pairs of tokens become one; nothing is dropped."""

from dataclasses import dataclass

from components.method import Card, Finding, knob
from components.models import ModelStore
from components.models.reduce import Seen
from components.numerics.token_matrix import Step, merging
from components.numerics.token_merging import bipartite_match, merges_per_layer
from components.vision import MODEL, Reducer, reducers
from components.vision._trial import trial
from components.vision.none import Unreduced


@reducers.add
@dataclass(frozen=True)
class TokenMerging(Reducer):
    """Bipartite soft matching on keys, size-weighted means, proportional attention."""

    keep: float = knob(
        0.25,
        0.05,
        1,
        0.05,
        "Tokens left after the last layer (share)",
        help="Equally many merge in every layer.",
    )
    first: int = knob(1, 1, 8, 1, "Merges from layer", help="Earlier saves more.")

    card = Card(
        title="Token Merging (ToMe)",
        authors="Bolya et al.",
        year=2023,
        url="https://arxiv.org/abs/2210.09461",
        claim="A finished ViT, not trained again, keeps at least 97 % of its accuracy (here mIoU) with at"
        " least 30 % fewer multiply-accumulates.",
        figure="ViT-S on ImageNet, r = 13, not trained again: 81.4 → 79.3 % at 1.64 × the throughput",
        differs="The constant number r of merges a layer follows from the share that is left; dense heads"
        " get each merged token back at all its places, which the paper does not need for classification.",
    )

    def decide(self, seen: Seen) -> Step | None:
        """Merge this layer's share of pairs, after its attention."""
        if seen.layer < self.first:
            return None
        r = merges_per_layer(seen.patches, self.keep, seen.layers - self.first + 1)[seen.layer - self.first]
        return merging(bipartite_match(seen.keys, r), seen.sizes) if r else None

    @classmethod
    def check(cls, models: ModelStore) -> Finding:
        """Compare merging down to 0.25 of the patches with no reduction on 24 held-out scenes."""
        full, ours = trial(Unreduced(), models), trial(cls(), models)
        kept, saved = ours.miou / full.miou, 1 - ours.macs / full.macs
        return Finding(
            f"{100 * kept:.1f} % of the mIoU at {100 * saved:.0f} % fewer MACs"
            f" (RMSE {full.rmse:.3f} → {ours.rmse:.3f})",
            cls.card.figure, kept >= 0.97 and saved >= 0.3, f"{full.scenes} held-out generated scenes",
            MODEL,
        )  # fmt: skip
