"""A page with every linked view on made data, so that the frame is tested without any tab."""

from dataclasses import dataclass
from typing import Any

import gradio as gr
import numpy as np
import plotly.graph_objects as go
from fastapi import FastAPI

from components.method import Card, Family, Finding, Method, choice, knob, switch
from components.numerics.projection import MapPoints
from demos import _controls, _layout, _linked, _server

CARD = Card("Made method", "Nobody et al.", 2026, "https://example.org", "It is <b>made</b>.", "1", "all of it")
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
    shape: str = choice("round", ("round", "long"), "Shape")
    mirrored: bool = switch(False, "Mirrored")


for name, cls in {"made": Made, "other": Other}.items():
    cls.name = name
    family._members[name] = cls


def page(pieces: int) -> FastAPI:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(pieces, 16))
    ids = tuple(f"0:{i}" for i in range(pieces))

    def points(spread: float) -> MapPoints:
        labels = tuple(f"piece {i}" for i in range(pieces))
        return MapPoints(ids, vectors * [spread, *[1] * 15], labels, (0,) * pieces, ("made",), "16 numbers a piece.")

    def bars() -> go.Figure:
        return go.Figure(go.Bar(x=list(range(8)), y=[3, 1, 4, 1, 5, 9, 2, 6], customdata=list(ids[:8])))

    with gr.Blocks(analytics_enabled=False) as blocks:
        with _layout.strip():
            picker = _controls.MethodPicker(family, chosen=["made"], elem_id="methods")
        with _layout.workbench():
            with _layout.signal():
                figure = _linked.Figure(bars(), label="Bars", elem_id="bars", group="made")
                chips = "".join(f"<span class='ts-chip' data-piece='{i}'>chip {i}</span>" for i in ids[:8])
                pieces_view = _linked.Pieces(f"<div class='ts-chips'>{chips}</div>", elem_id="chips", group="made")
            with _layout.map_region():
                view = _linked.EmbeddingMap(points(1.0), label="Map", elem_id="map", group="made")
        said = gr.Textbox(label="Python heard", elem_id="heard")
        settings = gr.Textbox(label="Knobs", elem_id="knobs")

        def hear(event: gr.EventData) -> str:
            return ",".join(_linked.chosen(event))

        for part in (figure, pieces_view, view):
            part.select(hear, None, said, queue=False, show_progress="hidden")

        def turn(value: Any) -> tuple[str, MapPoints]:
            made = _controls.methods(family, value)
            return repr(made), points(getattr(made[0], "spread", 1.0))

        picker.change(turn, picker, [settings, view], queue=False, show_progress="hidden")
    blocks.queue()
    app = FastAPI()
    app.router.routes.extend(r for r in _server.create_routes().routes)
    return gr.mount_gradio_app(app, blocks, path="/", css_paths=[_server.CSS], theme=_server.theme(),
                               ssr_mode=False, run_history=False)
