"""A corpus in MiniLM's vectors, encoded once for all methods that need it."""

import time
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from components.errors import InputError
from components.models import ModelStore
from components.models.encode import Encoding, MiniLM
from components.retrieval import Corpus, Index, Match, Ranking

MOST_TOKENS = 150_000  # 230 MB of float32 states


@dataclass(frozen=True, eq=False)
class Encoded:
    """The encoding of a corpus and the seconds it took; without token states where the corpus is large."""

    means: NDArray[np.float32]
    whole: Encoding | None
    seconds: float

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self.whole.nbytes if self.whole else int(self.means.nbytes)

    def states(self) -> Encoding:
        """Return the token states; refused where the corpus is too large for them."""
        if self.whole is None:
            raise InputError(
                f"The corpus has more than {MOST_TOKENS:,} tokens, too many to keep a vector of each; "
                "choose a method with one vector a document, or fewer documents."
            )
        return self.whole


def encoded(corpus: Corpus, models: ModelStore) -> Encoded:
    """Return the corpus encoded by MiniLM, remembered by its digest; reports progress."""

    def make() -> Encoded:
        minilm: MiniLM = models.get("minilm")
        texts = [document.full for document in corpus.documents]
        started = time.perf_counter()
        if int(minilm.count(texts).sum()) > MOST_TOKENS:
            return Encoded(minilm.mean_vectors(texts), None, time.perf_counter() - started)
        whole = minilm.encode(texts)
        return Encoded(whole.means, whole, time.perf_counter() - started)

    return models.remember(("minilm", corpus.digest), make)


def warm(models: ModelStore) -> None:
    """Encode the built-in corpora ahead of the first query, in a few seconds a corpus."""
    from components.retrieval._corpora import TITLES, builtin

    for name in TITLES:
        encoded(builtin(name), models)


class EncodedIndex(Index):
    """What indexes over MiniLM's vectors share: the evidence of tokens and the vectors for a map."""

    def __init__(self, corpus: Corpus, minilm: MiniLM, means: NDArray[np.float32], special: bool) -> None:
        """Keep what all need; with `special`, [CLS] and [SEP] count in queries and evidence."""
        self.corpus = corpus
        self.minilm = minilm
        self.means = means
        self.special = special

    def encode(self, texts: list[str]) -> Encoding:
        """Return the encoding of texts as this index sees them."""
        found = self.minilm.encode(texts)
        return found if self.special else found.without_special()

    def match(self, query: str, document: str) -> Match:
        """Return the cosine of every query token's state with every document token's."""
        text = self.corpus.documents[self.corpus.place(document)].full
        pair = self.encode([query, text])
        similarity = pair.states_of(0) @ pair.states_of(1).T
        return Match(pair.tokens_of(0), pair.tokens_of(1), similarity, "cosine of token states")

    def vectors(self) -> NDArray[np.float32]:
        """Return the mean vector of every document (documents, 384)."""
        return self.means

    def query_vector(self, query: str) -> NDArray[np.float32]:
        """Return the mean vector of the query (384,)."""
        vector: NDArray[np.float32] = self.minilm.mean_vectors([query])[0]
        return vector


def ranked(
    corpus: Corpus,
    positions: Iterable[int],
    scores: Iterable[float],
    started: float,
    bytes_per_document: float,
) -> Ranking:
    """Return hits as a ranking, ties by id; `started` is the `perf_counter` of the call.

    Scores are rounded to six decimals: below that, equal texts differ by the batch in which they were
    encoded.
    """
    found = sorted(
        (-round(float(s), 6), corpus.documents[int(i)].id) for i, s in zip(positions, scores, strict=True)
    )
    spent = 1000 * (time.perf_counter() - started)
    return Ranking(tuple(i for _, i in found), tuple(-s for s, _ in found), spent, bytes_per_document)
