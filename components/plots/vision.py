"""Pictures of a token reduction: which patches stay, what the heads say before and after, tokens by layer, W.

Images are PNG data URIs under a transparent grid of patches, so that every patch can be clicked: its id is
`patch:<index>`, row by row from 0, the same in every figure.
"""

import base64
from functools import lru_cache
from io import BytesIO
from typing import Any, Protocol

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from PIL import Image
from plotly.colors import sample_colorscale

from components.plots.palette import CLASS_COLOURS, DIVERGING, SCALE, base_layout, hue

Pixels = NDArray[np.uint8]
Sheet = dict[str, Any]  # data and layout of a figure in the making
WRONG = np.array([178, 24, 43], dtype=np.float64)
CLEAR = [[0, "rgba(0,0,0,0)"], [1, "rgba(0,0,0,0)"]]
ZOOM = 3  # pixels of the overlay per pixel of the image: patch outlines stay sharp
LARGEST_ERROR = 0.3  # of disparity: where the diverging scale ends


class Answer(Protocol):
    """What the heads say: class (size, size) and disparity (size, size)."""

    @property
    def segmentation(self) -> NDArray[Any]: ...
    @property
    def disparity(self) -> NDArray[Any]: ...


class Reduced(Protocol):
    """What one method left of one picture; see `components.vision.Reduction`."""

    @property
    def image(self) -> Pixels: ...
    @property
    def side(self) -> int: ...
    @property
    def kept(self) -> NDArray[np.int64]: ...
    @property
    def regions(self) -> NDArray[np.int64]: ...
    @property
    def order(self) -> tuple[int, ...]: ...
    @property
    def prediction(self) -> Any: ...


def patch_id(index: int) -> str:
    """Return the id by which all figures and the map know a patch."""
    return f"patch:{index}"


def reference(image: Pixels, side: int, before: Answer, truth: Answer | None) -> go.Figure:
    """Return the input, the unreduced answer and, where it is known, the truth."""
    sheet = _column("Picture, all tokens kept", ground=None)
    _tile(sheet, 0, _enlarged(image), "Input", side, _places(side))
    _tile(sheet, 1, class_picture(before.segmentation), "Classes", side, _places(side))
    _tile(sheet, 3, disparity_picture(before.disparity), "Disparity", side, _places(side))
    if truth is not None:
        _tile(sheet, 2, class_picture(truth.segmentation), "Truth", side, _places(side))
        _tile(sheet, 4, disparity_picture(truth.disparity), "Truth", side, _places(side))
    return go.Figure(sheet)


def workings(result: Reduced, slot: int, title: str, before: Answer, truth: Answer | None) -> go.Figure:
    """Return one method's column: patches kept or merged, classes and disparity after it, and their errors.

    Errors are against the truth; where there is none, against the answer with all tokens.
    """
    right, kind = (before, "changed") if truth is None else (truth, "wrong")
    after, side = result.prediction, result.side
    wrong = after.segmentation != right.segmentation
    error = after.disparity.astype(np.float64) - right.disparity
    sheet = _column(title, ground=hue(slot))
    _tile(sheet, 0, overlay(result), _summary(result), side, _fates(result))
    _tile(sheet, 1, class_picture(after.segmentation), "Classes", side, _places(side))
    share = [f"{100 * s:.0f} % {kind}" for s in _by_patch(wrong, side)]
    _tile(sheet, 2, error_picture(result.image, wrong), f"{100 * wrong.mean():.1f} % {kind}", side, share)
    _tile(sheet, 3, disparity_picture(after.disparity), "Disparity", side, _places(side))
    signed = [f"{s:+.2f}" for s in _by_patch(error, side)]
    _tile(sheet, 4, difference_picture(error), f"Error, ±{LARGEST_ERROR:g}", side, signed)
    if result.order:
        _order(sheet, result)
    return go.Figure(sheet)


def overlay(result: Reduced) -> Pixels:
    """Return the image enlarged: dropped patches greyed, merged ones in their mean colour."""
    side, size = result.side, result.image.shape[0] * ZOOM
    labels = np.arange(size) * side // size
    patch = labels[:, None] * side + labels[None, :]
    shown = _enlarged(result.image).astype(np.float64)
    if len(result.kept) < side * side:
        dropped = ~np.isin(patch, result.kept)
        grey = shown.mean(axis=2, keepdims=True)
        shown[dropped] = (0.25 * shown + 0.75 * (0.35 * grey + 110))[dropped]
        return shown.astype(np.uint8)
    region = result.regions[patch]
    if region.max() == side * side:
        return shown.astype(np.uint8)
    mass = np.bincount(region.ravel())
    means = [
        np.bincount(region.ravel(), weights=shown[..., c].ravel()) / np.maximum(mass, 1) for c in range(3)
    ]
    shown = np.stack([mean[region] for mean in means], axis=2)
    edge = np.zeros(region.shape, dtype=np.bool_)
    edge[:, 1:] |= region[:, 1:] != region[:, :-1]
    edge[1:] |= region[1:] != region[:-1]
    shown[edge] *= 0.35
    return shown.astype(np.uint8)


