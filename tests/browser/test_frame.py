"""The linked views, the methods strip and the page's states in a real browser, on made data."""

import csv
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.browser.conftest import HOSTILE, Visit
from tests.browser.frame import page

pytestmark = pytest.mark.browser
Visits = Callable[..., Visit]


@pytest.fixture(scope="module")
def frame(listen: Callable[..., str]) -> str:
    return listen(page(60))


@pytest.fixture(scope="module")
def crowd(listen: Callable[..., str]) -> str:
    return listen(page(5000))


@pytest.fixture(scope="module")
def hostile(listen: Callable[..., str]) -> str:
    return listen(page(60, HOSTILE))


def opened(visit: Visits, address: str, **options: Any) -> Visit:
    """Open the page and wait until both figures are drawn."""
    one = visit(address, **options)
    one.page.locator("#map .js-plotly-plot .main-svg").first.wait_for()
    one.page.locator("#bars .js-plotly-plot .barlayer").first.wait_for(state="attached")
    return one


def heard(one: Visit, text: str | re.Pattern[str]) -> None:
    from playwright.sync_api import expect

    expect(one.page.locator("#heard textarea, #heard input")).to_have_value(text)


def lit(one: Visit, plot: str) -> Any:
    """Return the ids a figure shows as chosen, or nothing where it shows no selection."""
    return one.page.evaluate(
        """plot => { const gd = document.querySelector(`#${plot} .js-plotly-plot`);
        const traces = gd.data.filter(t => t.selectedpoints);
        return traces.length ? traces.flatMap(t => t.selectedpoints.map(i => t.customdata[i])) : null; }""",
        plot,
    )


def until(one: Visit, plot: str, ids: list[str]) -> None:
    one.page.wait_for_function(
        """([plot, ids]) => { const gd = document.querySelector(`#${plot} .js-plotly-plot`);
        const lit = gd.data.filter(t => t.selectedpoints)
            .flatMap(t => t.selectedpoints.map(i => t.customdata[i]));
        return JSON.stringify(lit) === JSON.stringify(ids); }""",
        arg=[plot, ids],
    )


def test_a_click_on_a_point_is_heard_and_lights_up_everywhere(visit: Visits, frame: str) -> None:
    one = opened(visit, frame)
    one.page.mouse.click(*one.place("map", "0:3"))
    heard(one, "0:3")
    until(one, "map", ["0:3"])
    until(one, "bars", ["0:3"])
    assert one.chosen() == ["0:3"]
    assert one.page.locator(".ts-details strong").first.inner_text() == "piece 3"
    assert one.page.locator(".ts-details button").count() == 5
    drawn = one.page.evaluate("document.querySelector('#map .js-plotly-plot').data[0].x.length")
    assert drawn == 60, "the rest must grey out, not vanish"
    assert one.page.locator("#chips .is-dimmed").count() == 7


def test_a_click_on_a_bar_lights_the_map(visit: Visits, frame: str) -> None:
    one = opened(visit, frame)
    one.page.mouse.click(*one.place("bars", "0:5"))
    heard(one, "0:5")
    until(one, "map", ["0:5"])


def test_a_lasso_chooses_what_it_encloses(visit: Visits, frame: str) -> None:
    one = opened(visit, frame)
    x, y = one.place("map", "0:3")
    one.page.mouse.move(x - 60, y - 60)
    one.page.mouse.down()
    for dx, dy in ((60, -60), (60, 60), (-60, 60), (-60, -60)):
        one.page.mouse.move(x + dx, y + dy, steps=4)
    one.page.mouse.up()
    heard(one, re.compile(r"(^|,)0:3(,|$)"))
    ids = one.page.locator("#heard textarea, #heard input").input_value().split(",")
    assert 1 < len(ids) < 60
    inside = one.page.evaluate(
        """([x, y]) => { const gd = document.querySelector('#map .js-plotly-plot');
        const b = gd.getBoundingClientRect();
        const {xaxis, yaxis} = gd._fullLayout, t = gd.data[0];
        return Array.from(t.customdata).filter((_, i) =>
          Math.abs(b.left + xaxis._offset + xaxis.l2p(t.x[i]) - x) < 58
          && Math.abs(b.top + yaxis._offset + yaxis.l2p(t.y[i]) - y) < 58); }""",
        [x, y],
    )
    assert set(inside) <= set(ids)
    until(one, "map", ids)


