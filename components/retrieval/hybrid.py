"""Hybrid: words and meaning, two rankings made one."""

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from components.method import Card, Finding, choice, knob
from components.models import ModelStore
from components.numerics.fusion import reciprocal_rank_fusion
from components.retrieval import Corpus, Index, Match, Ranking, Retriever, retrievers
from components.retrieval.bm25 import BM25
from components.retrieval.dense import Dense
from components.retrieval.late_interaction import LateInteraction

DEPTH = 100  # documents of each ranking that are fused, or as many as are asked for


class HybridIndex(Index):
    """Two indexes of one corpus."""

    def __init__(self, words: Index, vectors: Index, k: float) -> None:
        """`k` is that of reciprocal rank fusion."""
        self.parts = (words, vectors)
        self.k = k
        self.bytes_per_document = sum(part.bytes_per_document for part in self.parts)
        self.seconds = sum(part.seconds for part in self.parts)

    def search(self, query: str, k: int = 10) -> Ranking:
        """Ask both and fuse."""
        started = time.perf_counter()
        rankings = [part.search(query, max(DEPTH, k)).ids for part in self.parts]
        fused = reciprocal_rank_fusion(rankings, self.k)
        best = sorted(fused, key=lambda document: (-fused[document], document))[:k]
        spent, ceiling = 1000 * (time.perf_counter() - started), len(self.parts) / (self.k + 1)
        return Ranking(tuple(best), tuple(fused[d] for d in best), spent, self.bytes_per_document, ceiling)

    def match(self, query: str, document: str) -> Match | None:
        """Return the evidence of the vectors' side."""
        return self.parts[1].match(query, document)

    def vectors(self) -> NDArray[np.float32] | None:
        """Return the vectors' side's."""
        return self.parts[1].vectors()

    def query_vector(self, query: str) -> NDArray[np.float32] | None:
        """Return the vectors' side's."""
        return self.parts[1].query_vector(query)


@retrievers.add
@dataclass(frozen=True)
class Hybrid(Retriever):
    """Σ over BM25 and a vector method of 1 / (k + rank)."""

    card = Card(
        title="Hybrid: BM25 + vectors",
        authors="Cormack et al. (reciprocal rank fusion)",
        year=2009,
        url="https://doi.org/10.1145/1571941.1572114",
        claim="Rankings fused by their reciprocal ranks are better than any of the rankings alone.",
        figure="better than each single system on TREC collections and LETOR 3 (abstract, no single number)",
        differs="two rankings instead of dozens, each to depth 100.",
    )
    vectors: str = choice("late interaction", ("late interaction", "mean vector"), "fused with BM25")
    k: float = knob(
        60, 0, 200, 1, "k", help="0: first places decide; large: every place counts much the same"
    )

    def __call__(self, corpus: Corpus, models: ModelStore) -> HybridIndex:
        """Return both indexes of the corpus."""
        method: Retriever = LateInteraction() if self.vectors == "late interaction" else Dense()
        return HybridIndex(BM25()(corpus, models), method(corpus, models), self.k)

    @classmethod
    def check(cls, models: ModelStore) -> Finding:
        """Compare with both parts on both built-in corpora; it must win on each."""
        from components.retrieval._corpora import builtin
        from components.retrieval._evaluation import evaluate

        tried: dict[str, Retriever] = {"fused": cls(), "BM25": BM25(), "MaxSim": LateInteraction()}
        measured, queries, holds = [], [], True
        for corpus in map(builtin, ("english", "turkish")):
            scores = {name: evaluate(method(corpus, models), corpus) for name, method in tried.items()}
            means = {name: found.mean("ndcg") for name, found in scores.items()}
            holds &= means["fused"] >= max(means.values())
            measured.append(", ".join(f"{value:.3f} ({name})" for name, value in means.items()))
            queries.append(f"{corpus.title}: {len(scores['fused'].queries)} queries")
        figures = "nDCG@10 " + "; ".join(measured)
        return Finding(figures, cls.card.figure, holds, "; ".join(queries), "BM25 and all-MiniLM-L6-v2")
