"""Segments in the formats of the field: Praat TextGrid (written and read), CSV and JSON."""

import csv
import io
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.errors import InputError
from components.speech import Segmentation

Interval = tuple[float, float, str]
LARGEST_TEXTGRID = 8_000_000  # bytes
# Praat reads only strings, flags and free-standing numbers; words and bracketed numbers are for people
_TOKEN = re.compile(r'"(?:[^"]|"")*"|<[^<>\n]*>|![^\n]*|[^\s"]+')
_NOT = "This is no readable Praat TextGrid; save it from Praat as a text file, long or short, and try again."


def intervals(bounds: NDArray[np.floating[Any]], labels: Sequence[str] | None = None) -> list[Interval]:
    """Return segments (segments, 2) as labelled intervals; without labels they are numbered from 1."""
    names = labels or [str(i + 1) for i in range(len(bounds))]
    return [(float(a), float(b), name) for (a, b), name in zip(bounds, names, strict=True)]


def textgrid(tiers: Mapping[str, Sequence[Interval]], seconds: float) -> str:
    """Write interval tiers in Praat's long text format; pauses become empty intervals."""
    end = max([seconds, *(tier[-1][1] for tier in tiers.values() if tier)])
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0"]
    lines += [f"xmax = {end!r}", "tiers? <exists>", f"size = {len(tiers)}", "item []:"]
    for number, (name, tier) in enumerate(tiers.items(), 1):
        filled = contiguous(tier, end)
        lines += [f"    item [{number}]:", '        class = "IntervalTier"']
        lines += [f"        name = {_quoted(name)}", "        xmin = 0"]
        lines += [f"        xmax = {end!r}", f"        intervals: size = {len(filled)}"]
        for index, (start, stop, label) in enumerate(filled, 1):
            lines += [f"        intervals [{index}]:", f"            xmin = {start!r}"]
            lines += [f"            xmax = {stop!r}", f"            text = {_quoted(label)}"]
    return "\n".join(lines) + "\n"


def contiguous(tier: Sequence[Interval], end: float) -> list[Interval]:
    """Fill the gaps of a tier from 0 to `end` with empty intervals; what has no length is left out."""
    filled: list[Interval] = []
    at = 0.0
    for start, stop, label in tier:
        begin = max(start, at)
        if stop <= begin:
            continue
        if begin > at:
            filled.append((at, begin, ""))
        filled.append((begin, stop, label))
        at = stop
    if at < end or not filled:
        filled.append((at, end, ""))
    return filled


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def read_textgrid(data: bytes) -> dict[str, list[Interval]]:
    """Read a TextGrid, long or short, in UTF-8 or UTF-16: the labelled intervals of each interval tier.

    Empty intervals are pauses and are left out, point tiers too; times are seconds.
    """
    if len(data) > LARGEST_TEXTGRID:
        raise InputError(f"The TextGrid has {len(data):,} bytes; up to {LARGEST_TEXTGRID:,} fit: cut it.")
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        tokens = _tokens(data.decode(encoding))
        if [next(tokens), next(tokens)] != ["ooTextFile", "TextGrid"]:
            raise InputError(_NOT)
        _times(tokens)
        if next(tokens) is not True:
            return {}
        return _tiers(tokens)
    except (UnicodeDecodeError, StopIteration):
        raise InputError(_NOT) from None


def _tokens(text: str) -> Any:
    """Yield the strings, numbers and the flag <exists> (as True) of a Praat text file."""
    for token in _TOKEN.findall(text):
        if token[0] == '"':
            yield token[1:-1].replace('""', '"')
        elif token[0] == "<":
            yield token == "<exists>"
        elif token[0] != "!":
            try:
                yield float(token)
            except ValueError:
                continue


def _times(tokens: Any) -> tuple[float, float]:
    """Read a start and an end in seconds."""
    start, end = next(tokens), next(tokens)
    fit = all(isinstance(t, float) and math.isfinite(t) for t in (start, end))
    if not fit or not start <= end:
        raise InputError(_NOT)
    return start, end


def _tiers(tokens: Any) -> dict[str, list[Interval]]:
    found: dict[str, list[Interval]] = {}
    for _ in range(_count(tokens)):
        kind, name = next(tokens), str(next(tokens))
        _times(tokens)
        rows: list[Interval] = []
        for _ in range(_count(tokens)):
            if kind != "IntervalTier":
                next(tokens), next(tokens)  # a point: its time and its mark
                continue
            start, end = _times(tokens)
            label = str(next(tokens))
            if label.strip() and end > start:
                rows.append((start, end, label))
        if kind == "IntervalTier":
            found[name] = sorted(rows)
    return found


def _count(tokens: Any) -> int:
    count = next(tokens)
    if not isinstance(count, float) or not 0 <= count <= 1e6 or count != int(count):
        raise InputError(_NOT)
    return int(count)


def table(segmentations: Mapping[str, Segmentation]) -> str:
    """Write all segments as CSV: method, number from 1, start, end and duration in seconds."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["method", "segment", "start_s", "end_s", "duration_s"])
    for title, found in segmentations.items():
        for number, (start, end) in enumerate(found.bounds.tolist(), 1):
            writer.writerow([title, number, f"{start:.4f}", f"{end:.4f}", f"{end - start:.4f}"])
    return out.getvalue()


def as_data(found: Segmentation, vectors: bool = True) -> dict[str, Any]:
    """Return a segmentation as plain data: bounds in seconds, times of the run, and the vectors if wanted."""
    data: dict[str, Any] = {
        "bounds": np.round(found.bounds, 4).tolist(),
        "milliseconds": {name: round(value, 3) for name, value in found.milliseconds.items()},
    }
    if vectors:
        data["vectors"] = np.round(found.embeddings.astype(np.float64), 4).tolist()
    return data


def as_json(segmentations: Mapping[str, Segmentation], clip: str, seconds: float) -> str:
    """Write all segmentations of one clip as JSON."""
    methods = {title: as_data(found) for title, found in segmentations.items()}
    return json.dumps({"clip": clip, "seconds": round(seconds, 4), "methods": methods}, ensure_ascii=False)
