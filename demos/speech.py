"""The speech tab: a clip cut into syllables by several methods, seen, heard and scored."""

from typing import Any

import gradio as gr

from components.models import ModelStore
from components.speech import Clip, labs, segmenters
from components.speech._examples import names, titles
from demos import _controls, _labs, _layout, _linked, _segments

GROUP = "speech"
OPENING = ("sylber", ("sylber", {"decoder": "norm and cosine (paper)"}), "energy_valleys")
FORMATS = "WAV, FLAC, OGG, MP3 or AIFF; 0.1 s to 1 h; nothing leaves this server."


def build(models: ModelStore) -> _layout.Bench:
    """Lay out the tab."""
    with _layout.strip():
        with gr.Column(scale=3, min_width=300):
            name = _examples()
        with gr.Column(scale=3, min_width=280):
            audio = gr.Audio(
                label="Or your own clip", sources=["upload", "microphone"], type="filepath",
                editable=False, elem_id="speech-audio",
            )  # fmt: skip
            gr.HTML(f"<p class='ts-note'>{FORMATS}</p>", apply_default_css=False)
        with gr.Column(scale=4, min_width=320):
            picker = _controls.MethodPicker(segmenters, chosen=OPENING, elem_id="speech-methods")
    with _layout.workbench():
        with _layout.signal():
            player = _linked.Player(label="The clip", elem_id="speech-player", group=GROUP)
            figure = _linked.Figure(label="Sound and segments", elem_id="speech-figure", group=GROUP)
            start = gr.Slider(
                0, 1, 0, step=1, label="View from (s)", visible=False, elem_id="speech-start"
            )
            table = gr.HTML(elem_id="speech-numbers", apply_default_css=False)
        with _layout.map_region():
            chart = _linked.EmbeddingMap(label="Segment vectors", elem_id="speech-map", group=GROUP)
            square = _linked.Figure(label="Similarity of frames", elem_id="speech-similarity", group=GROUP)
    with _layout.more("Score against your own marks (Praat TextGrid)"):
        marks = gr.File(
            label="TextGrid of this clip: the tier named “syl…”, else the first", type="binary",
            file_types=[".TextGrid"], height=120, elem_id="speech-marks",
        )  # fmt: skip
    inputs = [name, audio, marks, start, picker]
    outputs = [player, figure, start, chart, square, table]

    @_controls.shown
    def run(*values: Any) -> tuple[Any, ...]:
        return _drawn(_bench(models, *values), values[3], models)

    _wire(run, inputs, outputs)
    _exports(models, inputs)
    _controls.card_area(segmenters, picker, models, "speech")

    def clip(name: str | None, path: str | None) -> Clip:
        return _segments.clip_of(name, path, models)[0]

    _labs.labs_area(labs, clip, [name, audio], models, "speech")
    return _layout.Bench(run, inputs, outputs, {"clip": name, "from": start, "methods": picker})


def _examples() -> gr.Radio:
    """Lay out the built-in clips, one click each."""
    choices = [(title, one) for one, title in titles().items()]
    label = "Synthetic speech with exact syllable marks"
    return gr.Radio(choices, value=names()[0], label=label, elem_id="speech-example")


def _bench(
    models: ModelStore, name: str | None, path: str | None, marks: bytes | None, start: Any, value: Any
) -> _segments.Bench:
    chosen = _controls.methods(segmenters, value)
    return _segments.segment_all(name, path, marks, chosen, models)


def _drawn(bench: _segments.Bench, start: float, models: ModelStore) -> tuple[Any, ...]:
    """Return the value of every output; the slider shows only where the clip is longer than the view."""
    points = _segments.map_of(bench)
    furthest = max(0.0, bench.clip.seconds - _segments.VIEW)
    slider = gr.update(
        visible=furthest > 0, maximum=max(1.0, round(furthest, 1)), value=_segments.window_start(bench, start)
    )
    return (
        _segments.sound_of(bench, start, points), _segments.figure_of(bench, start, models), slider, points,
        _segments.similarity_of(bench, start), _segments.numbers_of(bench),
    )  # fmt: skip


def _wire(run: Any, inputs: list[Any], outputs: list[Any]) -> None:
    """Run on every change; an example puts the user's own clip away, and the other way round."""
    name, audio, marks, start, picker = inputs
    quiet = {"queue": False, "api_visibility": "private", "show_progress": "hidden"}
    name.input(lambda: (None, None, 0), None, [audio, marks, start], **quiet)
    audio.input(lambda path: (None if path else names()[0], None, 0), audio, [name, marks, start], **quiet)
    # the ids of one clip's segments mean nothing on another's
    forget = f"() => window.tokenscope.select('{GROUP}', [], null)"
    gr.on([name.change, audio.change, picker.change], None, js=forget, **quiet)
    running = gr.on(
        [name.change, audio.change, marks.change, start.release, picker.change], run, inputs, outputs,
        trigger_mode="always_last", concurrency_id=_controls.MODEL_EVENTS, show_progress="minimal",
        api_visibility="private",
    )  # fmt: skip
    _controls.cancel(running, "speech")


def _exports(models: ModelStore, inputs: list[Any]) -> None:
    """Lay out the files to take away, and the endpoint that gives a program the same."""

    @_controls.shown
    def export(*values: Any) -> list[str]:
        return _segments.files_of(_bench(models, *values))

    @_controls.shown
    def segment(clip: str | None, audio: str | None, methods: Any) -> list[dict[str, Any]]:
        """Cut one clip (a file, or a built-in one by name) by each method."""
        return _segments.records(_bench(models, clip, audio, None, 0, methods))

    with _layout.more("Take it away: Praat TextGrid, CSV, JSON with the vectors"):
        button = gr.Button("Make the files", size="sm", scale=0, elem_id="speech-export")
        files = gr.File(label="Files", file_count="multiple", interactive=False, elem_id="speech-files")
    button.click(export, inputs, files, concurrency_id=_controls.MODEL_EVENTS, api_name="speech_export")
    name, audio, _, _, picker = inputs
    answer, ask = gr.JSON(visible=False), gr.Button(visible=False)
    ask.click(
        segment, [name, audio, picker], answer, concurrency_id=_controls.MODEL_EVENTS, api_name="segment"
    )
