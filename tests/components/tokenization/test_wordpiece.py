import re

from hypothesis import given, settings
from hypothesis import strategies as st

from components.errors import InputError
from components.models import ModelStore
from components.tokenization import Text
from components.tokenization._samples import sample
from components.tokenization.wordpiece import WordPiece
from tests.components.tokenization.hard_texts import holds, is_quick, keeps_the_law

MODELS = ModelStore()


def longest_match(word, vocabulary):
    """The definition: the longest known start, again and again; all or nothing."""
    found, start = [], 0
    while start < len(word):
        prefix = "##" if start else ""
        end = next((e for e in range(len(word), start, -1) if prefix + word[start:e] in vocabulary), None)
        if end is None:
            return ["[UNK]"]
        found.append(prefix + word[start:end])
        start = end
    return found


def test_hard_texts(models):
    keeps_the_law(WordPiece(), models, lossless=False, refuses=("white space",))
    is_quick(WordPiece(), models)


def test_tokens_are_the_longest_matches(models):
    vocabulary = models.get("text-tokenizers")["wordpiece"].tokenizer.get_vocab()
    text = sample("English prose") + " Çekoslovakya zyzzyva antidisestablishmentarianism"
    words = re.findall(r"\w+|[^\w\s]", text)
    expected = [piece for word in words for piece in longest_match(word, vocabulary)]
    assert list(WordPiece()(Text(text), models).names) == expected


@settings(deadline=None)
@given(st.text())
def test_pieces_join_to_the_text(text):
    try:
        tokens = WordPiece()(Text(text), MODELS)
    except InputError:
        assert not text.strip()
        return
    holds(tokens, text)


def test_the_claim_holds(models):
    assert WordPiece.check(models).holds
