"""The tokenizer tab in a real browser: chips follow the keys, light up with the map, and stay text."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.conftest import HOSTILE, Visit

# The server's own thread leaves its loop and sockets to the garbage collector when it stops
pytestmark = [
    pytest.mark.browser,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
CHIPS = "#tokenization-chips"


def opened(visit: Callable[..., Visit], address: str, **options: Any) -> Visit:
    """Open the tab and wait until its first view is filled."""
    one = visit(f"{address}/?tab=tokenization", **options)
    one.page.locator(f"{CHIPS} [data-piece]").first.wait_for(timeout=60_000)  # with a cold server
    one.page.locator("#tokenization-map .js-plotly-plot .main-svg").first.wait_for()
    one.page.locator("#tokenization-numbers tbody tr").first.wait_for()
    return one


def shows(one: Visit, text: str) -> None:
    one.page.wait_for_function(f"t => document.querySelector('{CHIPS}').textContent.includes(t)", arg=text)


def write(one: Visit, text: str) -> None:
    one.page.locator("#tokenization-text textarea").fill(text)


@pytest.mark.parametrize("options", [{}, {"dark": True}, {"width": 390}], ids=["light", "dark", "phone"])
def test_the_first_view_is_filled_fits_and_reads(visit, address, options):
    one = opened(visit, address, **options)
    assert one.page.locator(f"{CHIPS} .ts-seg").count() > 20
    assert one.overflow() <= 0
    assert one.grave() == []


def test_a_chip_lights_up_with_its_point(visit, address):
    one = opened(visit, address)
    write(one, "the cat and the dog and the end")
    shows(one, "·dog")
    the = one.page.locator(f"{CHIPS} b.s0", has_text="the")
    the.nth(1).click()
    piece = the.nth(1).get_attribute("data-piece")
    assert set(one.chosen()) == {piece} and len(one.chosen()) == 2  # "the" at the start is another token
    details = one.page.locator("#tokenization-map .ts-details")
    details.get_by_text("nearest by cosine").wait_for()
    assert details.locator("strong").inner_text() == "␣the"


def test_hostile_text_stays_text(visit, address):
    one = opened(visit, address)
    write(one, "\n".join(HOSTILE))
    shows(one, "<")
    assert one.page.evaluate("window.__x") is None
    assert one.page.locator(f"{CHIPS} img, {CHIPS} script, {CHIPS} svg").count() == 0


def test_examples_and_what_chips_show(visit, address):
    one = opened(visit, address)
    one.page.locator("#tokenization-example-numbers").click()
    shows(one, "/")
    one.page.locator("#tokenization-view").get_by_label("bytes").check()
    shows(one, "2E")
