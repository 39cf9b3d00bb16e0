"""Which queries need meaning, which need words."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from components.method import Bars, Card, Finding, Panel, Scatter, Table, choice
from components.models import ModelStore
from components.numerics.ranking_scores import spearman
from components.retrieval import Corpus, RetrievalLab, labs, retrievers
from components.retrieval._corpora import builtin
from components.retrieval._evaluation import MEASURES, Evaluation, evaluate, judged_queries
from components.retrieval._words import stems

METHODS = ("bm25", "dense", "late_interaction", "hybrid")


def overlap(corpus: Corpus, query: str) -> float:
    """Return the share of a query's stems that stand in at least one of its relevant documents."""
    wanted = set(stems(corpus.queries[query], corpus.language))
    relevant = [d for d, grade in corpus.judgements[query].items() if grade > 0 and d in corpus.position]
    texts = [corpus.documents[corpus.place(d)].full for d in relevant]
    found = {stem for text in texts for stem in stems(text, corpus.language)}
    return len(wanted & found) / len(wanted) if wanted else 0.0


@labs.add
@dataclass(frozen=True)
class QueryDifficulty(RetrievalLab):
    """nDCG@10 of every query by two methods, and what it has to do with shared words."""

    card = Card(
        title="Which queries need meaning, which need words",
        authors="Furnas et al.",
        year=1987,
        url="https://doi.org/10.1145/32206.32212",
        claim="People choose different words for one thing, so a search by words fails where a query "
        "shares few with its answer.",
        figure="two people choose the same word for an object with a probability below 0.20",
        differs="measured by the ranking: rank correlation between the share of query words in the relevant "
        "documents and the gain of MaxSim over BM25.",
    )
    opening = (
        "Methods fail on different queries: words find names and numbers, vectors find paraphrases.",
        "Choose two methods and look for the queries far from the diagonal.",
        "The second picture shows why: the fewer words a query shares, the more meaning helps.",
    )
    first: str = choice("bm25", METHODS, "across")
    second: str = choice("late_interaction", METHODS, "upwards")

    def __call__(self, corpus: Corpus, models: ModelStore) -> tuple[Panel, ...]:
        """Return both methods' scatter, their means, shared words against gain, and the extreme queries."""
        judged_queries(corpus)
        names = (self.first, self.second)
        both = [evaluate(retrievers.create(name)(corpus, models), corpus) for name in names]
        titles = [retrievers[name].card.title for name in names]
        queries = list(both[0].queries)
        scores = np.array([[e.queries[q]["ndcg"] for q in queries] for e in both]).T
        shared = np.array([overlap(corpus, q) for q in queries])
        labels, gain = tuple(corpus.queries[q] for q in queries), scores[:, 1] - scores[:, 0]
        sides = tuple(_side(g, *titles) for g in gain)
        return (
            Scatter("nDCG@10 of every query", titles[0], titles[1], scores, labels, sides),
            Scatter(
                f"Gain of {titles[1]} by words shared with the answer",
                "share of query words in relevant documents",
                "gain in nDCG@10",
                np.column_stack([shared, gain]),
                labels,
                sides,
            ),
            Bars("Mean over all queries", "score", _means(both, titles)),
            _extremes(labels, scores, shared, titles),
        )

    @classmethod
    def check(cls, models: ModelStore) -> Finding:
        """Correlate shared words with the gain of MaxSim over BM25 on the English corpus."""
        corpus = builtin("english")
        words, late = (
            evaluate(retrievers.create(n)(corpus, models), corpus) for n in ("bm25", "late_interaction")
        )
        shared = [overlap(corpus, q) for q in words.queries]
        gain = [late.queries[q]["ndcg"] - words.queries[q]["ndcg"] for q in words.queries]
        rho, low, high = spearman(shared, gain)
        return Finding(
            f"Spearman {rho:+.2f} between shared words and gain, 95 % interval {low:+.2f} to {high:+.2f}",
            cls.card.figure,
            high < 0,
            f"{corpus.title}: {len(shared)} queries, {len(corpus.documents)} documents",
            "BM25 and all-MiniLM-L6-v2",
        )


def _side(gain: float, first: str, second: str) -> str:
    if abs(gain) < 0.1:
        return "much the same"
    return f"better by {second if gain > 0 else first}"


def _means(both: list[Evaluation], titles: list[str]) -> dict[str, float]:
    return {
        f"{name}, {title}": found.mean(measure)
        for measure, name in MEASURES.items()
        for title, found in zip(titles, both, strict=True)
    }


def _extremes(labels: tuple[str, ...], scores: Any, shared: Any, titles: list[str], most: int = 6) -> Table:
    order = np.argsort(scores[:, 1] - scores[:, 0], kind="stable")
    chosen = list(dict.fromkeys([*order[:most], *order[-most:]]))
    rows = tuple((labels[i], float(scores[i, 0]), float(scores[i, 1]), float(shared[i])) for i in chosen)
    return Table("The queries that differ most", ("query", *titles, "words shared"), rows)
