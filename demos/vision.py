"""The vision tab: a picture's tokens dropped and merged, what the network still sees, and what that saves."""

from typing import Any

import gradio as gr

from components.models import ModelStore
from components.numerics.scenes import CLASSES, STYLES
from components.plots.palette import CLASS_COLOURS
from components.vision import labs, reducers
from demos import _controls, _labs, _layout, _linked, _reductions

GROUP = "vision"
MOST = 3
SEEDS = (14, 9, 10, 37)
ANY = ("any", *STYLES)
OPENING = ("todre", "tome")


def build(models: ModelStore) -> _layout.Bench:
    """Lay out the tab."""
    with _layout.strip():
        with gr.Column(scale=3, min_width=300):
            seed, objects, style, seeds = _scene()
        with gr.Column(scale=2, min_width=200):
            photo = _photo()
        with gr.Column(scale=4, min_width=320):
            picker = _controls.MethodPicker(reducers, chosen=OPENING, most=MOST, elem_id="vision-methods")
    with _layout.workbench():
        with _layout.signal():
            signal = _signal()
        with _layout.map_region():
            chart = _linked.EmbeddingMap(label="Patch vectors", elem_id="vision-map", group=GROUP)
            stairs = _linked.Figure(label="Tokens by layer", elem_id="vision-stairs", group=GROUP)
    table = gr.HTML(elem_id="vision-numbers", apply_default_css=False)
    with _layout.more("The matrix W of each method"), gr.Row():
        matrices = [
            _linked.Figure(label=f"W of method {i + 1}", elem_id=f"vision-matrix-{i}", group=GROUP)
            for i in range(MOST)
        ]
    given = [seed, objects, style, photo]
    inputs = [*given, picker]
    outputs = [*signal, table, chart, stairs, *matrices]

    @_controls.shown
    def run(*values: Any) -> list[Any]:
        return _drawn(_bench(models, *values))

    _wire(run, inputs, outputs, picker, (seed, objects, style, photo), seeds)
    _exports(models, inputs)
    _controls.card_area(reducers, picker, models, "vision")
    _labs.labs_area(labs, _reductions.picture_of, given, models, "vision")
    link = {"seed": seed, "objects": objects, "style": style, "methods": picker}
    return _layout.Bench(run, inputs, outputs, link)


def _bench(models: ModelStore, seed: Any, objects: Any, style: str, photo: str | None, value: Any) -> Any:
    chosen = _controls.methods(reducers, value)
    return _reductions.reduce_all(_reductions.picture_of(seed, objects, style, photo), chosen, models)


def _scene() -> tuple[Any, ...]:
    """Lay out the generated scene: examples, seed, number of objects, light."""
    with gr.Row(elem_classes="ts-examples"):
        seeds = [
            gr.Button(f"Scene {s}", size="sm", min_width=70, elem_id=f"vision-scene-{s}") for s in SEEDS
        ]
    with gr.Row():
        seed = gr.Number(
            SEEDS[0], label="Scene (seed)", precision=0, minimum=0, min_width=90, elem_id="vision-seed"
        )
        objects = gr.Slider(
            0, 8, 0, step=1, label="Objects (0: any)", min_width=130, elem_id="vision-objects"
        )
        style = gr.Dropdown(ANY, value="any", label="Light", min_width=90, elem_id="vision-style")
    return seed, objects, style, seeds


def _photo() -> gr.File:
    """Lay out the upload, with what the network can and cannot do on photos."""
    photo = gr.File(
        label="Or a photo", file_types=["image"], type="filepath", height=132, elem_id="vision-photo"
    )
    note = "Trained on generated scenes: on a photo watch what a method changes, not the labels."
    gr.HTML(f"<p class='ts-note'>{note}</p>", apply_default_css=False)
    return photo


