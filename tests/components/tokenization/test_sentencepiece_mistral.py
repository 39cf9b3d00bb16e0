import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.models import ModelStore
from components.models.vocabularies import package_folder
from components.tokenization import Text
from components.tokenization._samples import samples
from components.tokenization.sentencepiece_mistral import SentencePieceMistral, cut
from tests.components.tokenization.hard_texts import HARD, holds, is_quick, keeps_the_law

MODELS = ModelStore()


@pytest.fixture(scope="module")
def reference():
    from mistral_common.tokens.tokenizers.sentencepiece import SentencePieceTokenizer

    path = next(package_folder("mistral_common", "data").glob("*.model.v3"))
    return SentencePieceTokenizer(str(path))


def test_hard_texts(models):
    keeps_the_law(SentencePieceMistral(), models, lossless=False)
    is_quick(SentencePieceMistral(), models)


def test_ids_are_those_of_mistral_common(models, reference):
    for text in (*samples().values(), *HARD.values()):
        assert list(SentencePieceMistral()(Text(text), models).ids) == reference.encode(
            text, bos=False, eos=False
        )


def test_the_prefix_stands_for_nothing_and_a_sign_that_looks_like_it_is_kept():
    assert cut(b"a b", ["▁a", "▁b"], [False, False]) == (b"a", b" b")
    assert cut("日".encode(), ["▁", "日"], [False, False]) == (b"", "日".encode())
    assert cut("▁a ".encode(), ["▁▁a", "▁"], [False, False]) == ("▁a".encode(), b" ")
    assert cut(b"\n", ["▁", "<0x0A>"], [False, True]) == (b"", b"\n")


@settings(deadline=None)
@given(st.text(st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from(" ▁\n<0x41>"))))
def test_pieces_join_to_the_text(text):
    if "\ud800" <= max(text, default="") <= "\udfff":
        return
    tokens = SentencePieceMistral()(Text(text), MODELS)
    holds(tokens, text)
    assert tokens.decoded == text or "▁" in text


def test_the_claim_holds(models):
    finding = SentencePieceMistral.check(models)
    assert finding.holds, finding
