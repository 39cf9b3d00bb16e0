"""ToDRE, stage 1: keep tokens that are unlike each other, starting from the one CLS attends to most."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from components.method import Card, Finding, choice
from components.models import ModelStore
from components.models.reduce import Seen
from components.numerics.token_selection import k_center, max_sum
from components.vision import MODEL, reducers
from components.vision._budget import Pruning
from components.vision._trial import trial
from components.vision.random_tokens import RandomTokens

RULES = {"k-center": k_center, "max-sum": max_sum}


@reducers.add
@dataclass(frozen=True)
class ToDRE(Pruning):
    """Greedy diversity from a pivot; similarity is the cosine of the tokens' features."""

    rule: str = choice(
        "k-center", ("k-center", "max-sum"), "Selection rule",
        help="The paper's first version says k-center, its second max-sum diversification.",
    )  # fmt: skip

    card = Card(
        title="ToDRE: token diversity",
        authors="Li et al.",
        year=2025,
        url="https://arxiv.org/abs/2505.18757",
        claim="A tenth of the tokens, chosen to differ, stands for the whole picture: it holds more of the"
        " objects than a tenth drawn at random.",
        figure="LLaVA-NeXT-7B, 10 % of 2,880 visual tokens: 95.0 % of the mean of 8 benchmarks, 2.6 ×"
        " faster in all",
        differs="Selection runs inside a small dense ViT, on the features of one of its layers, not after"
        " the projector of LLaVA-NeXT. Stage 2, which removes all visual tokens late in the language"
        " model's prefill, needs that language model and is not part of this one.",
        system=2,
    )

    def choose(self, seen: Seen, k: int) -> NDArray[np.int64]:
        """Return `k` patches by the rule, the pivot first."""
        return RULES[self.rule](seen.features[1:], k, int(np.argmax(seen.attention[1:])))

    @classmethod
    def check(cls, models: ModelStore) -> Finding:
        """Count objects with a patch kept at 10 %, both rules and three random draws, on 24 scenes."""
        ours = {rule: trial(cls(keep=0.1, layer=8, rule=rule), models) for rule in RULES}
        drawn = [trial(RandomTokens(keep=0.1, layer=8, seed=s), models).recall for s in range(3)]
        floor = float(np.mean(drawn))
        center, spread = ours["k-center"].recall, ours["max-sum"].recall
        return Finding(
            f"objects kept: k-center {center:.3f}, max-sum {spread:.3f}, random {floor:.3f} (share)",
            cls.card.figure,
            center > floor,
            f"{ours['k-center'].scenes} held-out generated scenes",
            MODEL,
        )  # fmt: skip
