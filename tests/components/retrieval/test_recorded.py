import numpy as np
import pytest

from components.retrieval import Corpus, Document
from components.retrieval._recorded import place, record, recorded
from components.retrieval.bm25 import BM25
from components.retrieval.dense import Dense


@pytest.fixture
def made(toy, models, tmp_path):
    chosen, path = [Dense(), BM25()], tmp_path / "view.safetensors"
    indexes = [method(toy, models) for method in chosen]
    answers = [(index, index.search("sleeping cat", 5)) for index in indexes]
    record(toy, "sleeping cat", chosen, answers, path)
    return chosen, path, answers


def test_a_recording_gives_back_what_was_recorded(toy, made):
    chosen, path, answers = made
    found = recorded(toy, "sleeping cat", chosen, path)
    for (index, ranking), again in zip(answers, found, strict=True):
        assert again.search("sleeping cat", 5).ids == ranking.ids
        assert again.ranking.scores == ranking.scores and again.seconds == index.seconds
    dense = answers[0][0]
    np.testing.assert_allclose(found[0].vectors(), dense.vectors(), atol=1e-3)
    np.testing.assert_allclose(
        found[0].query_vector("sleeping cat"), dense.query_vector("sleeping cat"), atol=1e-3
    )
    best = answers[0][1].ids[0]
    np.testing.assert_array_equal(
        found[0].match("", best).similarity, dense.match("sleeping cat", best).similarity
    )
    assert found[0].match("", "bread") is None and found[1].vectors() is None
    assert found[0].search("sleeping cat", 2).ids == answers[0][1].ids[:2]


def test_it_is_of_one_corpus_query_and_set_of_methods(toy, made, tmp_path):
    chosen, path, _ = made
    other = Corpus("x", (Document("a", "b"),))
    assert recorded(other, "sleeping cat", chosen, path) is None
    assert recorded(toy, "another", chosen, path) is None
    assert recorded(toy, "sleeping cat", [Dense(), BM25(k1=0.5)], path) is None
    assert recorded(toy, "sleeping cat", chosen, tmp_path / "none") is None


def test_the_bundled_recording_fits_its_corpus(models):
    from components.retrieval._corpora import builtin
    from demos import _rankings, retrieval

    for source in ("english", "turkish"):
        corpus = builtin(source)
        query = _rankings.examples(corpus)[0]
        value = [{"method": name} for name in retrieval.OPENING]
        bench = _rankings.example(models, source, "", None, "guess", query, value)
        assert bench is not None, f"{place(source)} is not of this corpus: record it again"
        assert [ranking.ids[0] in corpus.position for _, _, ranking in bench.done] == [True] * 3
        assert _rankings.example(models, source, "", None, "guess", "another", value) is None
