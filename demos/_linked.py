"""Views that share one selection: figures, the embedding map, chips and lists, the player, a lab's panels.

Each is a `gr.HTML` whose drawing is done by `demos/page/*.js`. Views of one `group` light up together in the
browser; `.select` then tells Python the final selection, whose ids `chosen` reads.
"""

import base64
import json
from typing import Any

import gradio as gr
import numpy as np

from components.numerics.projection import MapPoints
from demos._projections import PROJECTIONS

FIXED = ("group", "height", "empty", "schema", "most")  # what a view is given once
SCRIPTS = {"page": "tokenscope/page.js", "plotly": "tokenscope/plotly.js"}


def _head(plotly: bool) -> str:
    names = ["plotly", "page"] if plotly else ["page"]
    return "".join(f'<script src="{SCRIPTS[name]}"></script>' for name in names)


def _on_load(kind: str, fixed: dict[str, Any]) -> str:
    # Gradio's own place for properties is lost by any update of a view that is not on the screen, so they go
    # here; the quoted event names are how Gradio knows which events this component has
    parts = "{element, trigger, props, watch, server}"
    return (
        f'window.tokenscope.mount("{kind}", {parts}, {json.dumps(fixed)}); /* emits "select" and "input" */'
    )


class _View(gr.HTML):
    """A component drawn by the page's script; its value is plain data."""

    kind = ""
    plotly = True

    def __init__(self, value: Any = None, *, label: str = "", elem_id: str, **props: Any) -> None:
        fixed = {"group": elem_id, "id": elem_id, **{k: v for k, v in props.items() if k in FIXED}}
        super().__init__(
            value=value,
            label=label,
            elem_id=elem_id,
            html_template='<div class="ts-root"></div>',
            js_on_load=_on_load(self.kind, fixed),
            head=_head(self.plotly),
            apply_default_css=False,
            elem_classes=[f"ts-{self.kind}"],
            **{k: v for k, v in props.items() if k not in FIXED},
        )

    def preprocess(self, payload: Any) -> Any:
        return payload

    def postprocess(self, value: Any) -> Any:
        return value

    def api_info(self) -> dict[str, Any]:
        return {"type": "object"}


class Figure(_View):
    """Hosts a plotly figure; points, bars and cells with `customdata` ids can be chosen."""

    kind = "figure"

    def postprocess(self, value: Any) -> Any:
        return None if value is None else plain(value)


class EmbeddingMap(_View):
    """Shows `MapPoints` by PCA at once and by UMAP when ready, with a table twin and an export."""

    kind = "map"

    def __init__(self, value: MapPoints | None = None, *, height: int = 380, **props: Any) -> None:
        props.setdefault("empty", "Run a method to see its pieces here.")
        self.height = height
        super().__init__(value, height=height, server_functions=[nearest, umap], **props)

    def postprocess(self, value: Any) -> Any:
        """Project `MapPoints` by PCA; nothing stays nothing."""
        if value is None:
            return None
        points = PROJECTIONS.enter(value)
        return {
            "ids": list(value.ids),
            "labels": list(value.labels),
            "hover": list(value.hover or value.labels),
            "series": list(value.series),
            "names": list(value.names),
            "colours": list(value.colours),
            "pca": np.round(points, 4).tolist(),
            "key": value.digest,
            "note": value.note,
        }


class Pieces(_View):
    """Escaped HTML whose elements with `data-piece` can be chosen by mouse and keyboard."""

    kind = "pieces"
    plotly = False


class Player(_View):
    """Plays a sound, or a chosen piece of it: the value is {"url": ..., "spans": {id: [start, end]}}."""

    kind = "player"
    plotly = False


class WarmUp(_View):
    """A line that says that models are still being loaded, and goes when they are there."""

    kind = "warmup"
    plotly = False


class PanelList(_View):
    """Shows a lab's panels: a list of {"title", "figure" | "html" | "url"}."""

    kind = "panels"

    def api_info(self) -> dict[str, Any]:
        return {"type": "array", "items": {"type": "object"}}


def nearest(question: Any) -> list[tuple[int, float]]:
    """Answer the map's question [key, index] (one list, as Gradio sends it) for a piece's neighbours."""
    match question:
        case [str(key), int(index)]:
            return PROJECTIONS.nearest(key, index)
    return []


def umap(key: str) -> dict[str, Any]:
    """Answer the map's question whether its UMAP is ready."""
    return PROJECTIONS.umap(str(key))


def plain(figure: Any) -> Any:
    """Return a plotly figure as plain data; coordinates and ids, which the page looks up, become lists."""
    if hasattr(figure, "to_plotly_json"):
        figure = {key: value for key, value in figure.to_plotly_json().items() if key in ("data", "layout")}
        figure["layout"].pop("template", None)
    for trace in figure["data"]:
        for key in ("x", "y", "customdata"):
            if isinstance(trace.get(key), dict):
                trace[key] = _unpacked(trace[key])
    return json.loads(json.dumps(figure, default=_listed))


def _unpacked(packed: dict[str, Any]) -> list[Any]:
    """Undo plotly's base64 form of an array."""
    values = np.frombuffer(base64.b64decode(packed["bdata"]), packed["dtype"])
    shape = packed.get("shape")
    listed: list[Any] = (
        values.reshape([int(n) for n in str(shape).split(",")]) if shape else values
    ).tolist()
    return listed


def _listed(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        listed = value.astype(object)
        if value.dtype.kind == "f":
            listed[~np.isfinite(value)] = None  # JSON knows no NaN
        return listed.tolist()
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} is no plain data")


def chosen(event: gr.EventData) -> list[str]:
    """Return the ids that a view's `select` event carries."""
    ids = event._data.get("ids", []) if isinstance(event._data, dict) else []
    return [str(i) for i in ids if isinstance(i, str | int)]
