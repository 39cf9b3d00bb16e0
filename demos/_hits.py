"""What the retrieval tab shows of hits: ranked lists, and an opened document with the evidence for it."""

import html
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from components.numerics.late_interaction import best_matches
from components.plots.palette import hue
from components.retrieval import Ranking
from components.retrieval._words import stems
from demos._controls import number
from demos._rankings import SHOWN, Bench

SNIPPET = 160  # characters


def lists_of(bench: Bench) -> str:
    """Return the ranked lists side by side as escaped HTML; hits carry the id "d:place"."""
    columns = []
    for slot, (title, result) in enumerate(zip(bench.titles, bench.results, strict=True)):
        dot = f"<span class='ts-dot' style='background:{hue(slot)}' aria-hidden='true'></span>"
        if isinstance(result, str):
            body = f"<p class='ts-note'>{html.escape(result)}</p>"
        elif not result[1].ids:
            body = "<p class='ts-note'>No document holds a word of the query.</p>"
        else:
            body = f"<ol class='ts-hits'>{''.join(_hits(bench, result[1]))}</ol>"
        columns.append(f"<section><h4>{dot}{html.escape(title)}</h4>{body}</section>")
    return f"<div class='ts-columns'>{''.join(columns)}</div>"


def _hits(bench: Bench, ranking: Ranking) -> Iterator[str]:
    judged, wanted, language = bench.judged, bench.wanted, bench.corpus.language
    for name, score in list(zip(ranking.ids, ranking.scores, strict=True))[:SHOWN]:
        place = bench.corpus.place(name)
        document = bench.corpus.documents[place]
        raw = number(float(score))
        shown = (
            f"{score / ranking.ceiling:.3f} <span class='ts-quiet'>({raw})</span>" if ranking.ceiling else raw
        )
        title = html.escape(document.title or name)
        text = _marked(_snippet(document.text, wanted, language), wanted, language)
        yield (
            f"<li data-piece='d:{place}'><div><strong>{title}</strong> {_mark(judged, name)}"
            f"<span class='ts-score'>{shown}</span></div><p>{text}</p></li>"
        )


def _mark(judged: dict[str, int] | None, name: str) -> str:
    """Return a sign for a relevant document, with its grade; nothing where the query is not judged."""
    grade = (judged or {}).get(name, 0)
    if judged is None or grade <= 0:
        return ""
    return f"<span class='ts-relevant' title='judged relevant, grade {grade}'>✓ relevant {grade}</span>"


def _snippet(text: str, wanted: frozenset[str], language: str) -> str:
    """Return the sentence that holds most of the wanted stems, the first of equals, cut to size."""
    sentences = re.split(r"(?<=[.!?])\s+", text[:4000])
    best = max(sentences, key=lambda s: len(wanted & set(stems(s, language))))
    return best if len(best) <= SNIPPET else best[: SNIPPET - 1] + "…"


def _marked(text: str, wanted: frozenset[str], language: str) -> str:
    """Return escaped text with the words of the query marked."""
    parts = re.split(r"(\w+)", text)
    return "".join(
        f"<mark>{html.escape(part)}</mark>" if set(stems(part, language)) & wanted else html.escape(part)
        for part in parts
    )


def opened(bench: Bench, place: int | None, slot: int) -> tuple[str, Any]:
    """Return a document as chips shaded by its evidence ("t:j") and the heat map, by the method in `slot`."""
    from components.plots.retrieval import token_heat_map

    found = dict((s, (index, ranking)) for s, index, ranking in bench.done)
    if slot not in found:
        return "<p class='ts-note'>This method gave no ranking.</p>", None
    index, ranking = found[slot]
    if place is None:
        if not ranking.ids:
            return "<p class='ts-note'>Choose a document to see its evidence.</p>", None
        place = bench.corpus.place(ranking.ids[0])
    document = bench.corpus.documents[place]
    head = f"<h4>{html.escape(document.title or document.id)}</h4>"
    match = index.match(bench.query, document.id)
    if match is None or 0 in match.similarity.shape:
        return f"{head}<p>{html.escape(document.full)}</p>", None
    best, similarity = best_matches(match.similarity)
    share = np.bincount(best, np.maximum(similarity, 0), len(match.document_tokens))
    chips = "".join(
        f"<span class='ts-chip' data-piece='t:{j}' style='--share:{s:.3f}'>{html.escape(token)}</span>"
        for j, (token, s) in enumerate(
            zip(match.document_tokens, share / max(share.max(), 1e-9), strict=True)
        )
    )
    note = (
        f"<p class='ts-note'>Tokens shaded by their share of the score ({html.escape(match.quantity)}).</p>"
    )
    title = f"Query tokens × tokens of “{document.title or document.id}”: {match.quantity}"
    figure = token_heat_map(
        _plain(title), match.query_tokens, match.document_tokens, match.similarity, match.quantity
    )
    return f"{head}<div class='ts-chips'>{chips}</div>{note}", figure


def _plain(text: str) -> str:
    return html.escape(text if len(text) <= 90 else text[:89] + "…", quote=False)
