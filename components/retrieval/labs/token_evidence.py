"""Why a document is found: the best match of every query token."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from components.errors import InputError
from components.method import Bars, Card, Finding, HeatMap, Panel, Table, TokenStrip, knob
from components.models import ModelStore
from components.numerics.late_interaction import best_matches
from components.numerics.ranking_scores import paired_bootstrap
from components.retrieval import Corpus, Match, RetrievalLab, labs
from components.retrieval._corpora import builtin
from components.retrieval._encoded import encoded
from components.retrieval.late_interaction import LateInteraction

OPENING_WORDS = 12  # of a document that stand for a query where the corpus has none


@labs.add
@dataclass(frozen=True)
class TokenEvidence(RetrievalLab):
    """MaxSim taken apart: which document token each query token chose, and how rare it is."""

    card = Card(
        title="Why a document is found: token evidence",
        authors="Formal et al.",
        year=2020,
        url="https://arxiv.org/abs/2012.09650",
        claim="Late interaction matches rare query words by the same word more often than frequent ones.",
        figure="ColBERT on TREC-DL: exact matches matter more the higher a term's IDF (no single number)",
        differs="untuned MiniLM instead of ColBERT; a word's chance to be matched by itself is counted where "
        "the document holds it, word pieces apart.",
    )
    opening = (
        "MaxSim adds up, for every token of the query, its best similarity in the document.",
        "Choose a query by number and a rank, and follow each query token to the token it chose.",
        "Look for tokens that choose a different word of the same meaning, and for those that choose badly.",
    )
    query: int = knob(1, 1, 2000, 1, "query (number)", help="counted in the corpus's order")
    rank: int = knob(1, 1, 20, 1, "hit (rank)")

    def __call__(self, corpus: Corpus, models: ModelStore) -> tuple[Panel, ...]:
        """Return the matched tokens as heat map and table, the document shaded, the contributions."""
        text = _query(corpus, self.query)
        index = LateInteraction()(corpus, models)
        ranking = index.search(text, self.rank)
        if len(ranking.ids) < self.rank:
            raise InputError(f"The ranking has {len(ranking.ids)} hits; choose a rank up to that.")
        found = index.match(text, ranking.ids[-1])
        best, similarity = best_matches(found.similarity)
        columns = np.unique(best)
        share = np.bincount(best, similarity, len(found.document_tokens)) / max(float(similarity.sum()), 1e-9)
        rows = tuple(
            (q, found.document_tokens[j], float(s), "same" if q == found.document_tokens[j] else "other")
            for q, j, s in zip(found.query_tokens, best, similarity, strict=True)
        )
        return (
            HeatMap(
                f"Query tokens against the tokens they chose in {ranking.ids[-1]}",
                "document token (place)",
                "query token",
                found.similarity[:, columns],
                tuple(f"{i + 1} {t}" for i, t in enumerate(found.query_tokens)),
                tuple(f"{j + 1} {found.document_tokens[j]}" for j in columns),
                unit="cosine",
            ),
            Table("What every query token chose", ("query token", "document token", "cosine", "word"), rows),
            TokenStrip(
                "The document, shaded by its tokens' share of the score", found.document_tokens, share
            ),
            Bars("Contribution to the score", "cosine", _contributions(found)),
        )

    @classmethod
    def check(cls, models: ModelStore) -> Finding:
        """Compare rare and frequent query tokens that the relevant document holds, on the English corpus."""
        corpus = builtin("english")
        rare, frequent, pairs = _exact_shares(corpus, models)
        gain, low, high = paired_bootstrap([f for f, _ in pairs], [r for _, r in pairs])
        return Finding(
            f"matched by itself: {rare:.1%} of rare and {frequent:.1%} of frequent tokens; "
            f"per query {gain:+.2f}, 95 % interval {low:+.2f} to {high:+.2f}",
            cls.card.figure,
            low > 0,
            f"{corpus.title}: {len(pairs)} queries with both kinds",
            "all-MiniLM-L6-v2",
        )


def _query(corpus: Corpus, number: int) -> str:
    """Return query `number` (from 1); without queries, the opening words of that document."""
    texts = list(corpus.queries.values())
    if not texts:
        texts = [" ".join(d.full.split()[:OPENING_WORDS]) for d in corpus.documents]
    if number > len(texts):
        raise InputError(f"The corpus has {len(texts)} queries; choose a number up to that.")
    return texts[number - 1]


def _contributions(found: Match) -> dict[str, float]:
    _, similarity = best_matches(found.similarity)
    return {
        f"{i + 1} {t}": float(s) for i, (t, s) in enumerate(zip(found.query_tokens, similarity, strict=True))
    }


def _exact_shares(corpus: Corpus, models: ModelStore) -> tuple[float, float, list[tuple[float, float]]]:
    """Return how often rare and frequent tokens match themselves, overall, and (frequent, rare) a query.

    Rare is a token in fewer documents than the median of all tokens looked at.
    """
    index, whole = LateInteraction()(corpus, models), encoded(corpus, models).states()
    holders = Counter(t for i in range(len(corpus.documents)) for t in set(whole.tokens_of(i)))
    seen: list[list[tuple[int, bool]]] = []  # for each query (documents with the token, matched by itself)
    for query, judged in corpus.judgements.items():
        document = max(judged, key=lambda d: judged[d])
        found = index.match(corpus.queries[query], document)
        best, _ = best_matches(found.similarity)
        own = [
            (holders[token], found.document_tokens[j] == token)
            for token, j in zip(found.query_tokens, best, strict=True)
            if token in found.document_tokens
        ]
        seen.append(own)
    border = float(np.median([n for own in seen for n, _ in own]))
    split = [([e for n, e in own if n >= border], [e for n, e in own if n < border]) for own in seen]
    frequent, rare = ([e for parts in split for e in parts[side]] for side in (0, 1))
    pairs = [(float(np.mean(f)), float(np.mean(r))) for f, r in split if f and r]
    return float(np.mean(rare)), float(np.mean(frequent)), pairs
