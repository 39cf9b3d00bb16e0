"""What the retrieval tab asks and shows in numbers: rankings, evaluation, points of the map, files."""

import html
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from components.errors import InputError
from components.models import ModelStore
from components.numerics.projection import MapPoints
from components.plots.palette import ACCENT, DIMMED, HUES, hue
from components.retrieval import Corpus, Index, Ranking, Retriever, retrievers, usable_query
from components.retrieval._corpora import TITLES, builtin, from_file, from_text
from components.retrieval._evaluation import MEASURES, Evaluation, judge, judged_queries, progressively
from components.retrieval._recorded import place, record, recorded
from components.retrieval._words import common, stems
from components.retrieval.exports import as_csv, as_json, rows, trec_run
from demos._controls import methods, numbers, telling, titles

OWN = "own"
SOURCES = [*((title, name) for name, title in TITLES.items()), ("Your own text or file", OWN)]
SHOWN, DEPTH = 10, 100  # hits in a list; hits that are scored
MOST_ON_MAP = 3000  # documents
EXAMPLES = 5
EVERY = 0.4  # seconds between two drawings of an evaluation
RECORDED = "Times of this example were recorded once; ask anything to measure here."
COST = ("query (ms)", "bytes/document", "index (s)")
HERE = ("ndcg", "ap", "recall")  # the measures shown for one query


@dataclass(frozen=True, eq=False)
class Bench:
    """One query to one corpus, and what each method answers, or why it cannot."""

    corpus: Corpus
    query: str
    chosen: tuple[Retriever, ...]
    results: tuple[tuple[Index, Ranking] | str, ...]
    wanted: frozenset[str] = frozenset()  # the query's stems that tell documents apart
    note: str = ""  # said under the numbers

    @property
    def titles(self) -> list[str]:
        """Return a title a method that tells it from the others."""
        return titles(self.chosen)

    @property
    def judged(self) -> dict[str, int] | None:
        """Return the grades of this query's documents, nothing where nobody judged it."""
        for name, text in self.corpus.queries.items():
            if text == self.query and name in self.corpus.judgements:
                return dict(self.corpus.judgements[name])
        return None

    @property
    def done(self) -> list[tuple[int, Index, Ranking]]:
        """Return slot, index and ranking of the methods that answered."""
        return [(slot, *r) for slot, r in enumerate(self.results) if not isinstance(r, str)]


def corpus_of(source: str, pasted: str, upload: str | None, language: str, models: ModelStore) -> Corpus:
    """Return a built-in corpus, or the uploaded file, or the pasted text."""
    if source != OWN:
        return builtin(source)
    known = language if language in TITLES else ""
    if upload:
        return models.remember(("upload", upload, known), lambda: from_file(upload, known))
    return from_text(pasted or "", known)


def answer(
    models: ModelStore, source: str, pasted: str, upload: str | None, language: str, query: str, value: Any
) -> Bench:
    """Return the bench of the tab's inputs, `value` being the methods strip's; shows progress on the page."""
    progress = gr.Progress()
    with telling(progress):
        corpus = corpus_of(source, pasted, upload, language, models)
        return search_all(corpus, query, methods(retrievers, value), models)


def example(
    models: ModelStore, source: str, pasted: str, upload: str | None, language: str, query: str, value: Any
) -> Bench | None:
    """Return the bench of the recorded example, which needs no model; nothing for other inputs."""
    if source not in TITLES:
        return None
    corpus, chosen = builtin(source), methods(retrievers, value)
    found = recorded(corpus, query, chosen, place(source))
    if found is None:
        return None
    answers = tuple((index, index.ranking) for index in found)
    return Bench(corpus, query, tuple(chosen), answers, _telling(corpus, query, models), RECORDED)


def record_example(models: ModelStore, source: str, names: Sequence[str]) -> None:
    """Answer the first example query of a built-in corpus for real and record it beside the corpus."""
    corpus = builtin(source)
    chosen = [retrievers.create(name) for name in names]
    for _ in range(2):  # the second answer is that of a warm model
        bench = search_all(corpus, examples(corpus)[0], chosen, models)
    record(corpus, bench.query, chosen, [(index, ranking) for _, index, ranking in bench.done], place(source))


