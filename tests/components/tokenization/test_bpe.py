import json
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from components.models import ModelStore
from components.numerics.bpe_training import join
from components.numerics.token_alignment import byte_letters
from components.tokenization import Text
from components.tokenization._samples import sample
from components.tokenization.bpe import Bpe
from tests.components.tokenization.hard_texts import holds, is_quick, keeps_the_law

MODELS = ModelStore()
ASCII_STRETCHES = re.compile(r"[ \n]?[A-Za-z]+|[ \n]?[0-9]|[ \n]?[^\sA-Za-z0-9]+|\s")


def test_hard_texts(models):
    keeps_the_law(Bpe(), models, lossless=True)
    is_quick(Bpe(), models)


def test_the_merges_in_the_order_learned_give_the_same_tokens(models):
    """Slow oracle: every merge in turn over every stretch, cut by a pattern of our own."""
    text = sample("English prose")[:400] + " x1 22,\n\n(3.5)"
    merges = json.loads(models.get("text-tokenizers")["bpe"].tokenizer.to_str())["model"]["merges"]
    letters = byte_letters()
    pairs = [tuple(bytes(letters[c] for c in side) for side in pair) for pair in merges]
    slow = []
    for stretch in ASCII_STRETCHES.findall(text):
        symbols = [bytes([b]) for b in stretch.encode()]
        for pair in pairs:
            symbols = join(symbols, pair)
        slow += symbols
    assert list(Bpe()(Text(text), models).pieces) == slow


def test_a_cut_depends_on_two_neighbouring_characters_alone(models):
    """Every token re-encodes to itself, and so does every neighbouring pair."""
    tokens = Bpe()(Text(sample("English prose")), models)
    for a, b in zip(tokens.pieces, tokens.pieces[1:], strict=False):
        assert Bpe()(Text((a + b).decode()), models).pieces == (a, b)


@settings(deadline=None)
@given(st.text())
def test_pieces_join_to_the_text(text):
    tokens = Bpe()(Text(text), MODELS)
    holds(tokens, text)
    assert tokens.decoded == text and tokens.unknown == 0


def test_the_claim_holds(models):
    finding = Bpe.check(models)
    assert finding.holds, finding
