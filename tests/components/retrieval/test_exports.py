import csv
import io
import json

import pytest

from components.retrieval import Corpus, Document, Ranking
from components.retrieval.exports import as_csv, as_json, trec_run


@pytest.fixture
def ranking():
    return Ranking(("ship", "cat"), (2.5, 1.25), 3.0, 100.0, 5.0)


def test_trec_run_has_six_columns_a_hit(ranking):
    lines = trec_run({"q 1": ranking, "q2": ranking}, "late interaction").splitlines()
    assert lines[0] == "q_1 Q0 ship 1 2.500000 late_interaction"
    assert [line.split()[:4] for line in lines[1:3]] == [["q_1", "Q0", "cat", "2"], ["q2", "Q0", "ship", "1"]]
    assert all(len(line.split()) == 6 for line in lines)


def test_json_and_csv_hold_the_same_hits(toy, ranking):
    query = toy.queries["q3"]
    whole = json.loads(as_json(toy, query, {"dense": ranking}))
    assert whole["methods"]["dense"] == {"milliseconds": 3.0, "bytes_per_document": 100.0}
    first = whole["hits"][0]
    assert (first["document"], first["rank"], first["normalised"], first["grade"]) == ("ship", 1, 0.5, 1)
    read = list(csv.DictReader(io.StringIO(as_csv(toy, query, {"dense": ranking}))))
    assert [r["document"] for r in read] == [h["document"] for h in whole["hits"]]
    assert json.loads(as_json(toy, "other", {"dense": ranking}))["hits"][0]["grade"] is None


def test_cells_do_not_run_as_formulas(ranking):
    corpus = Corpus("F", (Document("ship", "=1+1"), Document("cat", "fine", "@title")))
    read = list(csv.DictReader(io.StringIO(as_csv(corpus, "q", {"dense": ranking}))))
    assert read[0]["text"] == "'=1+1" and read[1]["title"] == "'@title"
