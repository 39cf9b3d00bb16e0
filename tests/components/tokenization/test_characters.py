from hypothesis import given
from hypothesis import strategies as st

from components.tokenization import Text
from components.tokenization.characters import Characters
from tests.components.tokenization.hard_texts import is_quick, keeps_the_law


def test_hard_texts(models):
    keeps_the_law(Characters(), models, lossless=True)
    is_quick(Characters(), models)


def test_a_mark_is_a_token_of_its_own(models):
    tokens = Characters()(Text("e\u0301👍🏽"), models)
    assert tokens.ids == (0x65, 0x301, 0x1F44D, 0x1F3FD)
    assert tokens.pieces == (b"e", b"\xcc\x81", "👍".encode(), "🏽".encode())


@given(st.text())
def test_ids_are_the_code_points(text):
    tokens = Characters()(Text(text), None)
    assert "".join(map(chr, tokens.ids)) == text
    assert len(tokens.pieces) == len(text)


def test_the_claim_holds(models):
    assert Characters.check(models).holds
