"""The example of a first view: recorded once with the real methods, drawn without any model."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.retrieval import Corpus, Index, Match, Ranking, Retriever
from components.retrieval._corpora import BUNDLED

FILE = "first_view.safetensors"


class RecordedIndex(Index):
    """One method's recorded answer to one query; it can answer nothing else."""

    def __init__(
        self, facts: dict[str, Any], evidence: Match | None, means: NDArray[np.float32] | None
    ) -> None:
        """`facts` are a ranking and the seconds its index took; `means` ends with the query's vector."""
        self.seconds = facts["seconds"]
        ranking = facts["ranking"]
        self.ranking = Ranking(
            **(ranking | {"ids": tuple(ranking["ids"]), "scores": tuple(ranking["scores"])})
        )
        self.bytes_per_document = self.ranking.bytes_per_document
        self.evidence = evidence
        self.means = means

    def search(self, query: str, k: int = 10) -> Ranking:
        """Return the first `k` of the recorded ranking, whatever is asked."""
        return replace(self.ranking, ids=self.ranking.ids[:k], scores=self.ranking.scores[:k])

    def match(self, query: str, document: str) -> Match | None:
        """Return the recorded evidence, that of the best hit."""
        return self.evidence if document == self.ranking.ids[0] else None

    def vectors(self) -> NDArray[np.float32] | None:
        """Return the documents' mean vectors."""
        return None if self.means is None else self.means[:-1]

    def query_vector(self, query: str) -> NDArray[np.float32] | None:
        """Return the query's mean vector."""
        return None if self.means is None else self.means[-1]


def key(corpus: Corpus, query: str, chosen: Sequence[Retriever]) -> str:
    """Return what a recording is of: corpus, query, methods with their knobs."""
    return json.dumps([corpus.digest, query, [[type(m).name, asdict(m)] for m in chosen]])  # type: ignore[call-overload]


def record(
    corpus: Corpus,
    query: str,
    chosen: Sequence[Retriever],
    answers: Sequence[tuple[Index, Ranking]],
    path: Path,
) -> None:
    """Write the answers, the evidence of the first method's best hit, and the vectors for the map."""
    from safetensors.numpy import save_file

    index, ranking = answers[0]
    match, means, asked = index.match(query, ranking.ids[0]), index.vectors(), index.query_vector(query)
    if match is None or means is None or asked is None:
        raise ValueError("The first method of a recorded example needs evidence and vectors.")
    facts = {
        "key": key(corpus, query, chosen),
        "methods": [{"ranking": asdict(r), "seconds": i.seconds} for i, r in answers],
        "match": [match.query_tokens, match.document_tokens, match.quantity],
    }
    tensors: dict[str, NDArray[Any]] = {
        "means": np.vstack([means, asked[None]]).astype(np.float16),
        "similarity": match.similarity,
    }
    save_file(tensors, path, metadata={"facts": json.dumps(facts, ensure_ascii=False)})


def recorded(
    corpus: Corpus, query: str, chosen: Sequence[Retriever], path: Path
) -> list[RecordedIndex] | None:
    """Return each method's recorded index, nothing where the recording is of something else or missing."""
    from safetensors import safe_open

    if not path.exists():
        return None
    with safe_open(path, framework="numpy") as file:
        facts = json.loads(file.metadata()["facts"])
        if facts["key"] != key(corpus, query, chosen):
            return None
        means, similarity = file.get_tensor("means").astype(np.float32), file.get_tensor("similarity")
    query_tokens, document_tokens, quantity = facts["match"]
    match = Match(tuple(query_tokens), tuple(document_tokens), similarity, quantity)
    first, *others = facts["methods"]
    return [RecordedIndex(first, match, means), *(RecordedIndex(facts, None, None) for facts in others)]


def place(corpus_name: str) -> Path:
    """Return where the recording of a built-in corpus lies."""
    return BUNDLED / corpus_name / FILE