def examples(corpus: Corpus) -> list[str]:
    """Return a few queries of a corpus, spread over all."""
    texts = list(corpus.queries.values())
    return texts[:: max(1, len(texts) // EXAMPLES)][:EXAMPLES]


def search_all(corpus: Corpus, query: str, chosen: Sequence[Retriever], models: ModelStore) -> Bench:
    """Ask every method; one that refuses leaves its reason in its place."""
    asked, results = usable_query(query), []
    for method in chosen:
        answer: tuple[Index, Ranking] | str
        try:
            index = method(corpus, models)
            answer = (index, index.search(asked, DEPTH))
        except InputError as refused:
            answer = str(refused)
        results.append(answer)
    return Bench(corpus, asked, tuple(chosen), tuple(results), _telling(corpus, asked, models))


def _telling(corpus: Corpus, query: str, models: ModelStore) -> frozenset[str]:
    """Return the stems of a query without those that stand everywhere in the corpus."""
    texts = (document.full for document in corpus.documents)
    known = models.remember(("common", corpus.digest), lambda: common(texts, corpus.language))
    own = frozenset(stems(query, corpus.language))
    return own - known or own


def numbers_of(bench: Bench) -> str:
    """Return cost, and quality for this query where it is judged, as an HTML table."""
    judged = bench.judged
    columns = (*COST, *(MEASURES[m] for m in HERE if judged))
    lines: list[tuple[Any, ...]] = []
    for title, result in zip(bench.titles, bench.results, strict=True):
        if isinstance(result, str):
            lines.append((f"{title}: {result}", *(None,) * len(columns)))
            continue
        index, ranking = result
        measured = judge(ranking, judged)
        quality = [measured[m] for m in HERE if judged]
        lines.append(
            (title, ranking.milliseconds, round(ranking.bytes_per_document), index.seconds, *quality)
        )
    known = "for this query" if judged else "unknown: nobody judged this query"
    note = html.escape(f"Quality {known}. Scores: share of the ceiling (raw). {bench.note}")
    return f"{numbers(columns, lines)}<p class='ts-note'>{note}</p>"


def map_of(bench: Bench) -> MapPoints | None:
    """Return the documents' vectors and the query's, coloured by who found them among its first hits."""
    space = next((index for _, index, _ in bench.done if index.vectors() is not None), None)
    if space is None:
        return None
    documents = bench.corpus.documents[:MOST_ON_MAP]
    vectors, query = space.vectors(), space.query_vector(bench.query)
    if vectors is None or query is None:
        return None
    hits = {slot: set(ranking.ids[:SHOWN]) for slot, _, ranking in bench.done}
    several, other, asked = len(bench.chosen), len(bench.chosen) + 1, len(bench.chosen) + 2
    series = [_finder(document.id, hits, several, other) for document in documents]
    short = tuple(d.title or d.text[:60] for d in documents)
    names = (*(f"found by {t} only" for t in bench.titles), "found by several", "other documents", "query")
    return MapPoints(
        ids=(*(f"d:{i}" for i in range(len(documents))), "q"),
        vectors=np.vstack([vectors[: len(documents)], query[None]]),
        labels=(*short, f"query: {bench.query[:60]}"),
        hover=(*map(html.escape, short), f"query: {html.escape(bench.query[:60])}"),
        series=(*series, asked),
        names=names,
        colours=(*(hue(i) for i in range(several)), HUES[4], DIMMED, ACCENT),
        note="Mean vectors of the documents and of the query.",
    )


def _finder(name: str, hits: dict[int, set[str]], several: int, other: int) -> int:
    by = [slot for slot, found in hits.items() if name in found]
    return other if not by else by[0] if len(by) == 1 else several


@dataclass(frozen=True, eq=False)
class Progress:
    """How far an evaluation is: each method's so far, in the order of `bench.done`."""

    bench: Bench
    found: tuple[Evaluation, ...]
    total: int  # judged queries

    @property
    def over(self) -> bool:
        """Say whether all methods have answered all queries."""
        return all(len(e.queries) == self.total for e in self.found) and len(self.found) == len(
            self.bench.done
        )


def evaluations(bench: Bench) -> Iterator[Progress]:
    """Return how far the evaluation of all methods is after every query; refused before the first."""
    total = len(judged_queries(bench.corpus))

    def steps() -> Iterator[Progress]:
        found: list[Evaluation] = []
        for _, index, _ in bench.done:
            found.append(Evaluation())
            for found[-1] in progressively(index, bench.corpus):
                yield Progress(bench, tuple(found), total)

    return steps()


def drawn_evaluations(bench: Bench) -> Iterator[tuple[Any, ...]]:
    """Return table and figures of the evaluation as it goes on, a few times a second and at its end."""
    states = evaluations(bench)

    def drawn() -> Iterator[tuple[Any, ...]]:
        told = 0.0
        for state in states:
            if state.over or time.monotonic() - told > EVERY:
                told = time.monotonic()
                yield quality_of(state), *quality_figures(state)

    return drawn()


def quality_of(state: Progress) -> str:
    """Return the means over the queries so far as an HTML table, and how far it is."""
    columns = (*MEASURES.values(), "median query (ms)", "queries")
    titles = [state.bench.titles[slot] for slot, _, _ in state.bench.done]
    lines = [
        (title, *(e.mean(m) for m in MEASURES), float(np.median(e.milliseconds)), len(e.queries))
        for title, e in zip(titles, state.found, strict=False)
    ]
    doing = f"{titles[len(lines) - 1]}: {len(state.found[-1].queries)} of {state.total} queries"
    note = f"All {state.total} judged queries of {state.bench.corpus.title}." if state.over else f"{doing} …"
    return f"{numbers(columns, lines)}<p class='ts-note' role='status'>{html.escape(note)}</p>"


def quality_figures(state: Progress) -> tuple[Any, Any]:
    """Return the bars of quality and the points of quality against time; they stay until all is measured."""
    from components.plots.retrieval import latency_quality, quality_bars

    if not state.over:
        return gr.skip(), gr.skip()
    bench, found = state.bench, state.found
    titles = [bench.titles[slot] for slot, _, _ in bench.done]
    measures = {MEASURES[m]: [e.mean(m) for e in found] for m in ("ndcg", "ap", "recall")}
    times = [float(np.median(e.milliseconds)) for e in found]
    sizes = [ranking.bytes_per_document for _, _, ranking in bench.done]
    bars = quality_bars(titles, measures, len(found[0].queries))
    return bars, latency_quality(titles, times, measures[MEASURES["ndcg"]], sizes)


def rankings_of(bench: Bench) -> dict[str, Ranking]:
    """Return the rankings by the methods' titles."""
    return {bench.titles[slot]: ranking for slot, _, ranking in bench.done}


def files_of(bench: Bench) -> list[str]:
    """Write one TREC run a method, and all hits as CSV and JSON; return the paths."""
    folder, found = Path(tempfile.mkdtemp(prefix="ranking-")), rankings_of(bench)
    name = next((q for q, text in bench.corpus.queries.items() if text == bench.query), "query")
    for slot, _, ranking in bench.done:
        method = bench.chosen[slot].name
        (folder / f"{slot + 1}-{method}.trec").write_text(trec_run({name: ranking}, method), encoding="utf-8")
    (folder / "hits.csv").write_text(as_csv(bench.corpus, bench.query, found), encoding="utf-8")
    (folder / "hits.json").write_text(as_json(bench.corpus, bench.query, found), encoding="utf-8")
    return [str(path) for path in sorted(folder.iterdir())]


def records(bench: Bench, k: int) -> list[dict[str, Any]]:
    """Return each method's answer for a program: cost and the first `k` hits, or why there are none."""
    hits = rows(bench.corpus, bench.query, rankings_of(bench))
    found = []
    for method, title, result in zip(bench.chosen, bench.titles, bench.results, strict=True):
        entry: dict[str, Any] = {
            "method": method.name,
            "knobs": {n: getattr(method, n) for n in method.knobs()},
        }
        if isinstance(result, str):
            entry["refused"] = result
        else:
            ranking = result[1]
            entry |= {"milliseconds": ranking.milliseconds, "bytes_per_document": ranking.bytes_per_document}
            entry["hits"] = [h for h in hits if h["method"] == title][:k]
        found.append(entry)
    return found
