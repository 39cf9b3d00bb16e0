"""Corpora: built in, pasted, uploaded as a file, or a BEIR folder as a zip."""

import csv
import io
import json
import lzma
import re
import zipfile
import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from components.errors import InputError
from components.retrieval import MOST_DOCUMENTS, Corpus, Document
from components.retrieval._words import guess_language

BUNDLED = Path(__file__).resolve().parents[2] / "assets" / "samples" / "retrieval"
TITLES = {"english": "English encyclopedia", "turkish": "Turkish encyclopedia"}
MOST_BYTES = 40 << 20  # of one file, unpacked
MOST_MEMBERS = 1000  # files in a zip
# What zipfile raises for a zip it cannot read: its list or a compressed stream is broken, the compression
# is unknown to it (NotImplementedError), a password is wanted (RuntimeError), the end comes too soon.
UNREADABLE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, NotImplementedError, RuntimeError, EOFError,
              OSError)  # fmt: skip
BEIR_FILES = ("corpus.jsonl", "queries.jsonl", "qrels.tsv")
TEXT_COLUMNS, ID_COLUMNS = ("text", "document", "content", "body"), ("_id", "id", "doc_id", "docid")


@cache
def builtin(name: str) -> Corpus:
    """Return a corpus that ships with the program, "english" or "turkish"."""
    if name not in TITLES:
        raise InputError(f"There is no built-in corpus {name!r}; there are {', '.join(TITLES)}.")
    files = {file: (BUNDLED / name / file).read_bytes() for file in BEIR_FILES}
    return beir(files, TITLES[name], name)


def from_text(text: str, language: str = "") -> Corpus:
    """Return pasted text as a corpus: paragraphs if blank lines part any, otherwise a document a line."""
    paragraphs = [" ".join(p.split()) for p in re.split(r"\n\s*\n", text.strip())]
    lines = paragraphs if len(paragraphs) > 1 else [" ".join(line.split()) for line in text.splitlines()]
    found = [line for line in lines if line]
    if not found:
        raise InputError(
            "The text is empty; paste one document a line, or paragraphs with blank lines between."
        )
    _bound(len(found))
    documents = tuple(Document(f"d{i}", line) for i, line in enumerate(found, start=1))
    return Corpus("Pasted text", documents, language=language or guess_language(text))


def from_file(path: str | Path, language: str = "") -> Corpus:
    """Return an uploaded CSV, JSONL, TXT or zipped BEIR folder, told apart by the name's ending."""
    path = Path(path)
    if path.stat().st_size > MOST_BYTES:
        raise InputError(
            f"The file has {path.stat().st_size >> 20} MB; up to {MOST_BYTES >> 20} fit: upload a part."
        )
    data, ending = path.read_bytes(), path.suffix.lower()
    if ending == ".zip":
        return beir(_unzipped(data), "Uploaded BEIR folder", language)
    if ending == ".txt":
        return from_text(_decoded(data, "The file"), language)
    if ending not in (".csv", ".tsv", ".jsonl"):
        raise InputError(
            f"The file is named *{ending[:12]}; .csv, .tsv, .jsonl, .txt and .zip (BEIR) can be read."
        )
    text = _decoded(data, "The file")
    rows = (
        _json_lines(text, "The file")
        if ending == ".jsonl"
        else _table(text, "\t" if ending == ".tsv" else ",")
    )
    return Corpus("Uploaded file", _documents(rows), language=language or guess_language(text))


def beir(files: dict[str, bytes], title: str, language: str = "") -> Corpus:
    """Return a BEIR folder: corpus.jsonl, and queries.jsonl with qrels.tsv where there are any."""
    if "corpus.jsonl" not in files:
        raise InputError(
            "The zip has no corpus.jsonl; zip a BEIR folder: corpus.jsonl, queries.jsonl, qrels.tsv."
        )
    text = _decoded(files["corpus.jsonl"], "corpus.jsonl")
    documents = _documents(_json_lines(text, "corpus.jsonl"))
    lines = _json_lines(_decoded(files.get("queries.jsonl", b""), "queries.jsonl"), "queries.jsonl")
    queries = {str(row.get("_id", "")): str(row.get("text", "")).strip() for row in lines}
    queries = {key: query for key, query in queries.items() if key and query}
    judgements = _judgements(_decoded(files.get("qrels.tsv", b""), "qrels.tsv"), queries)
    return Corpus(title, documents, queries, judgements, language or guess_language(text))