def class_picture(labels: NDArray[Any]) -> Pixels:
    """Return classes (size, size) in their colours (size, size, 3)."""
    table = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in CLASS_COLOURS], dtype=np.uint8)
    coloured: Pixels = table[labels]
    return coloured


def disparity_picture(disparity: NDArray[Any]) -> Pixels:
    """Return disparity (size, size), 0 far to 1 near, on the even scale (size, size, 3)."""
    return _coloured(np.clip(disparity, 0, 1), SCALE)


def difference_picture(error: NDArray[Any]) -> Pixels:
    """Return signed errors (size, size) on the diverging scale, white at zero, red where too near."""
    return _coloured(0.5 - np.clip(error / LARGEST_ERROR, -1, 1) / 2, DIVERGING)


def error_picture(image: Pixels, wrong: NDArray[np.bool_]) -> Pixels:
    """Return the image in pale grey with the wrong pixels in red."""
    shown = np.repeat(0.3 * image.mean(axis=2, keepdims=True) + 165, 3, axis=2)
    shown[wrong] = WRONG
    return shown.astype(np.uint8)


def token_stairs(lines: list[tuple[int, str, tuple[int, ...]]]) -> go.Figure:
    """Return the tokens that enter each layer and leave the last; a line is (slot, title, tokens)."""
    figure = go.Figure()
    for slot, name, tokens in lines:
        places = ["" if i + 1 < len(tokens) else "left" for i in range(len(tokens))]
        figure.add_scatter(
            x=list(range(1, len(tokens) + 1)), y=list(tokens), name=name, mode="lines+markers", text=places,
            line={"color": hue(slot), "shape": "hv", "dash": ("solid", "dash", "dot")[slot % 3]},
            marker={"symbol": slot % 6}, hovertemplate="layer %{x}: %{y} tokens %{text}<extra></extra>",
        )  # fmt: skip
    figure.update_layout(**base_layout("Tokens that enter each layer", 320))
    figure.update_layout(legend={"y": -0.38}, margin={"b": 120})
    figure.update_xaxes(title="layer", dtick=1)
    figure.update_yaxes(title="tokens", rangemode="tozero")
    return figure


def matrix(
    rows: NDArray[Any], columns: NDArray[Any], weights: NDArray[Any], shape: tuple[int, int], title: str
) -> go.Figure:
    """Return W (tokens out, tokens in) by its non-zero entries, each for the patch of its column."""
    ids = [patch_id(int(c) - 1) if c else "cls" for c in columns]
    points = go.Scattergl if len(rows) > 1500 else go.Scatter
    figure = go.Figure(points(
        x=columns, y=rows, mode="markers", customdata=ids,
        marker={"symbol": "square", "size": 5, "color": weights, "colorscale": SCALE, "cmin": 0, "cmax": 1,
                "colorbar": {"title": {"text": "weight"}, "thickness": 10}},
        hovertemplate="token %{y} takes %{marker.color:.3f} of token %{x}<extra></extra>",
    ))  # fmt: skip
    figure.update_layout(**base_layout(title, 320))
    figure.update_xaxes(title="token in (0 is CLS)", range=[-2, shape[1] + 1])
    figure.update_yaxes(title="token out", range=[shape[0] + 1, -2])
    return figure


# ---- the parts of a column
# --------------------------------------------------------------------------------------

DOMAINS = (
    ((0.0, 1.0), (0.52, 0.965)), ((0.0, 0.485), (0.265, 0.475)), ((0.515, 1.0), (0.265, 0.475)),
    ((0.0, 0.485), (0.0, 0.21)), ((0.515, 1.0), (0.0, 0.21)),
)  # fmt: skip


def _column(title: str, ground: str | None) -> Sheet:
    layout = base_layout(title, 620)
    layout |= {"margin": {"l": 4, "r": 4, "t": 36, "b": 4}, "showlegend": False, "dragmode": False}
    layout |= {"images": [], "annotations": [], "shapes": []}
    if ground:  # the method's hue, as everywhere
        line = {"color": ground, "width": 4}
        ends = {"x0": 0, "x1": 1, "y0": 1.005, "y1": 1.005, "xref": "paper", "yref": "paper"}
        layout["shapes"].append({"type": "line", "line": line, **ends})
    return {"data": [], "layout": layout}