def test_the_selection_outlives_a_turn_of_a_knob(visit: Visits, frame: str) -> None:
    one = opened(visit, frame)
    one.page.mouse.click(*one.place("map", "0:3"))
    until(one, "map", ["0:3"])
    before = one.place("map", "0:3")
    one.page.locator("#methods summary").click()
    one.page.get_by_label("Spread, as a number").fill("3.5")
    one.page.get_by_label("Spread, as a number").press("Enter")
    one.page.wait_for_function(
        "document.querySelector('#knobs textarea, #knobs input').value.includes('3.5')"
    )
    one.page.wait_for_function(
        """y => { const gd = document.querySelector('#map .js-plotly-plot'), x = gd._fullLayout.xaxis;
        return Math.abs(gd.getBoundingClientRect().left + x._offset + x.l2p(gd.data[0].x[3]) - y) > 0.5; }""",
        arg=before[0],
    )
    until(one, "map", ["0:3"])
    assert one.chosen() == ["0:3"]


def test_clear_lifts_the_selection(visit: Visits, frame: str) -> None:
    one = opened(visit, frame)
    one.page.locator("#chips [data-piece]").nth(2).click()
    until(one, "map", ["0:2"])
    one.page.get_by_role("button", name="Clear").first.click()
    heard(one, "")
    assert lit(one, "map") is None
    assert one.page.locator(".is-dimmed").count() == 0


TIMED = """([x, y]) => new Promise(done => {
  const details = document.querySelector('#map .ts-details'), old = details.textContent;
  addEventListener('mouseup', () => {
    const start = performance.now();
    const seen = new MutationObserver(() => {
      if (!details.querySelector('strong') || details.textContent === old) return;
      seen.disconnect();
      // after the frame that shows it, and before what waits for that frame
      const tell = () => done(performance.now() - start);
      requestAnimationFrame(() => scheduler.postTask(tell, { priority: 'user-blocking' }));
    });
    seen.observe(details, { childList: true, subtree: true });
  }, { once: true, capture: true });
})"""


def test_details_of_5000_points_come_within_100_ms_of_the_click(visit: Visits, crowd: str) -> None:
    one = opened(visit, crowd)
    waits = []
    trace = one.page.evaluate("(t => [t.x, t.y])(document.querySelector('#map .js-plotly-plot').data[0])")
    at = np.array(trace).T
    gaps = np.sort(np.linalg.norm(at[:, None] - at[None], axis=2), axis=1)[:, 1]
    for i in np.argsort(-gaps)[:20].tolist():  # points with no other under the pointer
        x, y = one.place("map", f"0:{i}")
        one.page.mouse.move(x, y)
        one.page.wait_for_timeout(150)  # nobody clicks in the moment of arriving
        timer = one.page.evaluate_handle(f"() => {{ window.timed = ({TIMED})([0, 0]); }}")
        timer.dispose()
        one.page.mouse.down()
        one.page.mouse.up()
        waits.append(one.page.evaluate("window.timed"))
        until(one, "map", [f"0:{i}"])
        heard(one, f"0:{i}")
    assert float(np.percentile(waits, 95)) <= 100
    assert lit(one, "map"), "the points must be lit as well"


def test_umap_says_how_it_stands_then_moves_the_points_and_is_kept(visit: Visits, frame: str) -> None:
    one = opened(visit, frame)
    read = "Array.from(document.querySelector('#map .js-plotly-plot').data[0].x)"
    pca = one.page.evaluate(read)
    one.page.get_by_role("button", name="UMAP").first.click()
    one.page.locator("#map [role=status]", has_text="UMAP").wait_for()
    one.page.locator("#map [role=status]", has_text="seed 0").wait_for(timeout=90_000)
    one.page.wait_for_function(f"pca => JSON.stringify({read}) !== JSON.stringify(pca)", arg=pca)
    umap = one.page.evaluate(read)
    one.page.get_by_role("button", name="PCA").first.click()
    one.page.wait_for_function(f"pca => JSON.stringify({read}) === JSON.stringify(pca)", arg=pca)

    again = opened(visit, frame)
    again.page.get_by_role("button", name="UMAP").first.click()
    again.page.locator("#map [role=status]", has_text="seed 0").wait_for(timeout=3_000)
    again.page.wait_for_function(f"umap => JSON.stringify({read}) === JSON.stringify(umap)", arg=umap)


