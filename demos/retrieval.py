"""The retrieval tab: one query to one corpus, answered by several methods, with the evidence of every hit."""

from collections.abc import Iterator
from typing import Any

import gradio as gr

from components.errors import InputError
from components.models import ModelStore
from components.retrieval import Corpus, labs, retrievers
from components.retrieval._corpora import builtin
from demos import _controls, _hits, _labs, _layout, _linked, _rankings

GROUP, TOKENS = "retrieval", "retrieval-tokens"
OPENING = ("late_interaction", "dense", "bm25")
FIRST = "english"
NO_VECTORS = "Add a method that has vectors to see the documents."
WAITING = "Evaluate all queries to see this."
QUIET: dict[str, Any] = {"queue": False, "api_visibility": "private", "show_progress": "hidden"}
SLOTS: dict[str, Any] = {"concurrency_id": _controls.MODEL_EVENTS}
SLOW: dict[str, Any] = {"api_visibility": "private", **SLOTS}


def build(models: ModelStore) -> _layout.Bench:
    """Lay out the tab."""
    with _layout.strip():
        with gr.Column(scale=3, min_width=300):
            source, query, example, own = _inputs()
        with gr.Column(scale=2, min_width=320):
            picker = _controls.MethodPicker(retrievers, chosen=OPENING, elem_id="retrieval-methods")
    with _layout.workbench():
        with _layout.signal():
            lists = _linked.Pieces(label="Ranked lists", elem_id="retrieval-lists", group=GROUP)
            table = gr.HTML(elem_id="retrieval-numbers", apply_default_css=False)
        with _layout.map_region():
            chart = _linked.EmbeddingMap(
                label="Documents and query", elem_id="retrieval-map", group=GROUP, empty=NO_VECTORS
            )
    place, slot, document, heat = _evidence()
    inputs = [source, *own[:3], query, picker]
    outputs = [lists, table, chart, place, slot, document, heat]

    def bench(*values: Any) -> _rankings.Bench:
        return _rankings.answer(models, *values)

    @_controls.shown
    def run(*values: Any) -> tuple[Any, ...]:
        if not values[4].strip():  # while somebody types
            return "<p class='ts-note'>Type a query.</p>", *(gr.skip(),) * (len(outputs) - 1)
        return _drawn(_rankings.example(models, *values) or bench(*values))

    _wire(run, inputs, outputs, example, own[3])
    _wire_evidence(bench, inputs, (lists, chart, place, slot, document, heat))
    _evaluation(bench, inputs)
    _exports(models, bench, inputs)
    _controls.card_area(retrievers, picker, models, "retrieval")

    def corpus(source: str, pasted: str, upload: str | None, language: str) -> Corpus:
        return _rankings.corpus_of(source, pasted, upload, language, models)

    _labs.labs_area(labs, corpus, inputs[:4], models, "retrieval")
    return _layout.Bench(run, inputs, outputs, {"corpus": source, "q": query, "methods": picker})


def _inputs() -> tuple[Any, ...]:
    """Lay out corpus, query, example queries and the user's own corpus."""
    offered = _rankings.examples(builtin(FIRST))
    source = gr.Radio(_rankings.SOURCES, value=FIRST, label="Corpus", elem_id="retrieval-corpus")
    query = gr.Textbox(
        offered[0], label="Query", lines=1, max_lines=3, submit_btn="Search", elem_id="retrieval-query"
    )
    example = gr.Radio(offered, value=offered[0], label="Example queries", elem_id="retrieval-example")
    with _layout.more("Your own corpus"):
        pasted = gr.Textbox(
            label="One document a line, or paragraphs with blank lines between", lines=4, max_lines=12,
            elem_id="retrieval-text",
        )  # fmt: skip
        upload = gr.File(
            label="Or a file: CSV, TSV or JSONL with a text column, TXT, or a BEIR folder as ZIP", height=110,
            file_types=[".csv", ".tsv", ".jsonl", ".txt", ".zip"], type="filepath", elem_id="retrieval-file",
        )  # fmt: skip
        language = gr.Radio(
            [("By its letters", "guess"), ("English", "english"), ("Turkish", "turkish")], value="guess",
            label="Language (stemmer and lower-casing)", elem_id="retrieval-language",
        )  # fmt: skip
        use = gr.Button("Search in this corpus", size="sm", elem_id="retrieval-use")
    return source, query, example, (pasted, upload, language, use)


def _evidence() -> tuple[Any, ...]:
    """Lay out the opened document and its heat map; `place` remembers which document it is."""
    place = gr.State(None)
    slot = gr.Radio([("", 0)], value=0, label="Evidence by", elem_id="retrieval-slot")
    document = _linked.Pieces(label="The opened document", elem_id="retrieval-document", group=TOKENS)
    heat = _linked.Figure(
        label="Token similarity", elem_id="retrieval-heat", group=TOKENS, empty="Choose a document in a list."
    )
    return place, slot, document, heat


