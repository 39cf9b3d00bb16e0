import numpy as np
import pytest

from components.errors import InputError
from components.retrieval import Corpus, Document
from components.retrieval.labs.token_evidence import TokenEvidence

CORPUS = Corpus(
    "T", (Document("a", "The cat sleeps."), Document("b", "A ship sails.")), {"q": "a sleeping cat"}
)


def test_panels_tell_what_each_token_chose(models):
    heat, table, strip, bars = TokenEvidence()(CORPUS, models)
    assert [row[0] for row in table.rows] == ["a", "sleeping", "cat"]
    assert table.rows[2][1] == "cat" and table.rows[2][3] == "same"
    assert strip.pieces == ("the", "cat", "sleeps", ".")
    assert strip.weights.sum() == pytest.approx(1)
    assert sum(bars.values.values()) == pytest.approx(sum(row[2] for row in table.rows))
    assert heat.values.shape == (len(heat.rows), len(heat.columns))
    assert np.isclose(heat.values.max(axis=1).sum(), sum(bars.values.values()))


def test_without_queries_the_opening_words_ask(models):
    bare = Corpus("T", CORPUS.documents)
    assert TokenEvidence(query=2)(bare, models)[1].rows[1][0] == "ship"


def test_out_of_range_is_refused(models):
    with pytest.raises(InputError, match="1 queries"):
        TokenEvidence(query=2)(CORPUS, models)
    with pytest.raises(InputError, match="2 hits"):
        TokenEvidence(rank=3)(CORPUS, models)


def test_check_measures_rare_against_frequent(models):
    found = TokenEvidence.check(models)
    assert "rare" in found.measured and "queries" in found.on
