import numpy as np
import pytest

from components.errors import InputError
from components.models import ModelStore
from components.retrieval import Corpus, Document, _encoded
from components.retrieval.dense import Dense
from components.retrieval.late_interaction import LateInteraction
from tests.components.retrieval._contract import check_contract


def by_loops(minilm, query, text, special):
    (_, q), (_, d) = minilm.token_states([query, text])
    if not special:
        q, d = q[1:-1], d[1:-1]
    return sum(max(float(a @ b) for b in d) for a in q), len(q)


@pytest.mark.parametrize("special", [False, True])
def test_scores_are_max_sim(toy, models, special):
    ranking = LateInteraction(special=special)(toy, models).search("sleeping cats", 10)
    assert len(ranking.ids) == len(toy.documents)
    for document, score in zip(ranking.ids, ranking.scores, strict=True):
        text = toy.documents[toy.place(document)].full
        expected, tokens = by_loops(models.get("minilm"), "sleeping cats", text, special)
        np.testing.assert_allclose(score, expected, rtol=1e-4)
        assert ranking.ceiling == tokens


def test_contract(models, toy, single, hostile):
    check_contract(LateInteraction(), models, toy, single, hostile)
    check_contract(LateInteraction(candidates=10, special=True), models, toy, single, hostile)


def test_candidates_are_the_nearest_by_mean_vector(models):
    animals = ("cat", "dog", "horse", "cow", "sheep", "goat")
    documents = [Document(f"{i}", f"The {a} number {i} walks.") for i, a in enumerate(animals * 4)]
    corpus = Corpus("Animals", tuple(documents))
    ranking = LateInteraction(candidates=10)(corpus, models).search("a goat", 24)
    assert set(ranking.ids) == set(Dense()(corpus, models).search("a goat", 10).ids)


def test_evidence_sums_to_the_score(toy, models):
    index = LateInteraction()(toy, models)
    ranking = index.search("sleeping cats", 3)
    for document, score in zip(ranking.ids, ranking.scores, strict=True):
        found = index.match("sleeping cats", document)
        np.testing.assert_allclose(found.similarity.max(axis=1).sum(), score, rtol=1e-4)
    assert "[CLS]" not in found.query_tokens


def test_bytes_are_those_of_the_token_vectors(single, models):
    tokens = len(models.get("minilm").token_states([single.documents[0].full])[0][0])
    held = LateInteraction(special=True)(single, models).bytes_per_document
    assert held == tokens * 384 * 4 + 384 * 4 + 2 * 8  # states, the mean, two offsets


def test_too_many_tokens_are_refused_and_dense_still_works(toy, monkeypatch):
    monkeypatch.setattr(_encoded, "MOST_TOKENS", 10)
    store = ModelStore()
    with pytest.raises(InputError, match="more than 10 tokens"):
        LateInteraction()(toy, store)
    assert Dense()(toy, store).search("sleeping cat", 1).ids[0] in ("cat", "twin")


def test_late_interaction_beats_the_mean_on_the_turkish_corpus(models):
    found = LateInteraction.check(models)
    assert found.holds, found.measured
