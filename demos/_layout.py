"""The regions every tab has, in the same places: input strip, signal, map, numbers, and what opens below."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import gradio as gr


def strip() -> AbstractContextManager[Any]:
    """Open the input strip: examples, upload, methods."""
    return gr.Row(elem_classes="ts-strip", equal_height=False)


def workbench() -> AbstractContextManager[Any]:
    """Open the row that holds the signal (two thirds) and the map (one third)."""
    return gr.Row(elem_classes="ts-workbench", equal_height=False)


def signal() -> AbstractContextManager[Any]:
    """Open the signal region: the input with its pieces on it."""
    return gr.Column(scale=2, min_width=320, elem_classes="ts-signal")


def map_region() -> AbstractContextManager[Any]:
    """Open the map region: the pieces' vectors."""
    return gr.Column(scale=1, min_width=320, elem_classes="ts-map-region")


def more(title: str, *, opened: bool = False) -> AbstractContextManager[Any]:
    """Open a fold below the workbench: exports, link, code."""
    return gr.Accordion(title, open=opened)


@dataclass(frozen=True)
class Bench:
    """What a tab hands to the page: how it opens filled, and what a link to its state carries.

    `opening` runs on `inputs` into `outputs` when the tab is first seen; `link` names the components whose
    values make up a shareable state (texts, numbers, the methods strip).
    """

    opening: Callable[..., Any]
    inputs: Sequence[Any]
    outputs: Sequence[Any]
    link: Mapping[str, Any] = field(default_factory=dict)