def _bound(documents: int) -> None:
    if documents > MOST_DOCUMENTS:
        raise InputError(
            f"There are more than {MOST_DOCUMENTS:,} documents; up to that many fit: give a part."
        )


def _decoded(data: bytes, what: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{what} is not UTF-8 text; save it as UTF-8 and upload it again.") from None


def _json_lines(text: str, what: str) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            raise InputError(
                f"{what}: line {number} is not JSON; give one object with a text a line."
            ) from None
        if isinstance(row, str):
            row = {"text": row}
        if not isinstance(row, dict):
            raise InputError(f"{what}: line {number} is no object; give one object with a text a line.")
        yield row


def _table(text: str, separator: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of a CSV by column; without a header there may be one column only."""
    try:
        rows = list(csv.reader(io.StringIO(text), delimiter=separator))
    except csv.Error as error:
        raise InputError(f"The table cannot be read ({error}); give rows with a text column.") from None
    if not rows:
        return
    header = [cell.strip().lower() for cell in rows[0]]
    if any(name in header for name in TEXT_COLUMNS):
        rows = rows[1:]
    elif len(header) == 1:
        header = ["text"]
    else:
        raise InputError("The table has no column named text; name the column of the documents so.")
    for row in rows:
        if any(row):
            yield dict(zip(header, row, strict=False))


def _documents(rows: Iterator[dict[str, Any]]) -> tuple[Document, ...]:
    found = []
    for number, row in enumerate(rows, start=1):
        _bound(number)
        text = next((row[c] for c in TEXT_COLUMNS if row.get(c) is not None), None)
        if not isinstance(text, str):
            raise InputError(f"Row {number} has no text; give every row a text column or field.")
        name = next((str(row[c]) for c in ID_COLUMNS if row.get(c) not in (None, "")), f"d{number}")
        title = row.get("title")
        found.append(Document(name, text.strip(), title.strip() if isinstance(title, str) else ""))
    return tuple(found)


def _judgements(text: str, queries: dict[str, str]) -> dict[str, dict[str, int]]:
    """Return grades by query and document; rows have three columns, or four as trec_eval's."""
    found: dict[str, dict[str, int]] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        cells = line.split()
        if not cells or (number == 1 and not cells[-1].lstrip("-").isdigit()):
            continue  # the header
        try:
            query, document, grade = cells[0], cells[-2], int(cells[-1])
        except (IndexError, ValueError):
            raise InputError(
                f"qrels.tsv: line {number} is not query-id, corpus-id, score; mend it."
            ) from None
        if query in queries:
            found.setdefault(query, {})[document] = grade
    return found


def _unzipped(data: bytes) -> dict[str, bytes]:
    """Return the BEIR files of a zip by their bare names; nothing is written to disk.

    The sizes that a zip states are checked before a byte is unpacked, and what is unpacked is counted,
    since they may lie. Of several qrels (train, dev, test) that of the test split is taken.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as folder:
            members = [m for m in folder.infolist() if not m.is_dir()]
            if len(members) > MOST_MEMBERS:
                raise InputError(
                    f"The zip holds {len(members):,} files; a BEIR folder has three: zip only these."
                )
            return {name: _unpacked(folder, member) for name, member in _wanted(members).items()}
    except UNREADABLE:
        raise InputError(
            "The zip is damaged, encrypted or packed in an unusual way; zip the BEIR folder again, without a "
            "password."
        ) from None


def _wanted(members: list[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    found: dict[str, zipfile.ZipInfo] = {}
    for member in members:
        path = PurePosixPath(member.filename.replace("\\", "/"))
        if path.name in BEIR_FILES:
            found.setdefault(path.name, member)
        elif (
            path.parent.name == "qrels"
            and path.suffix == ".tsv"
            and (path.stem == "test" or "qrels.tsv" not in found)
        ):
            found["qrels.tsv"] = member
    return found


def _unpacked(folder: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    name = PurePosixPath(member.filename).name[:40]
    with folder.open(member) as file:
        data = file.read(MOST_BYTES + 1) if member.file_size <= MOST_BYTES else None
    if data is None or len(data) > MOST_BYTES:
        raise InputError(f"{name} is larger than {MOST_BYTES >> 20} MB unpacked; zip a part of the corpus.")
    return data
