import pytest

from components.errors import InputError
from components.retrieval import Corpus, Document
from components.retrieval.labs.query_difficulty import QueryDifficulty, overlap

DOCUMENTS = (Document("a", "The cat sleeps."), Document("b", "A ship sails."))
CORPUS = Corpus(
    "T", DOCUMENTS, {"q1": "cats sleeping", "q2": "feline rest"}, {"q1": {"a": 1}, "q2": {"a": 1, "b": 0}}
)


def test_overlap_counts_stems_in_relevant_documents():
    assert overlap(CORPUS, "q1") == 1.0
    assert overlap(CORPUS, "q2") == 0.0


def test_panels_show_each_query(models):
    scatter, words, bars, table = QueryDifficulty()(CORPUS, models)
    assert scatter.points[0] == pytest.approx([1, 1])
    assert scatter.points[1] == pytest.approx([0, 1])  # BM25 finds no word of it, MaxSim its meaning
    assert scatter.groups[1].startswith("better by Late")
    assert words.points[1] == pytest.approx([0, 1])
    assert bars.values["nDCG@10, BM25"] == pytest.approx(0.5)
    assert {row[0] for row in table.rows} == {"cats sleeping", "feline rest"}


def test_unjudged_corpora_are_refused(models):
    with pytest.raises(InputError, match="judged"):
        QueryDifficulty()(Corpus("T", DOCUMENTS), models)


def test_check_finds_that_fewer_shared_words_mean_more_gain(models):
    assert QueryDifficulty.check(models).holds
