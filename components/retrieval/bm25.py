"""BM25 with stemming, the lexical baseline."""

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.method import Card, Finding, knob
from components.models import ModelStore
from components.retrieval import Corpus, Index, Match, Ranking, Retriever, retrievers, usable_query
from components.retrieval._encoded import ranked
from components.retrieval._words import stems, words


class BM25Index(Index):
    """Eager sparse scores: for each stem the documents that hold it, with its weight in each."""

    def __init__(self, corpus: Corpus, k1: float, b: float) -> None:
        """Stem and count the corpus."""
        import bm25s

        started = time.perf_counter()
        self.corpus = corpus
        self.engine: Any = bm25s.BM25(k1=k1, b=b, method="lucene")
        documents = [stems(d.full, corpus.language) for d in corpus.documents]
        self.empty = not any(documents)  # nothing but signs: there is no word to find
        if not self.empty:
            self.engine.index(documents, show_progress=False)
        self.nbytes = 0 if self.empty else self._size()
        self.bytes_per_document = self.nbytes / len(corpus.documents)
        self.seconds = time.perf_counter() - started

    def _size(self) -> int:
        arrays = (self.engine.scores[name] for name in ("data", "indices", "indptr"))
        return int(sum(a.nbytes for a in arrays)) + sum(len(w.encode()) for w in self.engine.vocab_dict)

    def weights(self, terms: list[str]) -> NDArray[np.float32]:
        """Return the sum of the terms' weights in every document (documents,); unknown ones weigh 0."""
        known = [] if self.empty else [t for t in terms if t in self.engine.vocab_dict]
        if not known:
            return np.zeros(len(self.corpus.documents), dtype=np.float32)
        scores: NDArray[np.float32] = self.engine.get_scores(known)
        return scores

    def search(self, query: str, k: int = 10) -> Ranking:
        """Return the best documents that share a stem with the query."""
        started = time.perf_counter()
        scores = self.weights(stems(usable_query(query), self.corpus.language))
        found = ranked(
            self.corpus, np.flatnonzero(scores), scores[scores != 0], started, self.bytes_per_document
        )
        return replace(found, ids=found.ids[:k], scores=found.scores[:k])

    def match(self, query: str, document: str) -> Match:
        """Return the BM25 weight of each query word where the document has its stem, 0 elsewhere."""
        place, language = self.corpus.place(document), self.corpus.language
        text = self.corpus.documents[place].full
        terms, own = stems(usable_query(query), language), np.array(stems(text, language), dtype=object)
        values = np.zeros((len(terms), len(own)), dtype=np.float32)
        for row, term in enumerate(terms):
            values[row, own == term] = self.weights([term])[place]
        return Match(tuple(words(query, language)), tuple(words(text, language)), values, "BM25 weight")


@retrievers.add
@dataclass(frozen=True)
class BM25(Retriever):
    """Σ over query words of idf · tf / (tf + k1 (1 − b + b · length / mean length))."""

    card = Card(
        title="BM25",
        authors="Robertson et al.",
        year=1994,
        url="https://arxiv.org/abs/2104.08663",
        claim="Without training, BM25 ranks better than a dense model outside its training domain.",
        figure="BEIR (Thakur et al. 2021): on the average of 18 sets BM25 beats DPR and ANCE",
        differs="bm25s with Snowball stems, Turkish İ/ı lower-casing and no stop words; the check asks "
        "an English model and BM25 about Turkish.",
    )
    k1: float = knob(
        1.2, 0.0, 3.0, 0.1, "k1", help="how late a repeated word stops counting more; 0: at once"
    )
    b: float = knob(0.75, 0.0, 1.0, 0.05, "b", help="how much long documents are held back")

    def __call__(self, corpus: Corpus, models: ModelStore) -> BM25Index:
        """Return the corpus indexed, remembered by its digest and the knobs."""
        return models.remember(
            ("bm25", corpus.digest, self.k1, self.b), lambda: BM25Index(corpus, self.k1, self.b)
        )

    @classmethod
    def check(cls, models: ModelStore) -> Finding:
        """Compare with MiniLM's mean vector on the Turkish corpus."""
        from components.retrieval._evaluation import compare
        from components.retrieval.dense import Dense

        return compare(Dense(), cls(), "turkish", models, cls.card.figure)
