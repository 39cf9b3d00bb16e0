"""The whole page: a heading, four tabs, links that restore a tab's state, and each tab's first view filled."""

import importlib
import json
from collections.abc import Mapping
from typing import Any

import gradio as gr

from components.errors import InputError
from components.models import ModelStore
from demos import TABS
from demos._controls import MethodPicker, methods, shown
from demos._layout import Bench

LONGEST_LINK = 8_000  # characters of one value in a link


def build_page(models: ModelStore) -> gr.Blocks:
    """Lay out all tabs; nothing is computed until somebody looks."""
    with gr.Blocks(
        title="Tokenscope", analytics_enabled=False, fill_width=True, delete_cache=(3600, 3600)
    ) as page:
        gr.HTML(
            "<header class='ts-header'><h1>Tokenscope</h1><p>See how machines cut speech, images and text into "
            "tokens, and what the vectors of those tokens mean.</p></header>", apply_default_css=False,
        )
        with gr.Tabs(elem_id="tabs") as tabs:
            benches, items = {}, {}
            for key, title in TABS.items():
                with gr.Tab(title, id=key, elem_id=f"tab-{key}") as items[key]:
                    benches[key] = importlib.import_module(f"demos.{key}").build(models)
                    _copy_link(key, benches[key])
        _restore(page, tabs, benches)
        for key, bench in benches.items():
            _open(page, key, items[key], bench)
    page.queue(max_size=models.settings.queue_size, default_concurrency_limit=models.settings.model_slots,
               api_open=False)
    return page


def _copy_link(key: str, bench: Bench) -> None:
    """Add the button that copies a link to this tab as it stands."""
    if bench.link:
        button = gr.Button("Copy a link to this view", elem_id=f"{key}-link", size="sm", scale=0)
        script = f"(...values) => tokenscope.copyLink({json.dumps(key)}, {json.dumps(list(bench.link))}, values)"
        button.click(None, list(bench.link.values()), None, js=script, api_visibility="private")


def _restore(page: gr.Blocks, tabs: gr.Tabs, benches: Mapping[str, Bench]) -> None:
    """On load, put what the address carries into the tab it names."""
    fields = [(key, name, part) for key, bench in benches.items() for name, part in bench.link.items()]

    def restore(request: gr.Request) -> list[Any]:
        wanted = dict(request.query_params)
        tab = wanted.get("tab", next(iter(TABS)))
        values = [
            _value(part, wanted[name]) if key == tab and name in wanted else gr.skip() for key, name, part in fields
        ]
        return [gr.Tabs(selected=tab) if tab in TABS and "tab" in wanted else gr.skip(), *values]

    page.load(shown(restore), None, [tabs, *(part for _, _, part in fields)], queue=False,
              api_visibility="private", show_progress="hidden")


def _value(part: Any, text: str) -> Any:
    """Read one value of a link; what does not fit its component is refused."""
    if len(text) > LONGEST_LINK:
        raise InputError(f"The link carries {len(text):,} characters in one value; up to {LONGEST_LINK:,} fit.")
    if isinstance(part, MethodPicker):
        try:
            value = json.loads(text)
            methods(part.family, value)
        except (json.JSONDecodeError, TypeError):
            raise InputError("The link's methods are not readable; copy the link again.") from None
        return value
    if isinstance(part, gr.Number | gr.Slider):
        try:
            return float(text)
        except ValueError:
            raise InputError(f"The link gives {text[:40]!r} where a number fits; copy the link again.") from None
    return text


def _open(page: gr.Blocks, key: str, item: gr.Tab, bench: Bench) -> None:
    """Fill the tab's first view when it is first seen: at load for the tab in the address, else when it is opened."""
    opened = gr.State(False)
    skipped = [gr.skip()] * (len(bench.outputs) + 1)

    def at_load(request: gr.Request, *values: Any) -> Any:
        if request.query_params.get("tab", next(iter(TABS))) != key:
            return skipped
        return [True, *_listed(bench.opening(*values))]

    def when_opened(seen: bool, *values: Any) -> Any:
        return skipped if seen else [True, *_listed(bench.opening(*values))]

    outputs = [opened, *bench.outputs]
    page.load(shown(at_load), list(bench.inputs), outputs, api_visibility="private", show_progress="minimal")
    item.select(shown(when_opened), [opened, *bench.inputs], outputs, api_visibility="private",
                show_progress="minimal")


def _listed(result: Any) -> list[Any]:
    return list(result) if isinstance(result, tuple | list) else [result]
