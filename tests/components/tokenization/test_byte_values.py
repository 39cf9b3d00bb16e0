from hypothesis import given
from hypothesis import strategies as st

from components.tokenization import Text
from components.tokenization.byte_values import ByteValues
from tests.components.tokenization.hard_texts import is_quick, keeps_the_law


def test_hard_texts(models):
    keeps_the_law(ByteValues(), models, lossless=True)
    is_quick(ByteValues(), models)


def test_a_character_is_cut_into_its_bytes(models):
    tokens = ByteValues()(Text("a€"), models)
    assert tokens.pieces == (b"a", b"\xe2", b"\x82", b"\xac")
    assert tokens.ids == (97, 226, 130, 172)
    assert tokens.names[1] == "<0xE2>"
    assert tokens.vocabulary == 256


@given(st.text())
def test_ids_are_pythons_own_encoding(text):
    tokens = ByteValues()(Text(text), None)
    assert bytes(tokens.ids) == b"".join(tokens.pieces) == text.encode()
    assert tokens.decoded == text


def test_the_claim_holds(models):
    assert ByteValues.check(models).holds
