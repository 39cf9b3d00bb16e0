"""A client of one tab alone, named by the test's module."""

import importlib
from collections.abc import Iterator

import pytest

from components.models import ModelStore


@pytest.fixture(scope="module")
def client(models: ModelStore, request: pytest.FixtureRequest) -> Iterator[object]:
    """Serve the tab `x` of `test_x.py` on a page of its own and return a gradio_client to it."""
    import gradio as gr
    from gradio_client import Client

    tab = request.path.stem.removeprefix("test_")
    with gr.Blocks(analytics_enabled=False) as page:
        importlib.import_module(f"demos.{tab}").build(models)
    page.queue()
    page.launch(prevent_thread_lock=True, quiet=True, show_error=True)
    made = Client(page.local_url, verbose=False)
    yield made
    made.close()
    page.close()
