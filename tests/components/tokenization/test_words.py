import re

from hypothesis import given, settings
from hypothesis import strategies as st

from components.errors import InputError
from components.models import ModelStore
from components.tokenization import Text
from components.tokenization._samples import sample
from components.tokenization.words import Words
from tests.components.tokenization.hard_texts import holds, is_quick, keeps_the_law

MODELS = ModelStore()


def test_hard_texts(models):
    keeps_the_law(Words(), models, lossless=False, refuses=("white space",))
    is_quick(Words(), models)


def test_ids_are_a_look_up_of_words_and_marks(models):
    text = sample("English prose")
    vocabulary = models.get("text-tokenizers")["words"].tokenizer.get_vocab()
    tokens = Words()(Text(text), models)
    words = re.findall(r"\w+|[^\w\s]+", text)
    assert list(tokens.ids) == [vocabulary.get(word, vocabulary["[UNK]"]) for word in words]
    assert tokens.unknown == sum(word not in vocabulary for word in words) > 0


def test_skipped_white_space_goes_to_the_next_piece(models):
    tokens = Words()(Text("  the zyzzyva\tof  "), models)
    assert tokens.pieces == (b"  the", b" zyzzyva", b"\tof  ")
    assert tokens.unknown == 1


@settings(deadline=None)
@given(st.text())
def test_pieces_join_to_the_text(text):
    try:
        tokens = Words()(Text(text), MODELS)
    except InputError:
        assert not any(re.match(r"\w|[^\w\s]", c) for c in text) or not text.strip()
        return
    holds(tokens, text)


def test_the_claim_holds(models):
    assert Words.check(models).holds
