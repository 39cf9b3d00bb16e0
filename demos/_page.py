"""The whole page: heading, tabs, links that restore a tab's state, and first views that are filled."""

import html
import importlib
import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import gradio as gr

from components.errors import InputError
from components.models import ModelStore
from demos import TABS
from demos._controls import MethodPicker, methods, shown
from demos._layout import Bench
from demos._linked import WarmUp

LONGEST_LINK = 8_000  # characters of one value in a link
Build = Callable[[ModelStore], Bench]


def build_page(models: ModelStore, tabs: Mapping[str, tuple[str, Build]] | None = None) -> gr.Blocks:
    """Lay out all tabs, (title, build) by key; nothing is computed until somebody looks."""
    tabs = tabs or {
        key: (title, importlib.import_module(f"demos.{key}").build) for key, title in TABS.items()
    }
    page: gr.Blocks
    with gr.Blocks(
        title="Tokenscope", analytics_enabled=False, fill_width=True, delete_cache=(3600, 3600)
    ) as page:
        gr.HTML(
            "<header class='ts-header'><h1>Tokenscope</h1><p>See how machines cut speech, images and text "
            "into tokens, and what the vectors of those tokens mean.</p></header>",
            apply_default_css=False,
        )
        WarmUp(elem_id="warm-up")
        with gr.Tabs(elem_id="tabs") as strip:
            benches, items = {}, {}
            for key, (title, build) in tabs.items():
                with gr.Tab(title, id=key, elem_id=f"tab-{key}") as items[key]:
                    benches[key] = build(models)
                    _copy_link(key, benches[key])
        restored = _restore(page, strip, benches)
        for key, bench in benches.items():
            _open(restored, key, items[key], bench, list(benches))
    page.queue(
        max_size=models.settings.queue_size,
        default_concurrency_limit=models.settings.model_slots,
        api_open=False,
    )
    return page


def _copy_link(key: str, bench: Bench) -> None:
    """Add the button that copies a link to this tab as it stands."""
    if bench.link:
        button = gr.Button("Copy a link to this view", elem_id=f"{key}-link", size="sm", scale=0)
        script = (
            f"(...values) => tokenscope.copyLink({json.dumps(key)}, {json.dumps(list(bench.link))}, values)"
        )
        button.click(None, list(bench.link.values()), None, js=script, api_visibility="private")


def _addressed(request: gr.Request, keys: list[str]) -> str:
    """Return the tab the address names, the first where it names none or none of ours."""
    wanted = request.query_params.get("tab", keys[0])
    return wanted if wanted in keys else keys[0]


def _restore(page: gr.Blocks, strip: gr.Tabs, benches: Mapping[str, Bench]) -> Any:
    """On load, put what the address carries into the tab it names; return the event.

    The methods come first, in an event of their own: when the other inputs speak of their change, the tab's
    run must find the methods in place.
    """
    fields = [(key, name, part) for key, bench in benches.items() for name, part in bench.link.items()]
    pickers = [isinstance(part, MethodPicker) for _, _, part in fields]

    def values(request: gr.Request, *, first: bool) -> list[Any]:
        wanted = dict(request.query_params)
        tab = _addressed(request, list(benches))
        try:
            found = [
                _value(part, wanted[name]) if key == tab and name in wanted else gr.skip()
                for key, name, part in fields
            ]
        except InputError as error:
            if first:
                # no gr.Error: after one Gradio runs nothing that follows, and the tab would stay empty
                gr.Warning(html.escape(str(error)), title="The link", duration=12)
            found = [gr.skip()] * len(fields)
        return [value for value, picker in zip(found, pickers, strict=True) if picker == first]

    def choose(request: gr.Request) -> list[Any]:
        selected = gr.Tabs(selected=_addressed(request, list(benches)))
        return [selected if "tab" in request.query_params else gr.skip(), *values(request, first=True)]

    def fill(request: gr.Request) -> list[Any]:
        return values(request, first=False)

    parts = [part for _, _, part in fields]
    methods_first = [part for part, picker in zip(parts, pickers, strict=True) if picker]
    others = [part for part, picker in zip(parts, pickers, strict=True) if not picker]
    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    return page.load(choose, None, [strip, *methods_first], **quiet).then(fill, None, others, **quiet)


def _value(part: Any, text: str) -> Any:
    """Read one value of a link; what does not fit its component is refused."""
    if len(text) > LONGEST_LINK:
        raise InputError(
            f"The link carries {len(text):,} characters in one value; up to {LONGEST_LINK:,} fit."
        )
    if isinstance(part, MethodPicker):
        return _methods(part, text)
    if isinstance(part, gr.Number | gr.Slider):
        return _number(part, text)
    if isinstance(part, gr.Checkbox):
        return text == "true"
    if isinstance(part, gr.Radio | gr.Dropdown) and text not in [value for _, value in part.choices]:
        raise InputError(
            f"The link gives {text[:40]!r} for {part.label}, which is not offered; copy the link again."
        )
    return text


def _methods(part: MethodPicker, text: str) -> Any:
    try:
        value = json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        raise InputError("The link's methods are not readable; copy the link again.") from None
    if isinstance(value, list) and len(value) > part.most:
        raise InputError(f"The link carries {len(value)} methods; up to {part.most} fit.")
    methods(part.of, value)
    return value


def _number(part: Any, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    low, high = part.minimum, part.maximum
    if not math.isfinite(value) or (low is not None and value < low):
        raise InputError(
            f"The link gives {text[:40]!r} for {part.label}, where a number fits; copy the link again."
        )
    # a slider's end may depend on another input, as with the time in a clip: its tab holds it in range
    return value if high is None or isinstance(part, gr.Slider) else min(value, high)


def _open(restored: Any, key: str, item: gr.Tab, bench: Bench, keys: list[str]) -> None:
    """Fill the tab's first view once: at load for the tab in the address, else when it is opened."""
    # Gradio selects the first tab by itself on load, which counts for nothing where the address names another
    opened = gr.State("alone" if key == keys[0] else "closed")
    skipped = [gr.skip()] * (len(bench.outputs) + 1)

    def at_load(request: gr.Request, *values: Any) -> Any:
        if _addressed(request, keys) != key:
            return skipped
        return ["filled", *_listed(bench.opening(*values))]

    def when_opened(request: gr.Request, state: str, *values: Any) -> Any:
        # selecting the addressed tab is part of loading, which fills it
        if state == "filled" or _addressed(request, keys) == key:
            return skipped
        if state == "alone":
            return ["closed", *skipped[1:]]
        return ["filled", *_listed(bench.opening(*values))]

    outputs = [opened, *bench.outputs]
    restored.then(
        shown(at_load), list(bench.inputs), outputs, api_visibility="private", show_progress="minimal"
    )
    item.select(
        shown(when_opened),
        [opened, *bench.inputs],
        outputs,
        api_visibility="private",
        show_progress="minimal",
    )


def _listed(result: Any) -> list[Any]:
    return list(result) if isinstance(result, tuple | list) else [result]
