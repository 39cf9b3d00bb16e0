"""Draws each panel shape of a lab as a plotly figure; strips, tables and sounds are not figures."""

import numpy as np
import plotly.graph_objects as go

from components.method import Bars, Curves, HeatMap, ImageOverlay, Scatter
from components.plots.palette import DIVERGING, SCALE, base_layout, hue

Drawable = Curves | HeatMap | Scatter | Bars | ImageOverlay
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")


def panel(shape: Drawable) -> go.Figure:
    """Return the figure of one panel."""
    match shape:
        case Curves():
            return _curves(shape)
        case HeatMap():
            return _heat_map(shape)
        case Scatter():
            return _scatter(shape)
        case Bars():
            return _bars(shape)
        case ImageOverlay():
            return _image(shape)


def _axes(figure: go.Figure, title: str, x: str, y: str, height: int) -> go.Figure:
    figure.update_layout(**base_layout(title, height), xaxis_title=x, yaxis_title=y)
    return figure


def _curves(shape: Curves) -> go.Figure:
    figure = go.Figure()
    for i, (name, (x, y)) in enumerate(shape.lines.items()):
        mode = "lines+markers" if len(x) <= 40 else "lines"
        figure.add_scatter(x=x, y=y, name=name, mode=mode, line={"color": hue(i), "dash": DASHES[i % 6]},
                           marker={"color": hue(i), "symbol": i})
    _axes(figure, shape.title, shape.x, shape.y, 340)
    if shape.log:
        figure.update_xaxes(type="log")
        figure.update_yaxes(type="log")
    return figure


def _heat_map(shape: HeatMap) -> go.Figure:
    figure = go.Figure(go.Heatmap(
        z=shape.values, x=list(shape.columns) or None, y=list(shape.rows) or None,
        colorscale=DIVERGING if shape.diverging else SCALE, zmid=0 if shape.diverging else None,
        colorbar={"title": {"text": shape.unit}, "thickness": 12}, hoverongaps=False,
    ))
    _axes(figure, shape.title, shape.x, shape.y, 400)
    figure.update_yaxes(autorange="reversed")
    return figure


def _scatter(shape: Scatter) -> go.Figure:
    figure = go.Figure()
    groups = np.array(shape.groups or ("",) * len(shape.points))
    for i, name in enumerate(dict.fromkeys(groups.tolist())):
        inside = np.flatnonzero(groups == name)
        figure.add_scatter(x=shape.points[inside, 0], y=shape.points[inside, 1], name=name or None,
                           mode="markers",
                           text=[shape.labels[j] for j in inside], hovertemplate="%{text}<extra></extra>",
                           marker={"color": hue(i), "symbol": i % 6, "size": 8}, showlegend=bool(name))
    return _axes(figure, shape.title, shape.x, shape.y, 400)


def _bars(shape: Bars) -> go.Figure:
    figure = go.Figure(go.Bar(x=list(shape.values), y=list(shape.values.values()), marker={"color": hue(0)}))
    return _axes(figure, shape.title, "", shape.y, 320)


def _image(shape: ImageOverlay) -> go.Figure:
    figure = go.Figure(go.Image(z=shape.image, hoverinfo="skip"))
    if shape.layer is not None:
        figure.add_heatmap(z=shape.layer, colorscale=SCALE, opacity=0.6, hoverongaps=False,
                           colorbar={"thickness": 12})
    _axes(figure, shape.title, "", "", 380)
    figure.update_xaxes(visible=False, constrain="domain")
    figure.update_yaxes(visible=False, scaleanchor="x")
    return figure
