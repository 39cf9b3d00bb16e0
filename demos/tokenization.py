"""The tokenizer tab: one text cut by up to six tokenizers, aligned, measured, and taken away."""

from typing import Any

import gradio as gr

from components.models import ModelStore
from components.tokenization import Text, labs, tokenizers
from components.tokenization._samples import KINDS, sample
from demos import _chips, _controls, _labs, _layout, _linked, _tokens

GROUP = "tokenization"
OPENING = ("bpe", "bert", "sentencepiece_mistral", "tekken")
FIRST = (
    "The harbour clock was eleven minutes slow — 1234567 ms, naïvely.\n"
    "Çekoslovakyalılaştıramadıklarımızdan mısınız? 日本語, नमस्ते, שלום 👨‍👩‍👧\n"
    "if x[0] == 'a': return {'id': 0x7f}"
)


def build(models: ModelStore) -> _layout.Bench:
    """Lay out the tab."""
    with _layout.strip():
        with gr.Column(scale=3, min_width=320):
            examples, text, upload = _text()
        with gr.Column(scale=3, min_width=320):
            picker = _controls.MethodPicker(
                tokenizers, chosen=OPENING, most=_tokens.MOST, elem_id="tokenization-methods"
            )
            file = gr.UploadButton(
                "Open a tokenizer.json of your own", size="sm", file_types=[".json"],
                elem_id="tokenization-file",
            )
    with _layout.workbench():
        with _layout.signal():
            view = gr.Radio(
                list(_chips.VIEWS), value="text", label="Chips show", container=False,
                elem_id="tokenization-view",
            )
            chips = _linked.Pieces(label="Tokens", elem_id="tokenization-chips", group=GROUP)
        with _layout.map_region():
            chart = _linked.EmbeddingMap(label="Distinct tokens", elem_id="tokenization-map", group=GROUP)
    table = gr.HTML(elem_id="tokenization-numbers", apply_default_css=False)
    with _layout.more("Compare lengths and boundaries"):
        figures = [
            _linked.Figure(label=label, elem_id=f"tokenization-{key}", group=GROUP)
            for key, label in (("counts", "Tokens"), ("lengths", "Token length"), ("shared", "Boundaries"))
        ]
    inputs = [text, picker, file, view]
    typed, rest = [chips, table], [chart, *figures]

    @_controls.shown
    def run(*values: Any) -> list[Any]:
        bench = _bench(models, *values[:3])
        return [*_typed(bench, values[3]), *_rest(bench)]

    _wire(models, inputs, typed, rest)
    _fill(text, examples, upload)
    _exports(models, inputs)
    _controls.card_area(tokenizers, picker, models, "tokenization")
    _labs.labs_area(labs, Text, [text], models, "tokenization")
    link = {"text": text, "methods": picker, "view": view}
    return _layout.Bench(run, inputs, [*typed, *rest], link)


def _text() -> tuple[dict[str, gr.Button], gr.Textbox, gr.UploadButton]:
    """Lay out what text it is about: examples, a box to write in, a file."""
    with gr.Row(elem_classes="ts-examples"):
        examples = {
            kind: gr.Button(kind, size="sm", min_width=90, elem_id=f"tokenization-example-{name}")
            for kind, name in KINDS.items()
        }
        upload = gr.UploadButton(
            "Open a text file", size="sm", file_types=["text"], elem_id="tokenization-upload"
        )
    text = gr.Textbox(
        FIRST, label="Text (up to 200,000 characters)", lines=4, max_lines=6, elem_id="tokenization-text"
    )
    return examples, text, upload


def _bench(models: ModelStore, text: str, value: Any, file: str | None) -> _tokens.Bench:
    chosen = _controls.methods(tokenizers, value)
    return _tokens.tokenize_all(text, chosen, _tokens.read_tokenizer(file), models)


def _typed(bench: _tokens.Bench, view: str) -> list[Any]:
    """Return what follows every key: the chips and the numbers."""
    names = _controls.titles(bench.chosen)
    rows = [(slot, names[slot], tokens) for slot, _, tokens in bench.done]
    refused = [(i, f"{names[i]}: {r}") for i, r in enumerate(bench.results) if isinstance(r, str)]
    return [_chips.chips(rows, refused, view), _tokens.numbers_of(bench)]


def _rest(bench: _tokens.Bench) -> list[Any]:
    """Return what may come a moment later: the map and the figures."""
    return [_tokens.map_of(bench), *_tokens.figures_of(bench)]


def _wire(models: ModelStore, inputs: list[Any], typed: list[Any], rest: list[Any]) -> None:
    """Follow every change without the queue; only the newest text of those that wait is drawn."""
    text, picker, file, view = inputs
    changes = [text.change, picker.change, file.upload]
    quiet: dict[str, Any] = {"queue": False, "api_visibility": "private", "show_progress": "hidden"}

    @_controls.shown
    def draw(*values: Any) -> list[Any]:
        return _typed(_bench(models, *values[:3]), values[3])

    @_controls.shown
    def draw_rest(*values: Any) -> list[Any]:
        return _rest(_bench(models, *values[:3]))

    file.upload(_tokens.reader, [picker, file], picker, **quiet)
    gr.on([*changes, view.change], draw, inputs, typed, trigger_mode="always_last", **quiet)
    gr.on(changes, draw_rest, inputs, rest, trigger_mode="always_last", **quiet)


def _fill(text: gr.Textbox, examples: dict[str, gr.Button], upload: gr.UploadButton) -> None:
    """Put an example or a file into the box; the box then does the rest."""
    quiet: dict[str, Any] = {"queue": False, "api_visibility": "private", "show_progress": "hidden"}
    for kind, button in examples.items():
        button.click(lambda kind=kind: sample(kind), None, text, **quiet)
    upload.upload(_controls.shown(_tokens.read_text), upload, text, **quiet)


def _exports(models: ModelStore, inputs: list[Any]) -> None:
    """Lay out the files to take away, and the endpoint that gives a program the same."""

    @_controls.shown
    def export(*values: Any) -> list[str]:
        return _tokens.files_of(_bench(models, *values[:3]))

    @_controls.shown
    def tokenize(text: str, methods: list[dict[str, Any]], tokenizer_json: str = "") -> list[dict[str, Any]]:
        """Cut a text by each of [{method, knobs}]: ids, bytes, characters, and the measures of each."""
        chosen = _controls.methods(tokenizers, methods)
        return _tokens.records(_tokens.tokenize_all(text, chosen, tokenizer_json, models))

    with _layout.more("Take it away: tokens and numbers (CSV, JSON)"):
        button = gr.Button("Make the files", size="sm", scale=0, elem_id="tokenization-export")
        files = gr.File(label="Files", file_count="multiple", interactive=False, elem_id="tokenization-files")
    button.click(export, inputs, files, api_name="tokenization_export")
    gr.events.api(tokenize, api_name="tokenize")
