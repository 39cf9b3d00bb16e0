import numpy as np

from components.retrieval.dense import Dense
from tests.components.retrieval._contract import check_contract


def test_contract(models, toy, single, hostile):
    check_contract(Dense(), models, toy, single, hostile)


def test_scores_are_cosines_of_mean_vectors(toy, models):
    index, minilm = Dense()(toy, models), models.get("minilm")
    texts = minilm.mean_vectors([d.full for d in toy.documents])
    for query in ("sleeping cat", "İstanbul", "🙂"):
        ranking = index.search(query, 10)
        expected = {
            d.id: float(v @ minilm.mean_vectors([query])[0])
            for d, v in zip(toy.documents, texts, strict=True)
        }
        for document, score in zip(ranking.ids, ranking.scores, strict=True):
            np.testing.assert_allclose(score, expected[document], atol=1e-5)
    np.testing.assert_allclose(index.vectors(), texts, atol=1e-5)


def test_finds_meaning_without_shared_words(toy, models):
    assert Dense()(toy, models).search("vessel that sailed over the sea", 1).ids == ("ship",)


def test_bytes_are_those_of_the_vectors(toy, models):
    assert Dense()(toy, models).bytes_per_document == 384 * 4


def test_check_measures_means_against_cls(models):
    found = Dense.check(models)
    assert found.holds
    assert "CLS" in found.measured and "queries" in found.on
