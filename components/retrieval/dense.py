"""One vector a text: the mean of MiniLM's token states."""

import time
from dataclasses import dataclass, replace

import numpy as np

from components.method import Card, Finding
from components.models import ModelStore
from components.models.encode import MiniLM
from components.models.index import Collection, collect
from components.retrieval import Corpus, Ranking, Retriever, retrievers, usable_query
from components.retrieval._encoded import Encoded, EncodedIndex, encoded, ranked


class DenseIndex(EncodedIndex):
    """A collection of mean vectors; token evidence illustrates the vectors, it makes no score."""

    def __init__(self, corpus: Corpus, minilm: MiniLM, made: Encoded, url: str) -> None:
        """Put the means into a collection."""
        super().__init__(corpus, minilm, made.means, special=False)
        started = time.perf_counter()
        self.collection: Collection = collect(f"minilm-mean-{corpus.digest[:32]}", dense=made.means, url=url)
        self.nbytes = self.collection.nbytes
        self.bytes_per_document = self.nbytes / len(corpus.documents)
        self.seconds = made.seconds + time.perf_counter() - started

    def search(self, query: str, k: int = 10) -> Ranking:
        """Return the documents whose vectors have the largest cosine with the query's."""
        started = time.perf_counter()
        vector = self.query_vector(usable_query(query))
        positions, scores = self.collection.search_dense(vector, k)
        return replace(ranked(self.corpus, positions, scores, started, self.bytes_per_document), ceiling=1.0)


@retrievers.add
@dataclass(frozen=True)
class Dense(Retriever):
    """Cosine of L2-normalised mean vectors."""

    card = Card(
        title="Dense: mean vector",
        authors="Reimers and Gurevych",
        year=2019,
        url="https://arxiv.org/abs/1908.10084",
        claim="The mean of the token states is a better vector for a text than the state of [CLS].",
        figure="STS benchmark, Spearman 80.78 (mean) against 79.80 (CLS), trained on NLI, Table 6",
        differs="all-MiniLM-L6-v2 (English, 22.7 M parameters, trained with the mean); "
        "texts are cut at 256 word pieces.",
    )

    def __call__(self, corpus: Corpus, models: ModelStore) -> DenseIndex:
        """Return the corpus indexed, remembered by its digest."""
        made, minilm = encoded(corpus, models), models.get("minilm")
        return models.remember(
            ("dense", corpus.digest), lambda: DenseIndex(corpus, minilm, made, models.settings.qdrant_url)
        )

    @classmethod
    def check(cls, models: ModelStore) -> Finding:
        """Compare nDCG@10 of the means with that of the [CLS] states on the English corpus."""
        from components.numerics.ranking_scores import ndcg, paired_bootstrap
        from components.retrieval._corpora import builtin

        corpus = builtin("english")
        whole, minilm = encoded(corpus, models).states(), models.get("minilm")
        asked = [q for q in corpus.queries if corpus.judgements.get(q)]
        queries = minilm.encode([corpus.queries[q] for q in asked])
        ids = np.array([d.id for d in corpus.documents])
        scores = []
        for texts, documents in (
            (queries.first_states(), whole.first_states()),
            (queries.means, whole.means),
        ):
            orders = np.argsort(-(texts @ documents.T), axis=1, kind="stable")[:, :10]
            scores.append(
                [ndcg(list(ids[o]), corpus.judgements[q]) for q, o in zip(asked, orders, strict=True)]
            )
        gain, low, high = paired_bootstrap(scores[0], scores[1])
        return Finding(
            f"nDCG@10 {np.mean(scores[1]):.3f} (mean) against {np.mean(scores[0]):.3f} (CLS): "
            f"{gain:+.3f}, 95 % interval {low:+.3f} to {high:+.3f}",
            cls.card.figure,
            low > 0,
            f"{corpus.title}: {len(asked)} queries, {len(ids)} documents",
            "all-MiniLM-L6-v2",
        )
