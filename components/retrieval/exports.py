"""Rankings in the field's formats: a TREC run, CSV, JSON."""

import csv
import io
import json
import re
from collections.abc import Mapping

from components.retrieval import Corpus, Ranking

RESULT_FIELDS = ("query", "method", "rank", "document", "score", "normalised", "grade", "title", "text")


def trec_run(rankings: Mapping[str, Ranking], tag: str) -> str:
    """Return lines "query-id Q0 document-id rank score tag", ranks from 1, blanks as underscores."""
    lines = []
    for query, ranking in rankings.items():
        for rank, (document, score) in enumerate(zip(ranking.ids, ranking.scores, strict=True), start=1):
            lines.append(f"{_name(query)} Q0 {_name(document)} {rank} {score:.6f} {_name(tag)}\n")
    return "".join(lines)


def rows(corpus: Corpus, query: str, rankings: Mapping[str, Ranking]) -> list[dict[str, object]]:
    """Return one row a hit of each method (`RESULT_FIELDS`); no `grade` where nobody judged."""
    judged = next((corpus.judgements.get(q) for q, text in corpus.queries.items() if text == query), None)
    found: list[dict[str, object]] = []
    for method, ranking in rankings.items():
        for rank, (name, score) in enumerate(zip(ranking.ids, ranking.scores, strict=True), start=1):
            document = corpus.documents[corpus.place(name)]
            normalised = score / ranking.ceiling if ranking.ceiling else None
            grade = judged.get(name, 0) if judged is not None else None
            values = (query, method, rank, name, score, normalised, grade, document.title, document.text)
            found.append(dict(zip(RESULT_FIELDS, values, strict=True)))
    return found


def as_json(corpus: Corpus, query: str, rankings: Mapping[str, Ranking]) -> str:
    """Return the rows as JSON, with each method's milliseconds and bytes per document."""
    cost = {
        method: {"milliseconds": ranking.milliseconds, "bytes_per_document": ranking.bytes_per_document}
        for method, ranking in rankings.items()
    }
    whole = {"corpus": corpus.title, "query": query, "methods": cost, "hits": rows(corpus, query, rankings)}
    return json.dumps(whole, ensure_ascii=False, indent=2) + "\n"


def as_csv(corpus: Corpus, query: str, rankings: Mapping[str, Ranking]) -> str:
    """Return the rows as CSV; a cell that a spreadsheet would run as a formula starts with an apostrophe."""
    out = io.StringIO()
    writer = csv.DictWriter(out, RESULT_FIELDS)
    writer.writeheader()
    for row in rows(corpus, query, rankings):
        writer.writerow({key: _inert(value) for key, value in row.items()})
    return out.getvalue()


def _inert(value: object) -> object:
    return (
        f"'{value}"
        if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r"))
        else value
    )


def _name(text: str) -> str:
    return re.sub(r"\s+", "_", text.strip()) or "_"
