"""The whole app in a real browser: tabs open filled, fit, are accessible, and run no text they are given."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from demos import TABS
from tests.browser.conftest import HOSTILE, Visit

pytestmark = pytest.mark.browser
Visits = Callable[..., Visit]


def opened(visit: Visits, address: str, tab: str, **options: Any) -> Visit:
    """Open a tab by its address and wait until its first view is there and nothing is pending."""
    one = visit(f"{address}/?tab={tab}", **options)
    one.page.get_by_role("tab", name=TABS[tab]).wait_for()
    one.page.locator(f"#{tab}-map .js-plotly-plot .main-svg").first.wait_for(timeout=90_000)
    settled(one)
    return one


def settled(one: Visit) -> None:
    one.page.wait_for_function(
        "!document.querySelector('.pending, .generating, .progress-text')", timeout=90_000
    )
    one.page.wait_for_timeout(400)


@pytest.mark.parametrize("tab", TABS)
def test_the_first_view_is_filled(visit: Visits, address: str, tab: str) -> None:
    one = opened(visit, address, tab)
    selected = one.page.get_by_role("tab", name=TABS[tab]).get_attribute("aria-selected")
    assert selected == "true"
    points = one.page.evaluate(
        "t => document.querySelector(`#${t}-map .js-plotly-plot`).data.reduce((n, t) => n + t.x.length, 0)",
        tab,
    )
    assert points >= 2
    rows = one.page.locator(f"#{tab}-numbers tbody tr").count()
    assert rows >= one.page.locator(f"#{tab}-methods .ts-slot").count()


@pytest.mark.parametrize("tab", TABS)
def test_a_tab_opened_by_hand_is_filled(visit: Visits, address: str, tab: str) -> None:
    one = visit(address)
    one.page.get_by_role("tab", name=TABS[tab]).click()
    one.page.locator(f"#{tab}-map .js-plotly-plot .main-svg").first.wait_for(timeout=90_000)


@pytest.mark.parametrize("tab", TABS)
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (1280, True), (390, False), (390, True)])
def test_a_tab_fits_and_is_accessible(
    visit: Visits, address: str, tab: str, width: int, dark: bool, tmp_path: Path
) -> None:
    one = opened(visit, address, tab, width=width, dark=dark)
    one.page.screenshot(path=tmp_path / f"{tab}-{width}-{'dark' if dark else 'light'}.png", full_page=True)
    assert one.overflow() <= 0
    assert one.grave() == []


@pytest.mark.parametrize("tab", TABS)
def test_the_link_of_the_first_view_is_short_and_brings_it_back(
    visit: Visits, address: str, tab: str
) -> None:
    one = opened(visit, address, tab)
    one.page.locator(f"#{tab}-link").click()
    one.page.locator(".ts-toast").wait_for()
    assert len(one.page.url) <= 2000
    ids = "tab => document.querySelector(`#${tab}-map .js-plotly-plot`).data.flatMap(t => [...t.customdata])"
    wanted = one.page.evaluate(ids, tab)
    again = visit(address + "/?" + urlsplit(one.page.url).query)
    again.page.locator(f"#{tab}-map .js-plotly-plot .main-svg").first.wait_for(timeout=90_000)
    settled(again)
    assert again.page.evaluate(ids, tab) == wanted


@pytest.mark.parametrize("tab", TABS)
def test_hostile_text_in_any_text_box_runs_nothing(visit: Visits, address: str, tab: str) -> None:
    one = opened(visit, address, tab)
    boxes = one.page.locator(
        f"#tab-{tab} textarea:visible:enabled, #tab-{tab} .block input[type=text]:visible:enabled"
    )
    for index in range(boxes.count()):
        boxes.nth(index).fill("\n".join(HOSTILE[:8]))
        boxes.nth(index).press("Tab")
        settled(one)
        assert one.page.evaluate("window.__x") is None
    assert one.page.evaluate("window.__x") is None


@pytest.mark.parametrize("tab", TABS)
def test_a_click_on_a_point_lights_it(visit: Visits, address: str, tab: str) -> None:
    one = opened(visit, address, tab)
    first = one.page.evaluate(
        "tab => String(document.querySelector(`#${tab}-map .js-plotly-plot`).data[0].customdata[0])", tab
    )
    x, y = one.place(f"{tab}-map", first)
    one.page.mouse.move(x, y)
    one.page.wait_for_timeout(150)
    one.page.mouse.click(x, y)
    one.page.locator(f"#{tab}-map .ts-details strong").wait_for()
    one.page.wait_for_function(
        "t => document.querySelector(`#${t}-map .js-plotly-plot`).data.some(t => t.selectedpoints?.length)",
        arg=tab,
    )