def _drawn(bench: _rankings.Bench) -> tuple[Any, ...]:
    """Return the value of every output; the first method's best hit is opened."""
    choices = [(title, i) for i, title in enumerate(bench.titles)]
    document, heat = _hits.opened(bench, None, 0)
    slot = gr.update(choices=choices, value=0)
    return (
        _hits.lists_of(bench), _rankings.numbers_of(bench), _rankings.map_of(bench),
        None, slot, document, heat,
    )  # fmt: skip


def _wire(run: Any, inputs: list[Any], outputs: list[Any], example: Any, use: Any) -> None:
    """Run on every change; a new corpus brings its own example queries."""
    source, *_, query, picker = inputs

    def offer(name: str) -> tuple[Any, Any]:
        if name == _rankings.OWN:
            return gr.update(visible=False), gr.skip()
        offered = _rankings.examples(builtin(name))
        return gr.update(choices=offered, value=offered[0], visible=True), offered[0]

    source.input(offer, source, [example, query], **QUIET)
    example.input(lambda text: text, example, query, **QUIET)
    drawn: dict[str, Any] = {"show_progress": "minimal", "trigger_mode": "always_last", **SLOW}
    use.click(lambda: _rankings.OWN, None, source, **QUIET).then(run, inputs, outputs, **drawn)
    changes = [source.change, query.change, query.submit, picker.change]
    _controls.cancel(gr.on(changes, run, inputs, outputs, **drawn), "retrieval")


def _wire_evidence(bench: Any, inputs: list[Any], views: tuple[Any, ...]) -> None:
    """Open the document that is clicked in a list or on the map; another method redraws its evidence."""
    lists, chart, place, slot, document, heat = views

    @_controls.shown
    def choose(event: gr.EventData, slot: int, *values: Any) -> tuple[Any, ...]:
        ids = [i for i in _linked.chosen(event) if i.startswith("d:") and i[2:].isdecimal()]
        if len(ids) != 1:
            return (gr.skip(),) * 3
        return show(int(ids[0][2:]), slot, *values)

    def show(place: int | None, slot: int, *values: Any) -> tuple[Any, ...]:
        found = bench(*values[:-1], values[-1][slot : slot + 1])  # only the method whose evidence is wanted
        if place is not None and place >= len(found.corpus.documents):
            raise InputError("The corpus has changed since this list was made; search again.")
        return place, *_hits.opened(found, place, 0)

    shown = [place, document, heat]
    for view in (lists, chart):
        view.select(
            choose, [slot, *inputs], shown, show_progress="hidden", trigger_mode="always_last", **SLOW
        )
    slot.input(
        _controls.shown(show), [place, slot, *inputs], shown, show_progress="hidden",
        trigger_mode="always_last", **SLOW,
    )  # fmt: skip


def _evaluation(bench: Any, inputs: list[Any]) -> None:
    """Lay out the evaluation over all judged queries of the corpus."""
    with _layout.more("All judged queries of this corpus: nDCG@10, MAP, Recall@100, time", opened=True):
        with gr.Row():
            button = gr.Button("Evaluate all queries", size="sm", scale=0, elem_id="retrieval-evaluate")
            stop = gr.Button("Cancel", size="sm", scale=0, elem_id="retrieval-evaluate-cancel")
        state = gr.HTML(elem_id="retrieval-evaluated", apply_default_css=False)
        with gr.Row():
            bars = _linked.Figure(label="Quality of the methods", elem_id="retrieval-quality", empty=WAITING)
            points = _linked.Figure(label="Quality against time", elem_id="retrieval-time", empty=WAITING)

    begin = _controls.shown(lambda *values: _rankings.drawn_evaluations(bench(*values)))

    def evaluate(*values: Any) -> Iterator[tuple[Any, ...]]:
        yield from begin(*values)

    views = [state, bars, points]
    running = button.click(
        evaluate, inputs, views, show_progress="minimal", api_name="retrieval_evaluate", **SLOTS
    )
    stop.click(None, cancels=[running], api_visibility="private")


def _exports(models: ModelStore, bench: Any, inputs: list[Any]) -> None:
    """Lay out the files to take away, and the endpoint that gives a program the same."""
    with _layout.more("Take it away: TREC runs, CSV, JSON"):
        button = gr.Button("Make the files", size="sm", scale=0, elem_id="retrieval-export")
        files = gr.File(label="Files", file_count="multiple", interactive=False, elem_id="retrieval-files")
    export = _controls.shown(lambda *values: _rankings.files_of(bench(*values)))
    button.click(export, inputs, files, api_name="retrieval_export", **SLOTS)

    def retrieve(
        query: str,
        corpus: str = FIRST,
        methods: list[dict[str, Any]] | None = None,
        text: str = "",
        k: int = 10,
    ) -> list[dict[str, Any]]:
        """Rank the documents of a built-in corpus, or of `text` (corpus "own"), by each method."""
        value = methods or [{"method": name} for name in OPENING]
        return _rankings.records(_rankings.answer(models, corpus, text, None, "guess", query, value), k)

    gr.events.api(_controls.shown(retrieve), api_name="retrieve", concurrency_id=_controls.MODEL_EVENTS)
