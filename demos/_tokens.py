"""What the tokenizer tab shows of its tokens: numbers, points of the map, figures, files to take away."""

import csv
import html
import json
import math
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from components.errors import InputError
from components.models import ModelStore
from components.numerics.byte_ngrams import ngram_vectors
from components.numerics.projection import MapPoints
from components.numerics.token_alignment import character_spans, legible
from components.numerics.token_measures import Measures, agreement, lengths, measure
from components.tokenization import LONGEST, Text, Tokenizer, Tokens, tokenizers
from demos._controls import numbers, spec, titles

MOST = 6  # tokenizers side by side
ON_MAP = 250  # distinct tokens of a method that the map shows
LARGEST_FILE = 20_000_000  # bytes of an uploaded tokenizer.json
COLUMNS = (
    "tokens", "distinct", "characters / token", "bytes / token", "tokens / word", "words cut (%)",
    "characters cut (%)", "unknown (%)", "comes back", "Rényi 2.5 / log₂V", "bit compression", "vocabulary",
    "time (ms)",
)  # fmt: skip


@dataclass(frozen=True)
class Bench:
    """One text, and of each chosen tokenizer the tokens, or why there are none; seconds that each took."""

    text: Text
    chosen: tuple[Tokenizer, ...]
    results: tuple[Tokens | str, ...]
    seconds: tuple[float, ...]

    @property
    def done(self) -> list[tuple[int, Tokenizer, Tokens]]:
        """Return slot, tokenizer and tokens of those that came through."""
        both = zip(self.chosen, self.results, strict=True)
        return [(slot, m, r) for slot, (m, r) in enumerate(both) if isinstance(r, Tokens)]

    @cached_property
    def measures(self) -> dict[int, Measures]:
        """The measures of each tokenization, by slot."""
        content = self.text.content
        return {
            slot: measure(content, r.pieces, r.ids, r.vocabulary, decoded=r.decoded, unknown=r.unknown)
            for slot, _, r in self.done
        }


def tokenize_all(content: str, chosen: Sequence[Tokenizer], file: str, models: ModelStore) -> Bench:
    """Run all chosen tokenizers; one that refuses leaves its reason in its place."""
    text = Text(content or "")
    methods = tuple(method.reading(file) for method in chosen)
    results: list[Tokens | str] = []
    seconds = []
    for method in methods:
        started = time.perf_counter()
        try:
            results.append(method(text, models))
        except InputError as refused:
            results.append(str(refused))
        seconds.append(time.perf_counter() - started)
    return Bench(text, methods, tuple(results), tuple(seconds))


def numbers_of(bench: Bench) -> str:
    """Return the table of numbers as HTML."""
    return numbers(COLUMNS, rows(bench))


def rows(bench: Bench) -> list[tuple[Any, ...]]:
    """Return title and numbers of every tokenizer; a refusal its reason."""
    found: list[tuple[Any, ...]] = []
    for slot, title in enumerate(titles(bench.chosen)):
        result = bench.results[slot]
        if isinstance(result, str):
            found.append((f"{title}: {result}", *[None] * len(COLUMNS)))
            continue
        m = bench.measures[slot]
        found.append((
            title, m.tokens, m.unique, m.characters_per_token, m.bytes_per_token, m.fertility,
            100 * m.continued_words, 100 * m.cut_characters, 100 * m.unknown_share,
            "yes" if m.round_trip else "no", m.renyi_efficiency, m.bit_compression, result.vocabulary,
            1000 * bench.seconds[slot],
        ))  # fmt: skip
    return found


def map_of(bench: Bench) -> MapPoints | None:
    """Return the distinct tokens as points, each under the id that its chips carry."""
    ids, pieces, labels, series, hover = [], [], [], [], []
    for slot, _, tokens in bench.done:
        times = Counter(tokens.ids)
        first: dict[int, bytes] = {}
        for token, piece in zip(tokens.ids, tokens.pieces, strict=True):
            if len(first) == ON_MAP:
                break
            first.setdefault(token, piece)
        for token, piece in first.items():
            ids.append(f"{slot}:{token}")
            pieces.append(piece)
            labels.append(legible(piece) or "(nothing)")
            series.append(slot)
            hover.append(html.escape(f"{labels[-1]} · id {token} · {times[token]} times"))
    if not ids:
        return None
    note = f"First {ON_MAP} distinct tokens of each; vectors: hashed byte n-grams of the piece, not a model."
    names = tuple(titles(bench.chosen))
    return MapPoints(
        tuple(ids), ngram_vectors(pieces), tuple(labels), tuple(series), names, note, tuple(hover)
    )


