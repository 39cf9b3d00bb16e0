"""Figures of the tokenizer comparison: lengths, premiums, token sizes and shared boundaries."""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from components.plots.palette import SCALE, base_layout, hue

HEIGHT = 300


def token_counts(counts: Mapping[str, int]) -> go.Figure:
    """Return one bar a method: the tokens it needs; `counts` maps a method's title to them, in slot order."""
    figure = go.Figure(layout=base_layout("Tokens by tokenizer", HEIGHT))
    titles = list(counts)
    figure.add_bar(
        x=titles,
        y=list(counts.values()),
        marker_color=[hue(slot) for slot in range(len(titles))],
        text=[f"{count:,}" for count in counts.values()],
        hovertemplate="%{x}<br>%{y:,} tokens<extra></extra>",
    )
    figure.update_yaxes(title="tokens", rangemode="tozero")
    return figure


def premiums(table: Mapping[str, Mapping[str, float]], base: str) -> go.Figure:
    """Return bars of tokens relative to the base language; `table` is title → language → premium (or nan)."""
    figure = go.Figure(layout=base_layout(f"Tokens for the same sentences, {base} = 1", HEIGHT + 60))
    for slot, (title, row) in enumerate(table.items()):
        figure.add_bar(
            x=list(row),
            y=list(row.values()),
            name=title,
            marker_color=hue(slot),
            hovertemplate=f"{title}<br>%{{x}}<br>%{{y:.2f}} times<extra></extra>",
        )
    figure.add_hline(y=1, line_width=1, line_dash="dot", line_color="gray")
    figure.update_layout(barmode="group")
    figure.update_yaxes(title=f"tokens / tokens of {base}", rangemode="tozero")
    return figure


def token_lengths(histograms: Mapping[str, Mapping[int, int]]) -> go.Figure:
    """Return the share of tokens of each length in bytes; `histograms` is title → length → tokens."""
    figure = go.Figure(layout=base_layout("Length of the tokens", HEIGHT))
    for slot, (title, row) in enumerate(histograms.items()):
        total = max(1, sum(row.values()))
        figure.add_scatter(
            x=list(row),
            y=[100 * count / total for count in row.values()],
            name=title,
            mode="lines+markers",
            line={"color": hue(slot), "shape": "hvh"},
            hovertemplate=f"{title}<br>%{{x}} bytes: %{{y:.1f}} %<extra></extra>",
        )
    figure.update_xaxes(title="bytes in a token")
    figure.update_yaxes(title="tokens (%)", rangemode="tozero")
    return figure


def shared_boundaries(titles: Sequence[str], values: NDArray[np.float64]) -> go.Figure:
    """Return a matrix (methods, methods): the Jaccard index of the boundaries of every two."""
    figure = go.Figure(layout=base_layout("Boundaries that two tokenizers share", HEIGHT + 40))
    figure.add_heatmap(
        x=list(titles),
        y=list(titles),
        z=values,
        zmin=0,
        zmax=1,
        colorscale=SCALE,
        texttemplate="%{z:.2f}",
        colorbar={"title": "Jaccard", "thickness": 12},
        hovertemplate="%{y}<br>%{x}<br>Jaccard %{z:.3f}<extra></extra>",
    )
    figure.update_yaxes(autorange="reversed", automargin=True)
    figure.update_xaxes(automargin=True)
    return figure