def _tile(sheet: Sheet, place: int, picture: Pixels, title: str, side: int, texts: list[str]) -> None:
    """Add one picture with its heading and its transparent grid of patches."""
    number = "" if place == 0 else str(place + 1)
    x, y, layout = f"x{number}", f"y{number}", sheet["layout"]
    (left, right), (low, high) = DOMAINS[place]
    sheet["data"].append({
        "type": "heatmap", "z": [[0] * side] * side, "xaxis": x, "yaxis": y, "colorscale": CLEAR,
        "showscale": False, "x0": 0, "dx": 1, "y0": 0, "dy": 1,
        "customdata": [[patch_id(r * side + c) for c in range(side)] for r in range(side)],
        "text": [texts[r * side : (r + 1) * side] for r in range(side)],
        "hovertemplate": "row %{y}, column %{x}<br>%{text}<extra></extra>",
    })  # fmt: skip
    frame = {"visible": False, "constrain": "domain", "fixedrange": True}
    layout[f"xaxis{number}"] = {**frame, "domain": [left, right], "range": [-0.5, side - 0.5], "anchor": y}
    layout[f"yaxis{number}"] = {
        **frame, "domain": [low, high], "range": [side - 0.5, -0.5], "scaleanchor": x, "anchor": x,
    }  # fmt: skip
    layout["images"].append({
        "source": data_uri(picture), "xref": x, "yref": y, "x": -0.5, "y": -0.5, "sizex": side, "sizey": side,
        "sizing": "stretch", "layer": "below",
    })  # fmt: skip
    layout["annotations"].append({
        "text": title, "xref": "paper", "yref": "paper", "x": (left + right) / 2, "y": high,
        "yanchor": "bottom", "xanchor": "center", "showarrow": False, "font": {"size": 12},
    })  # fmt: skip


def _order(sheet: Sheet, result: Reduced) -> None:
    """Add a frame to every chosen patch, coloured by when it was chosen; the pivot's is a star."""
    at = np.array(result.order)
    ranks = list(range(1, len(at) + 1))
    sheet["data"].append({
        "type": "scatter", "x": (at % result.side).tolist(), "y": (at // result.side).tolist(),
        "mode": "markers", "customdata": [patch_id(int(i)) for i in at],
        "marker": {"symbol": ["star" if r == 1 else "square-open" for r in ranks], "size": 11, "color": ranks,
                   "colorscale": SCALE, "line": {"width": 2.5}},
        "text": [f"chosen as number {r}" for r in ranks], "hovertemplate": "%{text}<extra></extra>",
    })  # fmt: skip


def _summary(result: Reduced) -> str:
    patches = result.side**2
    if len(result.kept) < patches:
        order = ", dark first" if result.order else ""
        return f"{len(result.kept)} of {patches} kept{order}"
    left = len(np.unique(result.regions))
    return f"{patches} patches in {left} tokens" if left < patches else f"All {patches} patches kept"


def _fates(result: Reduced) -> list[str]:
    """Return what became of each patch."""
    kept = set(result.kept.tolist())
    sizes = np.bincount(result.regions)
    if len(kept) == result.side**2:
        return [
            f"one of {sizes[r]} patches in token {r}" if sizes[r] > 1 else "alone" for r in result.regions
        ]
    return [
        "kept" if i in kept else f"dropped; filled from token {r}" for i, r in enumerate(result.regions)
    ]  # fmt: skip


def _places(side: int) -> list[str]:
    return [f"patch {i}" for i in range(side * side)]


def _by_patch(values: NDArray[Any], side: int) -> list[float]:
    """Return the mean of values (size, size) over each patch."""
    step = values.shape[0] // side
    means: list[float] = values.reshape(side, step, side, step).mean(axis=(1, 3)).ravel().tolist()
    return means


def _enlarged(image: Pixels) -> Pixels:
    return image.repeat(ZOOM, axis=0).repeat(ZOOM, axis=1)


@lru_cache(maxsize=4)
def _table(scale: str) -> Pixels:
    colours = sample_colorscale(scale, list(np.linspace(0, 1, 256)), colortype="tuple")
    return np.round(255 * np.array(colours)).astype(np.uint8)


def _coloured(share: NDArray[Any], scale: str) -> Pixels:
    picked: Pixels = _table(scale)[np.round(255 * np.nan_to_num(share)).astype(np.int64)]
    return picked


def data_uri(picture: Pixels) -> str:
    """Return the picture as a PNG in a data URI."""
    out = BytesIO()
    Image.fromarray(picture).save(out, "PNG", compress_level=6)
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()
