"""Rankings against judgements: per query, over all queries of a corpus, and one method against another."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from components.errors import InputError
from components.method import Finding
from components.models import ModelStore
from components.models.progress import report
from components.numerics.ranking_scores import (
    average_precision,
    ndcg,
    paired_bootstrap,
    recall,
    reciprocal_rank,
)
from components.retrieval import Corpus, Index, Ranking, Retriever
from components.retrieval._corpora import builtin

DEPTH = 1000  # as trec_eval cuts a run
MEASURES = {"ndcg": "nDCG@10", "ap": "MAP", "recall": "Recall@100", "rr": "MRR@10"}


def judge(ranking: Ranking, judged: dict[str, int] | None) -> dict[str, float]:
    """Return the measures of one ranking, none where the query has no judgements."""
    if not judged or max(judged.values()) <= 0:
        return {}
    return {
        "ndcg": ndcg(ranking.ids, judged),
        "ap": average_precision(ranking.ids, judged),
        "recall": recall(ranking.ids, judged),
        "rr": reciprocal_rank(ranking.ids, judged),
    }


@dataclass(eq=False)
class Evaluation:
    """The measures of every query so far, by query id, and each query's milliseconds."""

    queries: dict[str, dict[str, float]] = field(default_factory=dict)
    milliseconds: list[float] = field(default_factory=list)

    def mean(self, measure: str) -> float:
        """Return the mean of one of `MEASURES` over the queries."""
        return float(np.mean([scores[measure] for scores in self.queries.values()]))


def judged_queries(corpus: Corpus) -> list[str]:
    """Return the ids of the queries that have a relevant document; a corpus without any is refused."""
    found = [q for q in corpus.queries if max(corpus.judgements.get(q, {}).values(), default=0) > 0]
    if not found:
        raise InputError(
            "This corpus has no judged queries to evaluate on; choose a built-in corpus, "
            "or upload a BEIR folder as a zip with queries.jsonl and qrels.tsv."
        )
    return found


def progressively(index: Index, corpus: Corpus) -> Iterator[Evaluation]:
    """Yield the evaluation after every query, always the same object."""
    found = Evaluation()
    for query in judged_queries(corpus):
        try:
            ranking = index.search(corpus.queries[query], DEPTH)
        except InputError:  # an uploaded query that no method takes finds nothing
            ranking = Ranking((), (), 0.0, index.bytes_per_document)
        found.queries[query] = judge(ranking, dict(corpus.judgements[query]))
        found.milliseconds.append(ranking.milliseconds)
        yield found


def evaluate(index: Index, corpus: Corpus) -> Evaluation:
    """Return the evaluation over all judged queries; reports progress."""
    total, found = len(judged_queries(corpus)), Evaluation()
    for found in progressively(index, corpus):
        report(len(found.queries), total, "queries evaluated")
    return found


def compare(base: Retriever, other: Retriever, corpus_name: str, models: ModelStore, paper: str) -> Finding:
    """Return whether `other` beats `base` in nDCG@10 on a built-in corpus by a paired bootstrap at 95 %."""
    corpus = builtin(corpus_name)
    first, second = (evaluate(method(corpus, models), corpus) for method in (base, other))
    pairs = [(first.queries[q]["ndcg"], second.queries[q]["ndcg"]) for q in first.queries]
    gain, low, high = paired_bootstrap([a for a, _ in pairs], [b for _, b in pairs])
    return Finding(
        f"nDCG@10 {second.mean('ndcg'):.3f} ({type(other).card.title}) against {first.mean('ndcg'):.3f} "
        f"({type(base).card.title}): {gain:+.3f}, 95 % interval {low:+.3f} to {high:+.3f}",
        paper,
        low > 0,
        f"{corpus.title}: {len(pairs)} queries, {len(corpus.documents)} documents",
        "all-MiniLM-L6-v2 (English)",
    )
