"""Unigram: the most probable segmentation, with a small vocabulary that ships."""

import math
from dataclasses import dataclass
from typing import ClassVar

from components.method import Card, Finding
from components.models import ModelStore
from components.numerics.unigram_search import most_probable
from components.tokenization import Text, Tokenizer, Tokens, tokenizers
from components.tokenization._encoding import encode
from components.tokenization._samples import sample


@tokenizers.add
@dataclass(frozen=True)
class Unigram(Tokenizer):
    """4,096 tokens with a probability each; `bits` holds the information of each token under that model."""

    card: ClassVar[Card] = Card(
        title="Unigram, 4k",
        authors="Kudo",
        year=2018,
        url="https://arxiv.org/abs/1804.10959",
        claim="Every stretch is cut into the tokens whose product of probabilities is the largest "
        "of all ways.",
        figure="section 3.2: the Viterbi search finds the best segmentation",
        differs="Works on bytes behind the same pre-tokenizer as our BPE; the best segmentation "
        "alone, no sampling.",
    )

    def __call__(self, text: Text, models: ModelStore) -> Tokens:
        return encode(models.get("text-tokenizers")["unigram"], text)

    @classmethod
    def check(cls, models: ModelStore) -> Finding:
        vocabulary = models.get("text-tokenizers")["unigram"]
        scores = dict(vocabulary.configuration["model"]["vocab"])
        cut = vocabulary.tokenizer.pre_tokenizer.pre_tokenize_str(sample("English prose"))
        stretches = [stretch for stretch, _ in cut]
        best = [most_probable(stretch, scores) for stretch in stretches]
        ours = cls()(Text(sample("English prose")), models)
        bits = float(ours.bits.sum()) if ours.bits is not None else 0.0
        least = -sum(score for _, score in best) / math.log(2)
        return Finding(
            measured=f"{bits:.1f} bits against {least:.1f} for the best segmentation by an own "
            "Viterbi search",
            paper=cls.card.figure,
            holds=abs(bits - least) < 1e-3 * least,
            on=f"English prose, {len(stretches)} stretches, {len(ours.pieces)} tokens",
            model="text-tokenizers/unigram",
        )
