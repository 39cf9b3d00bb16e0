"""Turkish questions and the passages that answer them: reading, parting from held-out text, measuring."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.models.nets.word_encoder import WordEncoder, words_of
from components.models.recipes import _run
from components.numerics.late_interaction import max_sim
from components.numerics.ranking_scores import average_precision, ndcg, recall, top

FILES = ("corpus.jsonl", "queries.jsonl", "qrels.tsv")
SAMPLES = Path(__file__).resolve().parents[3] / "assets" / "samples" / "retrieval" / "turkish"
TRAIN = {"tquad_train": "no licence file: trained and measured on, not redistributed", "enelpi_train": "MIT"}
SENTENCES = "sts/stsb_tr_train.tsv"
HELD_OUT = "tquad_dev"
CHOOSING = 271  # passages for choosing, as many as in the held-out file
BLOCKS = 6  # that share no passage
ALIKE = 4.0  # of 5, the least similarity of two sentences that say the same
RUN = 8  # equal words in a row that make two passages share text
Metric = dict[str, Any]
Scores = NDArray[np.float32]  # (queries, passages)


@dataclass(frozen=True)
class Collection:
    """Passages, queries and, for each query, the grades of passages by their position."""

    name: str
    passages: tuple[str, ...]
    queries: tuple[str, ...]
    grades: tuple[dict[int, int], ...]

    def part(self, passages: Iterable[int], queries: Iterable[int] | None = None) -> "Collection":
        """Keep some passages and the queries (of `queries`, where given) that one of these answers."""
        kept = list(passages)
        place = {old: new for new, old in enumerate(kept)}
        grades = {
            q: {place[p]: g for p, g in self.grades[q].items() if p in place}
            for q in (range(len(self.queries)) if queries is None else queries)
        }
        asked = [q for q, own in grades.items() if own]
        return Collection(
            self.name,
            tuple(self.passages[p] for p in kept),
            tuple(self.queries[q] for q in asked),
            tuple(grades[q] for q in asked),
        )

    def __str__(self) -> str:
        return f"{self.name}: {len(self.queries)} questions, {len(self.passages)} passages"


def read(folder: Path, name: str) -> Collection:
    """Read a folder in BEIR's layout; queries without a judgement are left out."""
    documents, queries = (_lines(folder / file) for file in FILES[:2])
    place = {row["_id"]: i for i, row in enumerate(documents)}
    grades: dict[str, dict[int, int]] = {row["_id"]: {} for row in queries}
    for line in (folder / FILES[2]).read_text(encoding="utf-8").splitlines()[1:]:
        query, document, grade = line.split("\t")
        grades[query][place[document]] = int(grade)
    passages = [f"{d['title']}. {d['text']}" if d.get("title") else str(d["text"]) for d in documents]
    every = Collection(name, tuple(passages), tuple(q["text"] for q in queries), tuple(grades.values()))
    return every.part(range(len(passages)))


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def runs_of(words: Sequence[str]) -> set[tuple[str, ...]]:
    """Return every run of `RUN` words, or all the words where there are fewer."""
    return {tuple(words[i : i + RUN]) for i in range(max(1, len(words) - RUN + 1))}


def apart(train: Collection, held: Collection) -> Collection:
    """Return `train` without passages that share a run of words with `held` and without its questions.

    Half of TQuAD's development passages stand in its training file as well, cut at other places.
    """
    runs = set().union(*(runs_of(words_of(p)[0]) for p in held.passages))
    asked = {words_of(q)[0] for q in held.queries}
    passages = [i for i, p in enumerate(train.passages) if not runs & runs_of(words_of(p)[0])]
    queries = [i for i, q in enumerate(train.queries) if words_of(q)[0] not in asked]
    return train.part(passages, queries)


def joined(parts: Sequence[Collection]) -> Collection:
    """Return several collections as one."""
    starts = np.cumsum([0, *(len(c.passages) for c in parts)]).tolist()
    return Collection(
        " + ".join(c.name for c in parts),
        tuple(p for c in parts for p in c.passages),
        tuple(q for c in parts for q in c.queries),
        tuple(
            {p + start: g for p, g in own.items()}
            for c, start in zip(parts, starts, strict=False)
            for own in c.grades
        ),
    )


def pairs(data: Path) -> Collection:
    """Return all training pairs that share no text with the held-out file."""
    held = read(data / "retrieval" / HELD_OUT, HELD_OUT)
    return joined([apart(read(data / "retrieval" / name, name), held) for name in TRAIN])


