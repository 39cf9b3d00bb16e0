from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.models import ModelStore
from components.models.vocabularies import package_folder
from components.tokenization import Text
from components.tokenization._samples import samples
from components.tokenization.tekken import Tekken
from tests.components.tokenization.hard_texts import HARD, holds, is_quick, keeps_the_law

MODELS = ModelStore()


@pytest.fixture(scope="module")
def reference():
    from mistral_common.tokens.tokenizers.tekken import Tekkenizer

    path = sorted(Path(package_folder("mistral_common", "data")).glob("tekken_*.json"))[-1]
    return Tekkenizer.from_file(path)


def test_hard_texts(models):
    keeps_the_law(Tekken(), models, lossless=True)
    is_quick(Tekken(), models)


def test_ids_are_those_of_mistral_common(models, reference):
    for text in (*samples().values(), *HARD.values()):
        assert list(Tekken()(Text(text), models).ids) == reference.encode(text, bos=False, eos=False)
    assert Tekken()(Text("a"), models).vocabulary == reference.n_words


def test_an_emoji_is_cut_between_its_bytes(models):
    pieces = Tekken()(Text("🏴‍☠️"), models).pieces
    assert any(not _decodes(piece) for piece in pieces)


def _decodes(piece):
    try:
        piece.decode()
    except UnicodeDecodeError:
        return False
    return True


@settings(deadline=None)
@given(st.text())
def test_pieces_join_to_the_text(text):
    tokens = Tekken()(Text(text), MODELS)
    holds(tokens, text)
    assert tokens.decoded == text


def test_the_claim_holds(models):
    finding = Tekken.check(models)
    assert finding.holds, finding
