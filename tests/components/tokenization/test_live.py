import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.errors import InputError
from components.models import ModelStore
from components.tokenization import Text
from components.tokenization._samples import sample
from components.tokenization.live import Live
from tests.components.tokenization.hard_texts import holds, is_quick, keeps_the_law

MODELS = ModelStore()


@pytest.mark.parametrize(
    ("algorithm", "lossless", "refuses"),
    [("bpe", True, ()), ("unigram", True, ()), ("wordpiece", False, ("white space",))],
)
def test_hard_texts(models, algorithm, lossless, refuses):
    keeps_the_law(Live(algorithm=algorithm), models, lossless=lossless, refuses=refuses)
    is_quick(Live(algorithm=algorithm), models, seconds=20.0)


def test_a_larger_vocabulary_makes_the_text_shorter(models):
    text = Text(sample("Turkish prose"))
    for algorithm in ("bpe", "wordpiece", "unigram"):
        lengths = [len(Live(algorithm=algorithm, size=size)(text, models).pieces) for size in (260, 400, 800)]
        assert lengths == sorted(lengths, reverse=True) and lengths[0] > lengths[-1]


def test_the_vocabulary_is_no_larger_than_asked_for(models):
    assert Live(size=300)(Text(sample("English prose")), models).vocabulary == 300
    assert Live(size=4096)(Text("abab"), models).vocabulary < 300


def test_a_word_that_repeats_becomes_one_token(models):
    tokens = Live(size=400)(Text("harbour harbour harbour harbour"), models)
    assert tokens.pieces[1:] == (b" harbour",) * 3


def test_a_size_out_of_range_is_refused():
    with pytest.raises(InputError, match="260"):
        Live(size=10)


@settings(deadline=None, max_examples=30)
@given(st.text(), st.sampled_from(["bpe", "unigram", "wordpiece"]))
def test_pieces_join_to_the_text(text, algorithm):
    try:
        holds(Live(algorithm=algorithm)(Text(text), MODELS), text)
    except InputError:
        assert algorithm == "wordpiece" and not text.strip()


def test_the_claim_holds(models):
    finding = Live.check(models)
    assert finding.holds, finding
