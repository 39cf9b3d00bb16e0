"""Pages with every linked view on made data, so that the frame is tested without any tab."""

import time
from dataclasses import dataclass
from typing import Any

import gradio as gr
import numpy as np
import plotly.graph_objects as go
from fastapi import FastAPI

from components.errors import InputError
from components.method import Card, Family, Finding, Method, choice, knob, switch
from components.numerics.projection import MapPoints
from components.plots.palette import ACCENT, base_layout
from demos import _controls, _layout, _linked, _server

CARD = Card(
    "Made method", "Nobody et al.", 2026, "https://example.org", "It is <b>made</b>.", "1", "all of it"
)
family: Family[Any] = Family("tests.browser.none")
family._complete = True


class _Made(Method):
    @classmethod
    def check(cls, models: Any) -> Finding:
        return Finding("2", "1", False, "made data, n = 1", "none")


@dataclass(frozen=True)
class Other(_Made):
    card = Card("Other <i>method</i>", "Nobody", 2026, "https://example.org", "None.", "none", "all")


@dataclass(frozen=True)
class Made(_Made):
    card = CARD
    spread: float = knob(1.0, 0.0, 4.0, 0.5, "Spread")
    count: int = knob(3, 1, 9, 1, "Count", live=False)
    shape: str = choice("round", ("round", "long"), "Shape")
    mirrored: bool = switch(False, "Mirrored")


for name, cls in {"made": Made, "other": Other}.items():
    cls.name = name
    family._members[name] = cls


def mounted(blocks: gr.Blocks) -> FastAPI:
    """Return the application that serves `blocks` as the app serves its page."""
    blocks.queue()
    app = FastAPI()
    app.router.routes.extend(r for r in _server.create_routes().routes)
    return gr.mount_gradio_app(app, blocks, path="/", css_paths=[_server.CSS], theme=_server.theme(),
                               ssr_mode=False, run_history=False, footer_links=["api"])  # fmt: skip


def bars(ids: tuple[str, ...], title: str, names: tuple[str, ...] = ()) -> go.Figure:
    """Return eight bars that can be chosen; `names` replace the bars' numbers."""
    x = list(names) or list(range(8))
    bar = go.Bar(x=x, y=[3, 1, 4, 1, 5, 9, 2, 6], customdata=list(ids[:8]), text=list(names),
                 selected={"marker": {"color": ACCENT}}, unselected={"marker": {"opacity": 0.3}})  # fmt: skip
    return go.Figure(bar, {**base_layout(title, 260), "xaxis": {"title": {"text": "bar"}}})


def chips(labels: tuple[str, ...], ids: tuple[str, ...]) -> str:
    import html

    inner = "".join(
        f"<span class='ts-chip' data-piece='{i}'>{html.escape(label)}</span>"
        for i, label in zip(ids, labels, strict=True)
    )  # fmt: skip
    return f"<div class='ts-chips'>{inner}</div>"


def page(pieces: int, labels: tuple[str, ...] = ()) -> FastAPI:
    """Return a page of one map of `pieces` points, bars, chips, a methods strip and what Python heard."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(pieces, 16))
    ids = tuple(f"0:{i}" for i in range(pieces))
    names = (labels * pieces)[:pieces] if labels else tuple(f"piece {i}" for i in range(pieces))

    def points(spread: float) -> MapPoints:
        made = labels[:1] or ("made",)
        return MapPoints(
            ids, vectors * [spread, *[1] * 15], names, (0,) * pieces, made, "16 numbers a piece."
        )

    with gr.Blocks(title="Frame", analytics_enabled=False) as blocks:
        gr.HTML("<h1>Frame</h1>", apply_default_css=False)
        with _layout.strip():
            picker = _controls.MethodPicker(family, chosen=["made"], elem_id="methods")
        with _layout.workbench():
            with _layout.signal():
                drawn = bars(ids, labels[0] if labels else "Eight bars", labels[:8])
                figure = _linked.Figure(drawn, label="Bars",
                                        elem_id="bars", group="made")  # fmt: skip
                pieces_view = _linked.Pieces(chips(names[:8], ids[:8]), elem_id="chips", group="made")
                table = _controls.numbers(("pieces",), [(names[0], pieces), (names[1], 2.345)])
                gr.HTML(table, elem_id="numbers",
                        apply_default_css=False)  # fmt: skip
            with _layout.map_region():
                view = _linked.EmbeddingMap(points(1.0), label="Map", elem_id="map", group="made")
        said = gr.Textbox(label="Python heard", elem_id="heard")
        settings = gr.Textbox(label="Knobs", elem_id="knobs")
        other = gr.Button("Set from the server", elem_id="set")
        refused = gr.Button("Refuse", elem_id="refuse")
        slow = gr.Button("Work slowly", elem_id="slow")

        def hear(event: gr.EventData) -> str:
            return ",".join(_linked.chosen(event))

        for part in (figure, pieces_view, view):
            part.select(hear, None, said, queue=False, show_progress="hidden", trigger_mode="always_last")

        def turn(value: Any) -> tuple[str, MapPoints]:
            made = _controls.methods(family, value)
            return repr(made), points(getattr(made[0], "spread", 1.0))

        @_controls.shown
        def refuse() -> str:
            raise InputError(f"Not {names[0]}; give another.")

        def work() -> tuple[Any, str]:
            time.sleep(1.5)
            return bars(ids, "Done slowly"), "<p>done</p>"

        picker.change(turn, picker, [settings, view], queue=False, show_progress="hidden")
        other.click(lambda: [_controls.spec(Made, spread=2.5)], None, picker, queue=False)
        refused.click(refuse, None, said, queue=False)
        slow.click(work, None, [figure, pieces_view])
        with _layout.more("Empty views"):
            _linked.EmbeddingMap(None, label="Empty map", elem_id="none", group="none")
            _linked.Figure(
                None, label="Empty figure", elem_id="no-bars", group="none", empty="Nothing is drawn yet."
            )
        _controls.card_area(family, picker, None, "made")  # type: ignore[arg-type]
    return mounted(blocks)
