import pytest

from components.errors import InputError
from components.models.progress import listening
from components.retrieval import Corpus, Ranking
from components.retrieval._evaluation import evaluate, judge, judged_queries, progressively
from components.retrieval.dense import Dense


def test_measures_of_one_ranking():
    found = judge(Ranking(("x", "a"), (2.0, 1.0), 1.0, 1.0), {"a": 1})
    assert found == pytest.approx({"ndcg": 0.63093, "ap": 0.5, "recall": 1.0, "rr": 0.5}, abs=1e-5)
    assert judge(Ranking(("x",), (1.0,), 1.0, 1.0), None) == {}
    assert judge(Ranking(("x",), (1.0,), 1.0, 1.0), {"x": 0}) == {}


def test_all_queries_with_progress(toy, models):
    heard = []
    with listening(lambda done, total, what: heard.append((done, total, what))):
        found = evaluate(Dense()(toy, models), toy)
    assert found.mean("ndcg") == pytest.approx(1.0)
    assert heard[-1] == (3, 3, "queries evaluated")
    assert len(found.milliseconds) == 3


def test_it_can_stop_half_way(toy, models):
    steps = progressively(Dense()(toy, models), toy)
    assert len(next(steps).queries) == 1
    steps.close()


def test_a_query_that_cannot_be_asked_finds_nothing(toy, models):
    corpus = Corpus("x", toy.documents, {"q": "x" * 2001, "r": "cat"}, {"q": {"cat": 1}, "r": {"cat": 1}})
    found = evaluate(Dense()(corpus, models), corpus)
    assert found.queries["q"]["ndcg"] == 0 and found.queries["r"]["ndcg"] > 0


def test_a_corpus_without_judgements_is_refused(single):
    with pytest.raises(InputError, match="no judged queries"):
        judged_queries(single)
