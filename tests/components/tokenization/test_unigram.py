from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.models import ModelStore
from components.tokenization import Text
from components.tokenization.unigram import Unigram
from tests.components.tokenization.hard_texts import holds, is_quick, keeps_the_law

MODELS = ModelStore()


def test_hard_texts(models):
    keeps_the_law(Unigram(), models, lossless=True)
    is_quick(Unigram(), models)


@pytest.mark.parametrize("word", ["harbour", "watches", "scaffold", "xyzzy", "thethe", "ing"])
def test_no_other_segmentation_is_more_probable(models, word):
    """Brute force over all 2^(n-1) ways to cut a short word."""
    scores = dict(models.get("text-tokenizers")["unigram"].configuration["model"]["vocab"])
    best = -np.inf
    for count in range(len(word)):
        for cuts in combinations(range(1, len(word)), count):
            edges = [0, *cuts, len(word)]
            parts = [word[a:b] for a, b in pairwise(edges)]
            if all(part in scores for part in parts):
                best = max(best, sum(scores[part] for part in parts))
    tokens = Unigram()(Text(word), models)
    assert -tokens.bits.sum() * np.log(2) == pytest.approx(best, rel=1e-9)


@settings(deadline=None)
@given(st.text())
def test_pieces_join_to_the_text(text):
    tokens = Unigram()(Text(text), MODELS)
    holds(tokens, text)
    assert tokens.decoded == text
    assert (tokens.bits > 0).all()


def test_the_claim_holds(models):
    finding = Unigram.check(models)
    assert finding.holds, finding
