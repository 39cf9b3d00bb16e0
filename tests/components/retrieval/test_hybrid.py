import pytest

from components.numerics.fusion import reciprocal_rank_fusion
from components.retrieval.bm25 import BM25
from components.retrieval.dense import Dense
from components.retrieval.hybrid import Hybrid
from components.retrieval.late_interaction import LateInteraction
from tests.components.retrieval._contract import check_contract


@pytest.mark.parametrize(
    ("vectors", "partner"), [("late interaction", LateInteraction), ("mean vector", Dense)]
)
@pytest.mark.parametrize("k", [0, 60])
def test_fuses_both_rankings(toy, models, vectors, partner, k):
    query = "cat on the ocean"
    parts = [method()(toy, models).search(query, 100).ids for method in (BM25, partner)]
    expected = reciprocal_rank_fusion(parts, k)
    ranking = Hybrid(vectors=vectors, k=k)(toy, models).search(query, 10)
    assert dict(zip(ranking.ids, ranking.scores, strict=True)) == pytest.approx(expected)


def test_contract(models, toy, single, hostile):
    check_contract(Hybrid(), models, toy, single, hostile)
    check_contract(Hybrid(vectors="mean vector", k=0), models, toy, single, hostile)


def test_costs_both(toy, models):
    parts = [method()(toy, models).bytes_per_document for method in (BM25, LateInteraction)]
    assert Hybrid()(toy, models).bytes_per_document == sum(parts)


def test_check_names_all_three(models):
    found = Hybrid.check(models)
    assert all(name in found.measured for name in ("fused", "BM25", "MaxSim"))