def figures_of(bench: Bench) -> list[Any]:
    """Return the bars of lengths, the tokens' sizes, and the matrix of shared boundaries."""
    from components.plots import tokenization as plots

    names = titles(bench.chosen)
    counts = {names[slot]: len(r.pieces) for slot, _, r in bench.done}
    sizes = {names[slot]: lengths(r.pieces) for slot, _, r in bench.done}
    matrix = agreement([r.pieces for _, _, r in bench.done])
    return [
        plots.token_counts(counts),
        plots.token_lengths(sizes),
        plots.shared_boundaries(list(counts), matrix),
    ]


def read_text(path: str) -> str:
    """Return the text of an uploaded file; what is not UTF-8 is refused."""
    raw = Path(path).read_bytes()[: 4 * LONGEST + 4]
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # a file longer than any text that fits is cut, perhaps inside its last character
        if len(raw) > 4 * LONGEST and error.start > 4 * LONGEST - 4:
            return raw[: error.start].decode("utf-8-sig")
        raise InputError(f"Byte {error.start:,} of the file is not UTF-8; save it as UTF-8 text.") from None


def reader(value: Any, path: str | None) -> Any:
    """Return the methods strip with the tokenizer that reads a file in it, if a file was brought."""
    names = [name for name in tokenizers.names() if tokenizers[name].reading is not Tokenizer.reading]
    if not path or any(entry["method"] in names for entry in value):
        return value
    return [*value[: MOST - 1], spec(tokenizers[names[0]])]


def read_tokenizer(path: str | None) -> str:
    """Return the text of an uploaded tokenizer.json, empty where there is none."""
    if not path:
        return ""
    size = Path(path).stat().st_size
    if size > LARGEST_FILE:
        raise InputError(f"The file has {size:,} bytes; up to {LARGEST_FILE:,} fit: upload a smaller one.")
    return Path(path).read_text(encoding="utf-8", errors="replace")


def records(bench: Bench) -> list[dict[str, Any]]:
    """Return a run for a program: per tokenizer its tokens, where they lie, and the measures."""
    found: list[dict[str, Any]] = []
    for slot, (method, result) in enumerate(zip(bench.chosen, bench.results, strict=True)):
        entry: dict[str, Any] = {
            "method": method.name, "knobs": {name: getattr(method, name) for name in method.knobs()},
        }  # fmt: skip
        if isinstance(result, str):
            found.append(entry | {"refused": result})
            continue
        spans, cuts = character_spans(result.pieces)
        tokens = [
            {"id": token, "bytes": piece.hex(), "text": piece.decode(errors="replace"),
             "start": a, "end": b, "cut": cut}
            for token, piece, (a, b), cut in zip(
                result.ids, result.pieces, spans.tolist(), cuts.tolist(), strict=True
            )
        ]
        known = asdict(bench.measures[slot]).items()
        values = {k: None if math.isnan(v) else v for k, v in known}  # JSON has no nan
        found.append(entry | {"vocabulary": result.vocabulary, "measures": values, "tokens": tokens})
    return found


def files_of(bench: Bench) -> list[str]:
    """Write the tokens and the numbers (CSV, JSON) and return the paths."""
    folder = Path(tempfile.mkdtemp(prefix="tokens-"))
    with (folder / "numbers.csv").open("w", newline="", encoding="utf-8") as out:
        table = [["" if isinstance(c, float) and math.isnan(c) else c for c in row] for row in rows(bench)]
        csv.writer(out).writerows([("method", *COLUMNS), *table])
    run = records(bench)
    with (folder / "tokens.csv").open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(("method", "index", "id", "piece", "bytes", "start", "end", "cuts a character"))
        for title, entry in zip(titles(bench.chosen), run, strict=True):
            for i, t in enumerate(entry.get("tokens", ())):
                # behind the quote a spreadsheet keeps a piece like =1 as text
                piece = "'" + legible(bytes.fromhex(t["bytes"]))
                writer.writerow((title, i, t["id"], piece, t["bytes"], t["start"], t["end"], t["cut"]))
    (folder / "tokens.json").write_text(json.dumps(run, ensure_ascii=False, indent=1), encoding="utf-8")
    return [str(path) for path in sorted(folder.iterdir())]
