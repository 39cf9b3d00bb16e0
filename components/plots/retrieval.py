"""Figures of the retrieval tab: token evidence, quality of methods, quality against time."""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from components.plots.palette import ACCENT, SCALE, base_layout, hue

LONGEST_TOKEN = 18  # characters of a tick's label
MOST_TICKS = 60  # document tokens labelled under a heat map; of a longer document only the chosen ones


def token_heat_map(
    title: str,
    query_tokens: Sequence[str],
    document_tokens: Sequence[str],
    similarity: NDArray[np.float32],
    quantity: str,
) -> go.Figure:
    """Return similarity (query tokens, document tokens), a ring on each query token's best match.

    Cells carry the id "t:j" of document token j, so that a click lights it up in the text.
    """
    rows, columns = similarity.shape
    ids = np.array([f"t:{j}" for j in range(columns)])
    best = similarity.argmax(axis=1) if columns else np.zeros(0, dtype=int)
    hover = [[f"{_short(q)} × {_short(d)}" for d in document_tokens] for q in query_tokens]
    figure = go.Figure(
        go.Heatmap(
            z=similarity,
            x=list(range(columns)),
            y=list(range(rows)),
            customdata=np.tile(ids, (rows, 1)).tolist(),
            text=hover,
            hovertemplate="%{text}<br>%{z:.3f}<extra></extra>",
            colorscale=SCALE,
            colorbar={"title": {"text": quantity, "side": "right"}, "thickness": 10},
        )
    )
    matched = [i for i in range(rows) if columns and similarity[i, best[i]] > 0]
    figure.add_scatter(
        x=[int(best[i]) for i in matched],
        y=matched,
        mode="markers",
        marker={"symbol": "circle-open", "size": 11, "color": ACCENT, "line": {"width": 2}},
        customdata=[f"t:{best[i]}" for i in matched],
        text=[f"{_short(query_tokens[i])} → {_short(document_tokens[best[i]])}" for i in matched],
        hovertemplate="%{text}<extra>best match</extra>",
        showlegend=False,
    )
    labelled = list(range(columns)) if columns <= MOST_TICKS else sorted({int(best[i]) for i in matched})
    figure.update_layout(**base_layout(title, max(220, 110 + 22 * rows)))
    figure.update_xaxes(
        tickvals=labelled,
        ticktext=[_short(document_tokens[j]) for j in labelled],
        tickangle=-60,
        title="document tokens, in order",
    )
    figure.update_yaxes(
        tickvals=list(range(rows)), ticktext=[_short(t) for t in query_tokens], autorange="reversed"
    )
    return figure


def quality_bars(methods: Sequence[str], measures: Mapping[str, Sequence[float]], queries: int) -> go.Figure:
    """Return a group of bars a measure, a bar a method; `measures` maps a name to all methods' values."""
    figure = go.Figure()
    names = list(measures)
    for slot, method in enumerate(methods):
        values = [measures[name][slot] for name in names]
        figure.add_bar(
            x=names, y=values, name=_apart(method, slot, methods), marker={"color": hue(slot)},
            text=[f"{v:.3f}" for v in values], textposition="auto",
        )  # fmt: skip
    figure.update_layout(**base_layout(f"Quality over {queries} judged queries", 300), barmode="group")
    figure.update_yaxes(range=[0, 1.05], title="mean over queries (0 to 1)")
    return figure


def latency_quality(
    methods: Sequence[str],
    milliseconds: Sequence[float],
    ndcg: Sequence[float],
    bytes_per_document: Sequence[float],
) -> go.Figure:
    """Return a point a method: time of a query against nDCG@10, larger where documents take more bytes."""
    figure = go.Figure()
    for slot, method in enumerate(methods):
        figure.add_scatter(
            x=[milliseconds[slot]],
            y=[ndcg[slot]],
            mode="markers+text",
            name=_apart(method, slot, methods),
            text=[method],
            textposition="top center",
            marker={"color": hue(slot), "size": 8 + 3 * float(np.log10(1 + bytes_per_document[slot]))},
            hovertemplate=f"%{{x:.3g}} ms, nDCG@10 %{{y:.3f}}<br>{bytes_per_document[slot]:,.0f} bytes",
            showlegend=False,
        )
    figure.update_layout(**base_layout("Quality against time a query", 300))
    figure.update_xaxes(type="log", title="median time a query (ms)")
    figure.update_yaxes(range=[0, 1.05], title="nDCG@10")
    return figure


def _short(token: str) -> str:
    """Return a label without what plotly would read as markup."""
    cut = token if len(token) <= LONGEST_TOKEN else token[: LONGEST_TOKEN - 1] + "…"
    return cut.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _apart(method: str, slot: int, methods: Sequence[str]) -> str:
    """Return the method's name, numbered if it is chosen twice."""
    return method if list(methods).count(method) == 1 else f"{slot + 1}. {method}"
