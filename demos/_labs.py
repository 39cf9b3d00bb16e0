"""The labs of a tab: a grid of cards; an open one shows its sentences, knobs and, when run, panels."""

import html
from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr
import numpy as np

from components.method import Audio, Family, Lab, Panel, Table, TokenStrip
from components.models import ModelStore
from demos._controls import MODEL_EVENTS, MethodPicker, card_html, methods, number, shown
from demos._linked import PanelList, plain


def panels(shapes: Sequence[Panel]) -> list[dict[str, Any]]:
    """Return panels as the page draws them: figures as data, tables and strips as HTML, sounds as files."""
    from components.plots.panels import panel

    drawn: list[dict[str, Any]] = []
    for shape in shapes:
        entry: dict[str, Any] = {"title": shape.title}
        match shape:
            case Table():
                entry["html"] = _table(shape)
            case TokenStrip():
                entry["html"] = _strip(shape)
            case Audio():
                entry["url"] = sound_url(shape.samples, shape.rate)
            case _:
                entry["figure"] = plain(panel(shape))
        drawn.append(entry)
    return drawn


def sound_url(samples: Any, rate: int) -> str:
    """Write mono samples (n,) in -1..1 as a WAV into Gradio's cache; return its address."""
    from gradio.processing_utils import save_audio_to_cache
    from gradio.utils import get_upload_folder

    whole = np.clip(np.asarray(samples) * 32767, -32768, 32767).astype(np.int16)
    path: str = save_audio_to_cache(whole, rate, "wav", get_upload_folder())
    return "gradio_api/file=" + path


def _table(shape: Table) -> str:
    head = "".join(f"<th scope='col'>{html.escape(name)}</th>" for name in shape.columns)
    rows = "".join(
        "<tr>" + "".join(f"<td>{html.escape(number(cell))}</td>" for cell in row) + "</tr>"
        for row in shape.rows
    )
    return f"<table class='ts-numbers'><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _strip(shape: TokenStrip) -> str:
    weights = np.zeros(len(shape.pieces)) if shape.weights is None else np.asarray(shape.weights, float)
    top = max(float(np.nanmax(weights, initial=0.0)), 1e-12)
    chips = "".join(
        f"<span class='ts-chip' style='--share:{max(0.0, weight) / top:.3f}'>{html.escape(piece)}</span>"
        for piece, weight in zip(shape.pieces, weights, strict=True)
    )
    return f"<div class='ts-chips'>{chips}</div>"


def labs_area(
    family: Family[Any], make_input: Callable[..., Any], inputs: Sequence[Any], models: ModelStore, tab: str
) -> None:
    """Lay out the labs of `family`; `make_input(*values of inputs)` gives a lab's input."""
    names = family.names()
    if not names:
        return
    grid = "".join(
        f"<article class='ts-card'><h4>{html.escape(family[name].card.title)}</h4>"
        f"<p>{html.escape(family[name].opening[0])}</p></article>"
        for name in names
    )
    gr.HTML(
        f"<h3>Labs</h3><div class='ts-cards'>{grid}</div>", apply_default_css=False, elem_id=f"{tab}-labs"
    )
    with gr.Accordion("Open a lab", open=False):
        picker = MethodPicker(family, chosen=names[:1], most=1, elem_id=f"{tab}-lab")
        about = gr.HTML(_about(family, names[0]), elem_id=f"{tab}-lab-about", apply_default_css=False)
        with gr.Row():
            button = gr.Button("Run the lab", elem_id=f"{tab}-lab-run", size="sm", variant="primary", scale=0)
            stop = gr.Button("Cancel", elem_id=f"{tab}-lab-cancel", size="sm", scale=0)
        shapes = PanelList(label="Lab", elem_id=f"{tab}-lab-panels")

    @shown
    def run(value: Any, *values: Any, progress: gr.Progress = gr.Progress()) -> list[dict[str, Any]]:  # noqa: B008
        lab: Lab = methods(family, value)[0]
        progress(0.1, desc=f"Running {lab.card.title}")
        return panels(lab(make_input(*values), models))  # type: ignore[operator]

    picker.change(
        lambda value: _about(family, value[0]["method"]),
        picker,
        about,
        queue=False,
        show_progress="hidden",
        api_visibility="private",
    )
    running = button.click(
        run, [picker, *inputs], shapes, concurrency_id=MODEL_EVENTS, api_name=f"{tab}_lab"
    )
    stop.click(None, cancels=[running], api_visibility="private")


def _about(family: Family[Any], name: str) -> str:
    lab = family[name]
    sentences = "".join(f"<p>{html.escape(sentence)}</p>" for sentence in lab.opening)
    return f"<div class='ts-about'>{sentences}</div>{card_html(lab.card)}"
