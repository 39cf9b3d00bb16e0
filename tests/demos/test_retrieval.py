import json
from pathlib import Path

import pytest
from gradio_client.exceptions import AppError

from components.errors import InputError
from components.plots.palette import DIMMED
from components.retrieval import Corpus, Document
from components.retrieval._corpora import builtin
from components.retrieval.bm25 import BM25
from components.retrieval.dense import Dense
from demos import _hits, _rankings

TEXT = (
    "The cat sleeps on the sofa.\nA ship crossed the ocean.\nBread is baked from flour.\n"
    '<b>bold</b> & "quoted" cat'
)

# The server's own thread leaves its loop and sockets to the garbage collector when it stops
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture(scope="module")
def bench(models):
    corpus = _rankings.corpus_of("own", TEXT, None, "english", models)
    return _rankings.search_all(corpus, "cat", [BM25(), Dense()], models)


def test_lists_carry_ids_scores_and_escaped_text(bench):
    page = _hits.lists_of(bench)
    assert page.count("data-piece='d:0'") == 2
    assert "<b>bold" not in page and "&lt;" in page
    assert "<mark>cat</mark>" in page
    assert "relevant" not in page  # nobody judged this query


def test_relevance_is_marked_by_a_sign_where_it_is_known(models):
    corpus = builtin("english")
    query = next(q for q in corpus.judgements if q in corpus.queries)
    bench = _rankings.search_all(corpus, corpus.queries[query], [BM25()], models)
    assert "✓ relevant" in _hits.lists_of(bench)
    assert "nDCG@10" in _rankings.numbers_of(bench)


def test_an_opened_document_shows_its_evidence(bench):
    chips, figure = _hits.opened(bench, 0, 1)
    assert chips.count("data-piece='t:") == len(figure.data[0].x) == 7
    chips, figure = _hits.opened(bench, None, 0)  # the best hit
    assert "cat" in chips and figure.data[0].colorbar.title.text == "BM25 weight"
    assert "no ranking" in _hits.opened(bench, 0, 5)[0]


def test_a_method_that_refuses_leaves_the_others(models, monkeypatch):
    def refuse(self, corpus, models):
        raise InputError("Too <much>.")

    monkeypatch.setattr(Dense, "__call__", refuse)
    corpus = Corpus("x", (Document("a", "a cat"),))
    bench = _rankings.search_all(corpus, "cat", [Dense(), BM25()], models)
    assert "Too &lt;much&gt;." in _hits.lists_of(bench) and "data-piece='d:0'" in _hits.lists_of(bench)
    assert "Too &lt;much&gt;." in _rankings.numbers_of(bench)
    assert [slot for slot, _, _ in bench.done] == [1]
    assert _rankings.records(bench, 3)[0]["refused"] == "Too <much>."


def test_the_map_holds_every_document_and_the_query(bench):
    points = _rankings.map_of(bench)
    assert points.ids == ("d:0", "d:1", "d:2", "d:3", "q")
    assert points.names[points.series[-1]] == "query"
    assert points.names[points.series[0]] == "found by several"
    assert points.names[points.series[1]] == "found by Dense: mean vector only"
    assert len(points.colours) == len(points.names) and DIMMED in points.colours
    assert points.vectors.shape == (5, 384)


def test_evaluation_ends_with_figures(models):
    documents = (Document("a", "A cat sleeps."), Document("b", "A ship sails."))
    corpus = Corpus("x", documents, {"q": "cat", "r": "ship"}, {"q": {"a": 1}, "r": {"b": 1}})
    bench = _rankings.search_all(corpus, "cat", [BM25(), Dense()], models)
    seen = [(state, _rankings.quality_of(state), state.over) for state in _rankings.evaluations(bench)]
    assert [over for _, _, over in seen] == [False, False, False, True]
    assert "Dense: mean vector: 1 of 2 queries" in seen[2][1]
    assert "All 2 judged queries" in seen[3][1]
    bars, _ = _rankings.quality_figures(seen[3][0])
    assert list(bars.data[0].y) == [1, 1, 1]
    with pytest.raises(InputError, match="no judged"):
        _rankings.evaluations(_rankings.search_all(Corpus("y", documents), "cat", [BM25()], models))


def test_files_are_written(bench):
    names = sorted(Path(p).name for p in _rankings.files_of(bench))
    assert names == ["1-bm25.trec", "2-dense.trec", "hits.csv", "hits.json"]


def test_the_endpoint_ranks_own_text(client):
    found = client.predict(
        "cat", "own", [{"method": "bm25", "knobs": {"k1": 1.0}}], TEXT, 5, api_name="/retrieve"
    )
    assert found[0]["method"] == "bm25" and found[0]["knobs"]["k1"] == 1.0
    assert [hit["document"] for hit in found[0]["hits"]] == ["d4", "d1"]
    assert json.dumps(found)


def test_the_endpoint_searches_the_built_in_corpus(client):
    found = client.predict(
        "What causes a rainbow?", "english", [{"method": "bm25"}], "", 3, api_name="/retrieve"
    )
    assert len(found[0]["hits"]) == 3


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("", "english", None, "", 3), "query is empty"),
        (("x" * 2001, "english", None, "", 3), "2,001 characters"),
        (("cat", "nowhere", None, "", 3), "no built-in corpus"),
        (("cat", "own", None, " ", 3), "text is empty"),
        (("cat", "own", [{"method": "<b>"}], "a", 3), "no method"),
        (("cat", "own", [{"method": "bm25", "knobs": {"k1": 99}}], "a", 3), "out of range"),
    ],
)
def test_bad_requests_get_one_sentence(client, arguments, reason):
    with pytest.raises(AppError, match=reason):
        client.predict(*arguments, api_name="/retrieve")