def test_the_table_twin_is_reached_and_used_by_keyboard(visit: Visits, frame: str) -> None:
    one = opened(visit, frame)
    one.page.locator("#map .ts-twin summary").focus()
    one.page.keyboard.press("Enter")
    one.page.keyboard.press("Tab")
    assert one.page.evaluate("document.activeElement.type") == "search"
    one.page.keyboard.type("piece 42")
    one.page.wait_for_function("document.querySelectorAll('#map .ts-twin tbody tr').length === 1")
    for _ in range(3):
        one.page.keyboard.press("Tab")
        if one.page.evaluate("document.activeElement.className") == "ts-link":
            break
    one.page.keyboard.press("Enter")
    heard(one, "0:42")
    until(one, "map", ["0:42"])


def test_chips_are_walked_with_the_arrow_keys(visit: Visits, frame: str) -> None:
    one = opened(visit, frame)
    one.page.locator("#chips [data-piece]").first.focus()
    one.page.keyboard.press("ArrowRight")
    one.page.keyboard.press("Enter")
    heard(one, "0:1")
    until(one, "bars", ["0:1"])


def test_the_selection_is_saved_as_csv(visit: Visits, frame: str) -> None:
    one = opened(visit, frame)
    one.page.locator("#chips [data-piece]").nth(4).click()
    with one.page.expect_download() as waited:
        one.page.get_by_role("button", name="Save selection (CSV)").first.click()
    with open(waited.value.path(), newline="", encoding="utf-8") as file:  # noqa: PTH123
        rows = list(csv.DictReader(file))
    at = "(t => [t.x[4], t.y[4]])(document.querySelector('#map .js-plotly-plot').data[0])"
    x, y = one.page.evaluate(at)
    assert [(row["id"], row["piece"], row["method"], row["projection"]) for row in rows] == [
        ("0:4", "piece 4", "made", "PCA")
    ]
    assert (float(rows[0]["x"]), float(rows[0]["y"])) == (x, y)


def luminance(colour: str) -> float:
    parts = [float(part) / 255 for part in re.findall(r"[\d.]+", colour)[:3]]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("dark", [False, True])
def test_the_figures_text_reads_on_its_ground(visit: Visits, frame: str, dark: bool) -> None:
    one = opened(visit, frame, dark=dark)
    inks, ground = one.page.evaluate(
        """() => [[...document.querySelectorAll('#bars text')].map(n => getComputedStyle(n).fill),
        getComputedStyle(document.querySelector('gradio-app')).backgroundColor]"""
    )
    assert len(inks) >= 8
    bright, dim = luminance(ground), [luminance(ink) for ink in set(inks)]
    assert (bright < 0.2) == dark
    ratios = [(max(bright, ink) + 0.05) / (min(bright, ink) + 0.05) for ink in dim]
    assert min(ratios) >= 4.5


def knobs(one: Visit, *parts: str) -> None:
    for part in parts:
        one.page.wait_for_function(
            "part => document.querySelector('#knobs textarea, #knobs input').value.includes(part)", arg=part
        )


def test_methods_are_changed_added_and_removed(visit: Visits, frame: str) -> None:
    one = opened(visit, frame)
    one.page.get_by_label("Add a method").click()
    knobs(one, "Made(spread=1,", "Other()")
    one.page.get_by_label("Method A", exact=True).select_option("other")
    knobs(one, "[Other(), Other()]")
    one.page.get_by_label("Remove method B").click()
    knobs(one, "[Other()]")
    assert one.page.get_by_label("Remove method A").count() == 0, "the last method stays"


