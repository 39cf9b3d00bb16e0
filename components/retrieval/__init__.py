"""Retrieval: a corpus is indexed once by a method, then asked; a ranking tells why it is as it is."""

import hashlib
import importlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.errors import InputError
from components.method import Family, Lab, Method
from components.models import ModelStore

MOST_DOCUMENTS, LONGEST_DOCUMENT, LONGEST_QUERY = 20_000, 20_000, 2_000  # documents; characters


@dataclass(frozen=True)
class Document:
    """One document; its id is unique in the corpus."""

    id: str
    text: str
    title: str = ""

    @property
    def full(self) -> str:
        """Title and text, as they are indexed."""
        return f"{self.title}. {self.text}" if self.title else self.text


@dataclass(frozen=True)
class Corpus:
    """Documents, with queries {id: text} and judgements {query id: {document id: grade}} where known.

    `language` is "english" or "turkish" (it chooses the stemmer and the lower-casing).
    """

    title: str
    documents: tuple[Document, ...]
    queries: Mapping[str, str] = field(default_factory=dict, hash=False)
    judgements: Mapping[str, Mapping[str, int]] = field(default_factory=dict, hash=False)
    language: str = "english"

    def __post_init__(self) -> None:
        """Refuse an empty or oversized corpus, empty or oversized documents, and ids that occur twice."""
        if not 1 <= len(self.documents) <= MOST_DOCUMENTS:
            raise InputError(
                f"The corpus has {len(self.documents):,} documents; 1 to {MOST_DOCUMENTS:,} fit: "
                "give one a line."
            )
        seen: set[str] = set()
        for document in self.documents:
            if document.id in seen:
                raise InputError(f"The document id {document.id[:60]!r} occurs twice; give each its own.")
            seen.add(document.id)
            if not document.full.strip() or len(document.full) > LONGEST_DOCUMENT:
                raise InputError(
                    f"Document {document.id[:60]!r} has {len(document.full):,} characters; "
                    f"1 to {LONGEST_DOCUMENT:,} fit: split or drop it."
                )

    @cached_property
    def position(self) -> dict[str, int]:
        """Return the place of every document id."""
        return {document.id: i for i, document in enumerate(self.documents)}

    def place(self, document: str) -> int:
        """Return the place of one document id; an unknown id is refused."""
        if document not in self.position:
            raise InputError(f"The corpus has no document {document[:60]!r}; take an id out of a ranking.")
        return self.position[document]

    @cached_property
    def digest(self) -> str:
        """SHA-256 over language, ids and texts: the key of every index built from this corpus."""
        total = hashlib.sha256(self.language.encode())
        for document in self.documents:
            total.update(f"\0{document.id}\0{document.full}".encode())
        return total.hexdigest()


@dataclass(frozen=True, eq=False)
class Match:
    """The token evidence of one hit: similarity (query tokens, document tokens) and the tokens' texts.

    `quantity` says what the similarity is.
    """

    query_tokens: tuple[str, ...]
    document_tokens: tuple[str, ...]
    similarity: NDArray[np.float32]
    quantity: str = "cosine"


@dataclass(frozen=True, eq=False)
class Ranking:
    """Document ids by falling score; ties by id. `milliseconds` is the whole answer, query encoding included.

    Documents that a lexical method does not find at all are left out, so a ranking may be empty. `ceiling`
    is the largest score that can be reached (the number of query tokens for MaxSim, 1 for a cosine), where
    there is one: score / ceiling compares across queries.
    """

    ids: tuple[str, ...]
    scores: tuple[float, ...]
    milliseconds: float
    bytes_per_document: float
    ceiling: float | None = None


def usable_query(text: str) -> str:
    """Return `text` without surrounding blanks; refuse an empty or oversized query."""
    query = text.strip()
    if not query:
        raise InputError("The query is empty; type a few words or a question.")
    if len(query) > LONGEST_QUERY:
        raise InputError(f"The query has {len(query):,} characters; up to {LONGEST_QUERY:,} fit: shorten it.")
    return query


class Index(ABC):
    """A corpus as one method sees it; safe to search from several threads.

    Every method refuses a query that `usable_query` refuses, and a document id that is not in the corpus.
    """

    bytes_per_document: float
    seconds: float  # spent on building

    @abstractmethod
    def search(self, query: str, k: int = 10) -> Ranking:
        """Return the best `k` documents for `query`."""

    def match(self, query: str, document: str) -> Match | None:
        """Return the token evidence for one document id, nothing where the method has none."""
        return None

    def vectors(self) -> NDArray[np.float32] | None:
        """Return one vector a document (documents, dim), nothing where the method has none."""
        return None

    def query_vector(self, query: str) -> NDArray[np.float32] | None:
        """Return the query in the space of `vectors` (dim,)."""
        return None


class Retriever(Method):
    """Builds an index of a corpus."""

    @abstractmethod
    def __call__(self, corpus: Corpus, models: ModelStore) -> Index:
        """Return the corpus indexed by this method."""


class RetrievalLab(Lab):
    """An experiment on one corpus."""

    @abstractmethod
    def __call__(self, corpus: Corpus, models: ModelStore) -> tuple[Any, ...]:
        """Return the panels."""


retrievers: Family[Retriever] = Family(__name__)
# the folder is a module of the same name: loaded first, it cannot later take the family's place
importlib.import_module(f"{__name__}.labs")
labs: Family[RetrievalLab] = Family(f"{__name__}.labs")