def sentences(data: Path) -> Collection:
    """Return the sentences of the Turkish STS benchmark and, as their questions, others that say the same."""
    held = read(data / "retrieval" / HELD_OUT, HELD_OUT)
    rows = [line.split("\t") for line in (data / "retrieval" / SENTENCES).read_text("utf-8").splitlines()[1:]]
    alike = [(row[5], row[6]) for row in rows if float(row[4]) >= ALIKE and row[5].strip() != row[6].strip()]
    place = {second: i for i, second in enumerate(dict.fromkeys(second for _, second in alike))}
    grades: dict[str, dict[int, int]] = {first: {} for first, _ in alike}
    for first, second in alike:
        grades[first][place[second]] = 1
    return apart(Collection("sentences", tuple(place), tuple(grades), tuple(grades.values())), held)


def data_rows(data: Path) -> list[dict[str, str]]:
    """Return name, SHA-256 and licence of what was read; the held-out file is measured on only."""
    rows = {**TRAIN, HELD_OUT: f"{TRAIN['tquad_train'].split(':')[0]}: measured on, not redistributed"}
    sums = {name: _run.digest([data / "retrieval" / name / file for file in FILES]) for name in rows}
    rows[SENTENCES], sums[SENTENCES] = "CC BY-SA 4.0", _run.digest([data / "retrieval" / SENTENCES])
    return [{"name": name, "sha256": sums[name], "licence": licence} for name, licence in rows.items()]


def split(every: Collection, block: int) -> tuple[Collection, Collection]:
    """Part one of `BLOCKS` blocks of neighbouring passages from the rest that shares no text with it."""
    wanted = min(CHOOSING, len(every.passages) // BLOCKS)
    first = (block % BLOCKS) * (len(every.passages) - wanted) // BLOCKS
    chosen = range(first, first + wanted)
    rest = [i for i in range(len(every.passages)) if i not in chosen]
    left_out = every.part(chosen)
    return apart(every.part(rest), left_out), left_out


def late_scores(net: WordEncoder, collection: Collection) -> Scores:
    """Return MaxSim with weights of every query and passage."""
    documents = net.encode(collection.passages)
    queries = net.encode_queries(collection.queries)
    found = [
        max_sim(queries.states_of(i), documents.states, documents.starts)
        for i in range(len(collection.queries))
    ]
    return np.stack(found)


def dense_scores(net: WordEncoder, collection: Collection) -> Scores:
    """Return the cosine of the mean vectors of every query and passage."""
    scores: Scores = net.mean_vectors(collection.queries) @ net.mean_vectors(collection.passages).T
    return scores


def bm25_scores(collection: Collection) -> Scores:
    """Return BM25 (k1 1.2, b .75) on Snowball's Turkish stems, no stop words."""
    import bm25s
    import Stemmer

    stemmer = Stemmer.Stemmer("turkish")
    engine = bm25s.BM25(k1=1.2, b=0.75, method="lucene")
    engine.index([stemmer.stemWords(list(words_of(p)[0])) for p in collection.passages], show_progress=False)
    scores = np.zeros((len(collection.queries), len(collection.passages)), dtype=np.float32)
    for row, query in zip(scores, collection.queries, strict=True):
        known = [s for s in stemmer.stemWords(list(words_of(query)[0])) if s in engine.vocab_dict]
        if known:
            row[:] = engine.get_scores(known)
    return scores


def figures(scores: Scores, collection: Collection, on: str, system: str = "") -> list[Metric]:
    """Return nDCG@10, mAP and recall@10 in percent, ties by position; `system` stands before the names."""
    order = np.arange(len(collection.passages))
    ranks = [[str(p) for p in top(row, order, len(row))] for row in scores]
    judged = [{str(p): g for p, g in own.items()} for own in collection.grades]
    measures: dict[str, Callable[[list[str], dict[str, int]], float]] = {
        "nDCG@10": ndcg,
        "mAP": average_precision,
        "recall@10": lambda r, j: recall(r, j, 10),
    }
    rows = []
    for name, measure in measures.items():
        value = 100 * float(np.mean([measure(r, j) for r, j in zip(ranks, judged, strict=True)]))
        rows.append({"name": f"{system} {name}".strip(), "value": round(value, 2), "unit": "%",
                     "n": len(ranks), "on": on})  # fmt: skip
    return rows
