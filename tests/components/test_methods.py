"""The contract of every method: difficult input gives an InputError or a valid result."""

from pathlib import Path

import numpy as np
import pytest

from components import catalogue, retrieval, speech, tokenization, vision
from components.errors import InputError
from components.method import Finding

TESTS = Path(__file__).parent
EVERY = [(tab, kind, name) for kind, families in (("method", catalogue.METHODS), ("lab", catalogue.LABS))
         for tab, family in families.items() for name in family.names()]
RNG = np.random.default_rng(0)
SECOND = speech.RATE


def family(tab, kind):
    return (catalogue.METHODS if kind == "method" else catalogue.LABS)[tab]


def documents(*texts):
    return tuple(retrieval.Document(f"d{i}", text) for i, text in enumerate(texts))


HARD = {
    "speech": {
        "silence": lambda: speech.Clip(np.zeros(SECOND, np.float32)),
        "shortest": lambda: speech.Clip(np.full(SECOND // 10, 0.1, np.float32)),
        "constant": lambda: speech.Clip(np.full(SECOND, 0.5, np.float32)),
        "noise": lambda: speech.Clip(RNG.normal(0, 0.1, SECOND).astype(np.float32)),
        "one click": lambda: speech.Clip(np.eye(1, SECOND, 8000, dtype=np.float32)[0]),
        "empty": lambda: speech.Clip(np.zeros(0, np.float32)),
        "not a number": lambda: speech.Clip(np.full(SECOND, np.nan, np.float32)),
        "two channels": lambda: speech.Clip(np.zeros((SECOND, 2), np.float32)),
    },
    "vision": {
        "constant": lambda: vision.Picture(np.full((64, 64, 3), 128, np.uint8)),
        "black": lambda: vision.Picture(np.zeros((128, 128, 3), np.uint8)),
        "noise": lambda: vision.Picture(RNG.integers(0, 256, (96, 200, 3), dtype=np.uint8)),
        "smallest": lambda: vision.Picture(np.zeros((8, 8, 3), np.uint8)),
        "one pixel": lambda: vision.Picture(np.zeros((1, 1, 3), np.uint8)),
        "grey": lambda: vision.Picture(np.zeros((64, 64), np.uint8)),
        "floats": lambda: vision.Picture(np.zeros((64, 64, 3), np.float32)),
    },
    "tokenization": {
        "empty": lambda: tokenization.Text(""),
        "one letter": lambda: tokenization.Text("a"),
        "white space": lambda: tokenization.Text(" \n\t  "),
        "nul": lambda: tokenization.Text("a\0b"),
        "family": lambda: tokenization.Text("👩‍👩‍👧‍👦 e\u0301 مرحبا ไทย"),
        "repeats": lambda: tokenization.Text("na" * 500),
        "surrogate": lambda: tokenization.Text("a\ud800"),
        "number": lambda: tokenization.Text(7),  # type: ignore[arg-type]
    },
    "retrieval": {
        "one document": lambda: retrieval.Corpus("one", documents("A single short text.")),
        "duplicates": lambda: retrieval.Corpus("same", documents(*["the same text"] * 3)),
        "punctuation": lambda: retrieval.Corpus("marks", documents("!!! ???", "…", "🙂")),
        "no documents": lambda: retrieval.Corpus("none", ()),
        "empty document": lambda: retrieval.Corpus("blank", documents("a", " ")),
    },
}


def sound(tab, result, given):
    """Assert what a valid result of each family is, beyond what its own type refuses."""
    if tab == "speech":
        assert (result.bounds >= 0).all() and (result.bounds <= given.seconds + 1e-6).all()
        assert all(np.isfinite(t.values).all() for t in result.traces)
    elif tab == "vision":
        assert np.isfinite(result.features).all() and np.isfinite(result.prediction.disparity).all()
        assert result.tokens[-1] == len(result.features) and result.macs > 0
        for stage in result.stages:
            assert np.allclose(np.asarray(stage.matrix().sum(axis=1)).ravel(), 1)
    elif tab == "tokenization":
        assert b"".join(result.pieces) == given.utf8
        assert all(0 <= i < result.vocabulary for i in result.ids)
    else:
        for query in ("short text", "zzzz", "🙂", "the the the"):
            ranking = result.search(query, 2)
            assert len(ranking.ids) == len(ranking.scores) == len(set(ranking.ids)) <= 2
            assert np.isfinite(ranking.scores).all()
            assert list(ranking.scores) == sorted(ranking.scores, reverse=True)
        with pytest.raises(InputError):
            result.search("", 2)


@pytest.mark.parametrize(("tab", "kind", "name"), EVERY, ids=str)
def test_difficult_input_gives_an_input_error_or_a_valid_result(tab, kind, name, models):
    method = family(tab, kind).create(name)
    for title, make in HARD[tab].items():
        try:
            given = make()
            result = method(given, models)
        except InputError as error:
            assert len(str(error)) > 20, f"{title}: the message must say what fits and what to do"
            continue
        if kind == "method":
            sound(tab, result, given)
        else:
            assert isinstance(result, tuple) and result


@pytest.mark.parametrize(("tab", "kind", "name"), EVERY, ids=str)
def test_the_check_measures_something(tab, kind, name, models):
    cls = family(tab, kind)[name]
    finding = cls.check(models)
    assert isinstance(finding, Finding)
    assert any(c.isdigit() for c in finding.measured), finding
    assert finding.on and finding.model and finding.paper


@pytest.mark.parametrize(("tab", "kind", "name"), EVERY, ids=str)
def test_cards_are_complete_and_every_method_has_a_test_of_its_name(tab, kind, name):
    cls = family(tab, kind)[name]
    for field in ("title", "authors", "url", "claim", "figure", "differs"):
        assert getattr(cls.card, field).strip(), f"{name}: the card's {field} is empty"
    assert cls.card.url.startswith("https://") and 1940 <= cls.card.year <= 2030
    folder = TESTS / tab / ("labs" if kind == "lab" else "")
    assert (folder / f"test_{name}.py").is_file(), f"{folder.name} has no test_{name}.py"
    if kind == "lab":
        assert len(cls.opening) == 3 and all(s.strip().endswith((".", "?")) for s in cls.opening)