def _signal() -> list[Any]:
    """Lay out the columns: all tokens, then one a method; the classes' colours below."""
    with gr.Row():
        columns = []
        for i in range(MOST + 1):
            with gr.Column(min_width=180, visible=i < 3) as column:
                name = "Picture and truth" if i == 0 else f"Method {i}"
                figure = _linked.Figure(label=name, elem_id=f"vision-column-{i}", group=GROUP, height=620)
            columns += [column, figure]
    chips = "".join(
        f"<span><span class='ts-dot' style='background:{colour}' aria-hidden='true'></span>{name}</span>"
        for name, colour in zip(CLASSES, CLASS_COLOURS, strict=True)
    )
    scale = "<span>Disparity: dark is far, bright near</span>"
    legend = f"<div class='ts-bar ts-note' style='gap:1rem'>Classes: {chips} {scale}</div>"
    gr.HTML(legend, apply_default_css=False)
    return columns


def _drawn(bench: _reductions.Bench) -> list[Any]:
    """Return the value of every output."""
    from components.plots import vision as plots

    before, truth = bench.before, bench.picture.scene
    columns = [gr.skip(), plots.reference(before.image, before.side, before.prediction, truth)]
    matrices: list[Any] = []
    by_slot = {slot: result for slot, _, result in bench.done}
    for slot in range(MOST):
        columns.append(gr.update(visible=slot in by_slot))
        if slot not in by_slot:
            columns.append(None)
            matrices.append(gr.update(value=None, visible=False))
            continue
        result, title = by_slot[slot], bench.titles[slot]
        columns.append(plots.workings(result, slot, title, before.prediction, truth))
        whole = result.composed[0]
        drawn = plots.matrix(whole.rows, whole.columns, whole.weights, whole.shape, f"W of {title}")
        matrices.append(gr.update(value=drawn, visible=True))
    stairs = plots.token_stairs([(slot, bench.titles[slot], r.tokens) for slot, _, r in bench.done])
    return [*columns, _reductions.numbers_of(bench), _reductions.map_of(bench), stairs, *matrices]


def _wire(run: Any, inputs: list[Any], outputs: list[Any], picker: Any, given: Any, seeds: list[Any]) -> None:
    """Run on every change of picture or methods; the example buttons put a scene in and the photo away."""
    seed, objects, style, photo = given
    for button, number in zip(seeds, SEEDS, strict=True):
        button.click(
            lambda n=number: (n, 0, "any", None), None, [seed, objects, style, photo], queue=False,
            api_visibility="private", show_progress="hidden",
        )  # fmt: skip
    running = gr.on(
        [part.change for part in (seed, objects, style, photo, picker)], run, inputs, outputs,
        trigger_mode="always_last", concurrency_id=_controls.MODEL_EVENTS, show_progress="minimal",
        api_visibility="private",
    )  # fmt: skip
    _controls.cancel(running, "vision")


def _exports(models: ModelStore, inputs: list[Any]) -> None:
    """Lay out the files to take away, and the endpoint that gives a program the same."""

    @_controls.shown
    def export(*values: Any) -> list[str]:
        return _reductions.files_of(_bench(models, *values))

    @_controls.shown
    def reduce(seed: Any, objects: Any, style: str, picture: str | None, methods: Any) -> list[Any]:
        """Reduce one picture (a file, or the scene of a seed) by each method; all tokens come first."""
        return _reductions.records(_bench(models, seed, objects, style, picture, methods))

    with _layout.more("Take it away: numbers (CSV, JSON), W (safetensors), overlays (PNG)"):
        button = gr.Button("Make the files", size="sm", scale=0, elem_id="vision-export")
        files = gr.File(label="Files", file_count="multiple", interactive=False, elem_id="vision-files")
    button.click(export, inputs, files, concurrency_id=_controls.MODEL_EVENTS, api_name="vision_export")
    answer, ask = gr.JSON(visible=False), gr.Button(visible=False)
    ask.click(reduce, inputs, answer, concurrency_id=_controls.MODEL_EVENTS, api_name="reduce")
