"""The speech tab's figures: everything about one clip on one time axis, within a bounded size of data."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from components.numerics.spectra import extremes, wide_band
from components.plots.palette import ACCENT, SCALE, base_layout, hue, tints

Array = NDArray[np.floating[Any]]
GREY = "#808890"  # legible on light and dark ground
_NEUTRAL = ("#4d5661", "#66707c")  # white labels are legible on both
_MOST_POINTS = 1500  # of a curve
_WAVE, _SPECTRUM, _BARS, _CURVE, _GAP = 56, 170, 40, 74, 8  # pixels
_TOP, _BOTTOM = 40, 44
_RANGE = 60  # dB from white to black


@dataclass(frozen=True, eq=False)
class Curve:
    """A curve over the frames (frames,): frame `i` lies at `i / rate + offset` seconds."""

    title: str
    values: Array
    rate: float
    offset: float
    threshold: float | None = None


@dataclass(frozen=True, eq=False)
class Row:
    """The segments of one method: bounds (segments, 2) in seconds and the curves they were decided on."""

    title: str
    bounds: Array
    curves: tuple[Curve, ...] = ()


@dataclass(frozen=True, eq=False)
class Truth:
    """Segments that are known: bounds (segments, 2) in seconds and a label each."""

    title: str
    bounds: Array
    labels: Sequence[str]


def timeline(
    samples: Array,
    rate: int,
    rows: Sequence[Row],
    truth: Truth | None = None,
    start: float = 0.0,
    stop: float | None = None,
    levels: Array | None = None,
) -> go.Figure:
    """Draw waveform, spectrogram, known segments, a bar row a method and the curves, `start` to `stop` s.

    Segment `k` of method `slot` carries the id "slot:k". Curves and sound are thinned to what a screen shows.
    levels (rows, columns) is the stretch's `wide_band` spectrogram, computed here where it is not given.
    """
    end = min(stop or np.inf, len(samples) / rate)
    part = samples[int(start * rate) : max(int(end * rate), int(start * rate) + 1)]
    curves = [(slot, curve) for slot, row in enumerate(rows) for curve in row.curves]
    bars = len(rows) + (truth is not None)
    stack = _Stack([_WAVE, _SPECTRUM, *[_BARS] * bars, *[_CURVE] * len(curves)])
    figure = go.Figure()
    _waveform(figure, stack, part, start, end)
    _spectrogram(figure, stack, wide_band(part, rate) if levels is None else levels, start, end)
    if truth is not None:
        _known(figure, stack, truth, start, end)
    for slot, row in enumerate(rows):
        _segments(figure, stack, slot, row, start, end)
    for slot, curve in curves:
        _curve(figure, stack, slot, curve, start, end)
    stack.finish(figure, start, end)
    return figure


class _Stack:
    """Panels of given heights in pixels, from the top down, over one time axis."""

    def __init__(self, heights: Sequence[int]) -> None:
        self._heights = list(heights)
        self._total = sum(heights) + _GAP * (len(heights) - 1)
        self._used = 0
        self._at = 0
        self._axes: dict[str, Any] = {}
        self._notes: list[dict[str, Any]] = []

    def panel(self, title: str, axis: dict[str, Any], colour: str | None = None) -> str:
        """Open the next panel, return the name of its y axis; the title takes 15 pixels above the data."""
        height = self._heights[self._at]
        top = 1 - self._used / self._total
        bottom = max(0.0, 1 - (self._used + height) / self._total)
        self._used += height + _GAP
        self._at += 1
        number = "" if self._at == 1 else str(self._at)
        inside = top - 15 / self._total
        common = {"domain": [bottom, inside], "fixedrange": True, "zeroline": False}
        self._axes[f"yaxis{number}"] = common | axis
        note = {"text": title, "x": 0, "y": top, "xref": "paper", "yref": "paper", "showarrow": False}
        note |= {"xanchor": "left", "yanchor": "top", "font": {"size": 11}, "borderpad": 0}
        self._notes.append(note | {"xshift": 13 if colour else 0})
        if colour:
            self._notes.append(note | {"text": "■", "font": {"size": 11, "color": colour}})
        return f"y{number}"

    def finish(self, figure: go.Figure, start: float, end: float) -> None:
        """Set the layout that all panels share."""
        layout = base_layout("Sound and segments over time", self._total + _TOP + _BOTTOM)
        layout |= {"margin": {"l": 34, "r": 8, "t": _TOP, "b": _BOTTOM}}
        layout |= {"showlegend": False, "barmode": "overlay"}
        figure.update_layout(**layout, **self._axes, annotations=self._notes, dragmode="zoom")
        figure.update_xaxes(
            title="time (s)", range=[start, end], anchor="free", position=0, zeroline=False, showgrid=False
        )


def _waveform(figure: go.Figure, stack: _Stack, part: Array, start: float, end: float) -> None:
    _, values = extremes(part, 1400)
    axis = stack.panel("Waveform", {"visible": False})
    figure.add_scatter(
        x0=round(start, 4), dx=(end - start) / len(values), y=_numbers(values), yaxis=axis, mode="lines",
        line={"color": GREY, "width": 1}, hoverinfo="skip", name="waveform",
    )  # fmt: skip


def _spectrogram(figure: go.Figure, stack: _Stack, levels: Array, start: float, end: float) -> None:
    ticks = {"tickvals": [0, 1, 2, 3, 4, 5], "range": [0, 5], "showgrid": False}
    axis = stack.panel("Spectrogram, 5 ms window (kHz)", ticks)
    step = (end - start) / levels.shape[1]
    figure.add_heatmap(
        z=np.clip(levels, -_RANGE - 1, 0).round().astype(np.int8), yaxis=axis, colorscale=SCALE,
        x0=start + step / 2, dx=step, y0=2.5 / len(levels), dy=5 / len(levels), zmin=-_RANGE, zmax=0,
        showscale=False, name="spectrogram",
        hovertemplate="%{x:.3f} s, %{y:.2f} kHz: %{z} dB below the loudest<extra></extra>",
    )  # fmt: skip


def _known(figure: go.Figure, stack: _Stack, truth: Truth, start: float, end: float) -> None:
    axis = stack.panel(truth.title, _BAR_AXIS)
    shown = _within(truth.bounds, start, end)
    figure.add_bar(
        **_bars(truth.bounds[shown], axis, [_NEUTRAL[k % 2] for k in shown]), name=truth.title,
        text=[truth.labels[k] for k in shown], textposition="inside", insidetextanchor="middle", textangle=0,
        textfont={"size": 11, "color": "#ffffff"},
        hovertemplate="%{text}: %{base:.3f} s, %{x:.3f} s long<extra></extra>",
    )  # fmt: skip


def _segments(figure: go.Figure, stack: _Stack, slot: int, row: Row, start: float, end: float) -> None:
    axis = stack.panel(row.title, _BAR_AXIS, hue(slot))
    shown = _within(row.bounds, start, end)
    spans = row.bounds[shown].tolist()
    figure.add_bar(
        **_bars(row.bounds[shown], axis, [tints(slot)[k % 2] for k in shown]), name=row.title,
        customdata=[f"{slot}:{k}" for k in shown], selected={"marker": {"color": ACCENT, "opacity": 1}},
        unselected={"marker": {"opacity": 0.35}},
        hovertext=[f"segment {k + 1}, {a:.3f} to {b:.3f} s" for k, (a, b) in zip(shown, spans, strict=True)],
        hovertemplate="%{hovertext}<extra></extra>",
    )  # fmt: skip


_BAR_AXIS = {"visible": False, "range": [-0.5, 0.5]}


def _bars(bounds: Array, axis: str, colours: list[str]) -> dict[str, Any]:
    return {
        "base": _numbers(bounds[:, 0]), "x": _numbers(bounds[:, 1] - bounds[:, 0]), "y": [0] * len(bounds),
        "orientation": "h", "width": 1, "yaxis": axis, "marker": {"color": colours, "line": {"width": 0}},
    }  # fmt: skip


def _curve(
    figure: go.Figure, stack: _Stack, slot: int, curve: Curve, start: float, end: float
) -> None:
    axis = stack.panel(curve.title, {"nticks": 3}, hue(slot))
    first = max(0, int(np.floor((start - curve.offset) * curve.rate)))
    last = max(first + 1, int(np.ceil((end - curve.offset) * curve.rate)) + 1)
    values = curve.values[first:last]
    stride = max(1, int(np.ceil(len(values) / _MOST_POINTS)))
    figure.add_scatter(
        x0=first / curve.rate + curve.offset, dx=stride / curve.rate, y=_numbers(values[::stride]),
        yaxis=axis, mode="lines", line={"color": hue(slot), "width": 1.5}, name=curve.title,
        hovertemplate="%{x:.3f} s: %{y:.3g}<extra></extra>",
    )  # fmt: skip
    if curve.threshold is not None:
        figure.add_scatter(
            x=[start, end], y=[float(curve.threshold)] * 2, yaxis=axis, mode="lines", name="threshold",
            line={"color": ACCENT, "width": 1, "dash": "dash"},
            hovertemplate="threshold %{y:.3g}<extra></extra>",
        )  # fmt: skip


def _within(bounds: Array, start: float, end: float) -> NDArray[np.int64]:
    """Return the numbers of the segments that reach into the window."""
    return np.flatnonzero((bounds[:, 1] > start) & (bounds[:, 0] < end))


def _numbers(values: Array) -> list[float | None]:
    """Return values as plain numbers with four decimals, nothing where they are not finite."""
    rounded: list[float] = np.round(np.asarray(values, np.float64), 4).tolist()
    return [value if value - value == 0 else None for value in rounded]


def similarity(
    values: Array, start: float, stop: float, bounds: Array, title: str
) -> go.Figure:
    """Draw the cosine of every frame with every other (frames, frames), with the segments as squares.

    The frames lie evenly from `start` to `stop` seconds; bounds (segments, 2) are in seconds too.
    """
    step = (stop - start) / len(values)
    figure = go.Figure(
        go.Heatmap(
            z=np.clip(np.round(100 * values), -100, 100).astype(np.int8),
            x0=start + step / 2, dx=step, y0=start + step / 2, dy=step, colorscale=SCALE, zmin=0, zmax=100,
            colorbar={"title": {"text": "cos·100", "font": {"size": 11}}, "thickness": 8, "len": 0.9},
            hovertemplate="%{x:.2f} s and %{y:.2f} s: %{z}<extra></extra>",
        )
    )  # fmt: skip
    corners = [(a, a, b, b, a, None) for a, b in np.round(bounds, 4).tolist()]
    other = [(a, b, b, a, a, None) for a, b in np.round(bounds, 4).tolist()]
    figure.add_scatter(
        x=[v for square in corners for v in square], y=[v for square in other for v in square], mode="lines",
        line={"color": "#ffffff", "width": 1.5}, hoverinfo="skip", showlegend=False,
    )  # fmt: skip
    layout = base_layout(f"Frame similarity: {title}", 360)
    figure.update_layout(**layout | {"margin": {"l": 34, "r": 8, "t": 36, "b": 40}})
    figure.update_xaxes(title="time (s)", range=[start, stop], constrain="domain", showgrid=False)
    figure.update_yaxes(range=[stop, start], scaleanchor="x", constrain="domain", showgrid=False)
    return figure
