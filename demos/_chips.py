"""Tokens as chips, one row a tokenizer, aligned on bytes and wrapped where all rows have a boundary."""

import html
import re
from collections.abc import Sequence
from functools import lru_cache, reduce

import numpy as np
from numpy.typing import NDArray

from components.numerics.token_alignment import character_spans, legible
from components.plots.palette import hue
from components.tokenization import Tokens

MOST = 6_000  # chips drawn in all
HEXADECIMAL = re.compile("⟨(?:U\\+)?([0-9A-F]+)⟩")
VIEWS = ("text", "ids", "bytes")
Row = tuple[int, str, Tokens]


def chips(rows: Sequence[Row], refused: Sequence[tuple[int, str]], view: str) -> str:
    """Return the rows (slot, title, tokens) as escaped HTML; `refused` tells which slots have none."""
    legend = "".join(_legend(slot, title, len(tokens.pieces)) for slot, title, tokens in rows)
    notes = "".join(f"<p class='ts-note'>{html.escape(reason)}</p>" for _, reason in refused)
    drawn, note = _drawn(rows, view) if rows else ("", "")
    return f"<div class='ts-bar ts-note'>{legend}</div>{notes}{note}<div class='ts-gloss'>{drawn}</div>"


def _legend(slot: int, title: str, count: int) -> str:
    dot = f"<span class='ts-dot' style='background:{hue(slot)}' aria-hidden='true'></span>"
    return f"<span class='ts-key'>{dot}{html.escape(title)}: {count:,}</span>"


def _drawn(rows: Sequence[Row], view: str) -> tuple[str, str]:
    """Return the segments as HTML, and a note where only the beginning is drawn.

    A segment reaches from one boundary that all rows share to the next; it is a grid whose columns are the
    boundaries of any row, so that what stands above one another covers the same bytes.
    """
    edges = [np.cumsum([0, *map(len, tokens.pieces)]) for _, _, tokens in rows]
    every = reduce(np.union1d, edges)
    shared = reduce(np.intersect1d, edges)
    length = int(every[-1])
    limit = _limit(edges, shared)
    segments: list[list[str]] = [[] for _ in shared]
    for line, ((slot, _, tokens), edge) in enumerate(zip(rows, edges, strict=True), 1):
        count = int(np.searchsorted(edge[1:], limit, side="right"))
        starts, ends = edge[:-1][:count], edge[1:][:count]
        home = np.minimum(np.searchsorted(shared, starts, side="right") - 1, max(0, len(shared) - 2))
        first = np.searchsorted(every, shared[home])
        columns = np.searchsorted(every, np.stack([starts, ends])) - first + 1
        _fill(segments, home, columns, line, slot, tokens, view)
    lines = f"style='grid-template-rows:repeat({len(rows)},auto)'"
    breaks = _line_ends(rows[0][2], shared)
    drawn = "".join(
        f"<div class='ts-seg' {lines}>{''.join(segment)}</div>{'<hr>' if i in breaks else ''}"
        for i, segment in enumerate(segments) if segment
    )  # fmt: skip
    note = f"<p class='ts-note'>{limit:,} of {length:,} bytes are drawn; the numbers are of all.</p>"
    return drawn, note if limit < length else ""


def _limit(edges: Sequence[NDArray[np.int64]], shared: NDArray[np.int64]) -> int:
    """Return the byte up to which to draw: all, or the last shared boundary before a row is full."""
    most = MOST // len(edges)
    limit = min(int(edge[min(most, len(edge) - 1)]) for edge in edges)
    before = shared[shared <= limit]
    return int(before[-1]) if len(before) > 1 else limit


def _fill(
    segments: list[list[str]],
    home: NDArray[np.int64],
    columns: NDArray[np.int64],
    line: int,
    slot: int,
    tokens: Tokens,
    view: str,
) -> None:
    """Add one row's chips to their segments; a piece without bytes shares the cell of its neighbour."""
    spans, _ = character_spans(tokens.pieces[: len(home)])
    ids, pieces, names = tokens.ids, tokens.pieces, tokens.names
    places = np.column_stack([home, columns[0], columns[1], spans]).tolist()
    for i, (segment, begin, end, a, b) in enumerate(places):
        label, told = _piece(pieces[i], ids[i], names[i] if names else "", view)
        empty = " none" if begin == end else ""
        segments[segment].append(
            f'<b data-piece="{slot}:{ids[i]}" class="s{slot % 6} t{i % 2}{empty}" '
            f'style="grid-area:{line}/{begin}/auto/{max(end, begin + 1)}" '
            f'title="{told} · characters {a}–{b}">{label}</b>'
        )


@lru_cache(maxsize=50_000)
def _piece(piece: bytes, token: int, name: str, view: str) -> tuple[str, str]:
    """Return what a chip shows and what hovering tells, both escaped."""
    shown = {"ids": str(token), "bytes": piece.hex(" ").upper()}.get(view, legible(piece))
    label = HEXADECIMAL.sub(r"<i>\1</i>", html.escape(shown)).replace("␣", "<u>·</u>") or "∅"
    spelled = f"{name} · " if name else ""
    return label, html.escape(f"{spelled}id {token} · bytes {piece.hex(' ').upper() or 'none'}")


def _line_ends(tokens: Tokens, shared: NDArray[np.int64]) -> set[int]:
    """Return the segments after which a new line begins: where a segment starts or ends with a line feed."""
    raw = np.frombuffer(b"".join(tokens.pieces), np.uint8)
    feeds = np.flatnonzero(raw == 0x0A)
    home = np.searchsorted(shared, feeds, side="right") - 1
    early = feeds - shared[home] < shared[np.minimum(home + 1, len(shared) - 1)] - 1 - feeds
    return set((home - early).tolist())
