"""Rankings of a test collection scored against its judgements: nDCG@10, MAP and paired differences."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.numerics.ranking_scores import average_precision, ndcg, paired_bootstrap, top

Scores = NDArray[np.floating[Any]]
SAMPLES = 10_000  # of the bootstrap
DEPTH = 1000


@dataclass(frozen=True)
class Collection:
    """Documents and judged queries; `judged` holds one {document id: grade} a query."""

    name: str
    ids: tuple[str, ...]
    documents: tuple[str, ...]
    queries: tuple[str, ...]
    judged: tuple[Mapping[str, int], ...]

    @property
    def on(self) -> str:
        """What a metric was measured on, for a card."""
        return f"{self.name}: {len(self.queries)} queries, {len(self.documents)} documents"


def read(folder: Path) -> Collection:
    """Read a BEIR folder; queries without a relevant document are left out."""
    documents, queries = (_json_lines(folder / name) for name in ("corpus.jsonl", "queries.jsonl"))
    texts = {str(q["_id"]): q["text"] for q in queries}
    judged: dict[str, dict[str, int]] = {}
    for line in (folder / "qrels.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        query, document, grade = line.split("\t")
        judged.setdefault(query, {})[document] = int(grade)
    kept = [q for q in texts if max(judged.get(q, {}).values(), default=0) > 0]
    ids, bodies = (tuple(str(d[key]) for d in documents) for key in ("_id", "text"))
    return Collection(folder.name, ids, bodies,
                      tuple(texts[q] for q in kept), tuple(judged[q] for q in kept))  # fmt: skip


def smaller(collection: Collection, others: int) -> Collection:
    """Return the collection with the judged documents and the first `others` of the rest alone."""
    judged = {d for own in collection.judged for d in own}
    rest = [i for i, d in enumerate(collection.ids) if d not in judged][:others]
    kept = sorted(rest + [i for i, d in enumerate(collection.ids) if d in judged])
    ids, bodies = (tuple(own[i] for i in kept) for own in (collection.ids, collection.documents))
    return Collection(f"part of {collection.name}", ids, bodies, collection.queries, collection.judged)


def _json_lines(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def bm25(collection: Collection) -> Scores:
    """Return BM25 scores (queries, documents) over Snowball stems; k1 1.2, b 0.75."""
    import re

    import bm25s
    import Stemmer

    stemmer = Stemmer.Stemmer("english")

    def stems(text: str) -> list[str]:
        return [str(s) for s in stemmer.stemWords(re.findall(r"\w+", text.lower()))]

    engine: Any = bm25s.BM25(k1=1.2, b=0.75, method="lucene")
    engine.index([stems(d) for d in collection.documents], show_progress=False)
    rows = []
    for query in collection.queries:
        known = [s for s in stems(query) if s in engine.vocab_dict]
        rows.append(engine.get_scores(known) if known else np.zeros(len(collection.documents), np.float32))
    return np.stack(rows)


def judge(collection: Collection, scores: Scores) -> dict[str, list[float]]:
    """Return nDCG@10 and average precision of every query for scores (queries, documents)."""
    order = np.argsort(np.argsort(np.array(collection.ids)))
    found: dict[str, list[float]] = {"nDCG@10": [], "MAP": []}
    for row, judged in zip(np.asarray(scores, np.float64), collection.judged, strict=True):
        ranked = [collection.ids[i] for i in top(row, order, DEPTH)]
        found["nDCG@10"].append(ndcg(ranked, judged))
        found["MAP"].append(average_precision(ranked, judged))
    return found


def metrics(collection: Collection, rankings: Mapping[str, Scores]) -> list[dict[str, Any]]:
    """Return the rows of a card: both measures of every ranking (queries, documents)."""
    rows = []
    for name, scores in rankings.items():
        for measure, values in judge(collection, scores).items():
            rows.append(_row(f"{measure}, {name}", float(np.mean(values)), collection))
    return rows


def difference(
    collection: Collection, scores: Mapping[str, Scores], whole: str, part: str
) -> list[dict[str, Any]]:
    """Return nDCG@10 of `whole` minus that of `part` with the 95 % interval of a paired bootstrap."""
    first, second = (judge(collection, scores[name])["nDCG@10"] for name in (part, whole))
    names = ("", ", lower end of the 95 % interval", ", upper end of the 95 % interval")
    found = paired_bootstrap(first, second, SAMPLES)
    return [
        _row(f"nDCG@10, {whole} minus {part}{name}", value, collection)
        for name, value in zip(names, found, strict=True)
    ]


def _row(name: str, value: float, collection: Collection) -> dict[str, Any]:
    return {
        "name": name,
        "value": round(value, 4),
        "unit": "",
        "n": len(collection.queries),
        "on": collection.on,
    }