def test_a_slider_moves_live_by_keyboard_and_numbers_are_held_in_range(visit: Visits, frame: str) -> None:
    one = opened(visit, frame)
    one.page.locator("#methods summary").click()
    slider = one.page.get_by_label("Spread", exact=True)
    slider.focus()
    one.page.evaluate(
        """() => { window.sent = 0; const old = window.fetch; window.fetch = (...args) => {
        if (/run|queue.join/.test(String(args[0]))) window.sent++; return old(...args); }; }"""
    )
    for _ in range(4):
        one.page.keyboard.press("ArrowRight", delay=5)
    knobs(one, "spread=3,")
    assert one.page.evaluate("window.sent") <= 2, "turning must not ask the server at every step"
    number = one.page.get_by_label("Spread, as a number")
    number.fill("99")
    number.press("Enter")
    knobs(one, "spread=4,")
    assert number.input_value() == "4"
    number.fill("-3")
    number.press("Enter")
    knobs(one, "spread=0,")
    one.page.get_by_label("Shape").select_option("long")
    one.page.get_by_label("Mirrored").check()
    knobs(one, "shape='long'", "mirrored=True")
    count = one.page.get_by_label("Count, as a number")
    count.fill("2.4")
    count.press("Enter")
    knobs(one, "count=2")


def test_an_update_from_the_server_is_drawn_in_the_methods_strip(visit: Visits, frame: str) -> None:
    one = opened(visit, frame)
    one.page.locator("#methods summary").click()
    one.page.locator("#set").click()
    one.page.wait_for_function("document.querySelector('#methods input[type=number]').value === '2.5'")
    one.page.get_by_label("Mirrored").check()
    knobs(one, "spread=2.5", "mirrored=True")


def test_hostile_text_is_shown_and_nothing_runs(visit: Visits, hostile: str) -> None:
    one = opened(visit, hostile)
    one.page.mouse.move(*one.place("map", "0:0"))
    one.page.locator("#map .hovertext").first.wait_for()
    assert "onerror=window.__x=1>" in one.page.locator("#map .hovertext").first.text_content()
    one.page.mouse.click(*one.place("map", "0:0"))
    until(one, "map", ["0:0"])
    one.page.locator("#map .ts-twin summary").click()
    one.page.get_by_text("The cards").click()
    one.page.locator("#refuse").click()
    one.page.locator(".ts-toast").wait_for()
    shown = one.page.locator("#chips").inner_text()
    title = one.page.locator("#bars .gtitle").text_content()
    ticks = one.page.locator("#bars .xtick text").all_text_contents()
    for text in HOSTILE[:8]:
        assert text in shown
        assert text in ticks
    assert title == HOSTILE[0]
    assert HOSTILE[0] in one.page.locator(".ts-toast").inner_text()
    assert one.page.locator("#map .ts-details strong").inner_text() == HOSTILE[0]
    assert one.page.locator("#map .ts-twin tbody button").first.inner_text() == HOSTILE[0]
    assert HOSTILE[0] in one.page.locator("#numbers").inner_text()
    assert "<b>made</b>" in one.page.locator("#made-cards").inner_text()
    assert one.page.evaluate("window.__x") is None


def test_the_old_picture_stays_while_the_new_one_is_made(visit: Visits, frame: str) -> None:
    one = opened(visit, frame)
    one.page.locator("#slow").click()
    one.page.wait_for_timeout(700)
    seen = one.page.evaluate(
        """() => { const plot = document.querySelector('#bars .js-plotly-plot'); let shade = 1;
        for (let n = plot; n; n = n.parentElement) shade *= Number(getComputedStyle(n).opacity);
        const box = plot.getBoundingClientRect();
        const top = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
        return [shade, box.height, getComputedStyle(top.closest('.wrap') || top).backgroundColor]; }"""
    )
    assert 0.3 <= seen[0] < 1, seen
    assert seen[1] == 260
    assert re.search(r"rgba\(.*, 0(\.\d+)?\)|transparent", seen[2]), f"covered by {seen[2]}"
    one.page.locator("#chips", has_text="done").wait_for()


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_is_accessible_and_fits(visit: Visits, frame: str, width: int, dark: bool) -> None:
    one = opened(visit, frame, width=width, dark=dark)
    one.page.locator("#methods summary").click()
    one.page.get_by_label("Add a method").click()
    one.page.locator("#chips [data-piece]").nth(1).click()
    one.page.locator("#map .ts-twin summary").click()
    one.page.locator("#map .ts-details strong").wait_for()
    one.page.get_by_text("The cards").click()
    one.page.locator("#made-cards .ts-card").first.wait_for()
    assert one.overflow() <= 0
    assert one.grave() == []
