import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st

from components.errors import InputError
from components.models import ModelStore
from components.tokenization import Text
from components.tokenization._samples import sample
from components.tokenization.bert import Bert
from tests.components.tokenization.hard_texts import holds, is_quick, keeps_the_law
from tests.components.tokenization.test_wordpiece import longest_match

MODELS = ModelStore()


def bert_words(text):
    """The definition for plain text: lower case, no marks, punctuation apart."""
    plain = "".join(c for c in unicodedata.normalize("NFD", text.lower()) if unicodedata.category(c) != "Mn")
    spaced = "".join(
        f" {c} " if unicodedata.category(c).startswith("P") or c in "$+<=>^`|~" else c for c in plain
    )
    return spaced.split()


def test_hard_texts(models):
    keeps_the_law(Bert(), models, lossless=False, refuses=("white space", "control"))
    is_quick(Bert(), models)


def test_tokens_are_the_longest_matches_of_the_normalised_words(models):
    vocabulary = models.get("bert-wordpiece").tokenizer.get_vocab()
    for kind in ("English prose", "Turkish prose", "Python code", "UUID JSON"):
        expected = [piece for word in bert_words(sample(kind)) for piece in longest_match(word, vocabulary)]
        assert list(Bert()(Text(sample(kind)), models).names) == expected


def test_a_normalised_word_keeps_its_own_bytes(models):
    tokens = Bert()(Text("Café  Ünlü"), models)
    assert b"".join(tokens.pieces).decode() == "Café  Ünlü"
    assert tokens.names[0] == "cafe" and tokens.pieces[0] == "Café".encode()
    assert tokens.decoded != "Café  Ünlü"


def test_nothing_is_cut_off_and_nothing_put_around(models):
    tokens = Bert()(Text("word " * 2000), models)
    assert len(tokens.pieces) == 2000


@settings(deadline=None)
@given(st.text())
def test_pieces_join_to_the_text(text):
    try:
        holds(Bert()(Text(text), MODELS), text)
    except InputError:
        kept = [
            c
            for c in text
            if not c.isspace() and unicodedata.category(c) not in ("Cc", "Cf", "Cn", "Co", "Mn")
        ]
        assert not [c for c in kept if c != "\ufffd"]


def test_the_claim_holds(models):
    assert Bert.check(models).holds
