"""The speech tab in a real browser: filled at once, linked, heard by the sample, open to one's own clip."""

from collections.abc import Callable

import gradio as gr
import numpy as np
import pytest
import soundfile

from components.models import ModelStore
from components.speech import RATE
from demos import speech
from tests.browser.conftest import Visit
from tests.browser.frame import mounted

# The server's own thread leaves its loop and sockets to the garbage collector when it stops
pytestmark = [
    pytest.mark.browser,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
PLOT = "#speech-figure .js-plotly-plot"


@pytest.fixture(scope="module")
def tab(listen: Callable[..., str], models: ModelStore) -> str:
    with gr.Blocks(title="Speech", analytics_enabled=False) as blocks:
        gr.HTML("<h1>Speech</h1>", apply_default_css=False)
        bench = speech.build(models)
        blocks.load(bench.opening, bench.inputs, bench.outputs, api_visibility="private")
    return listen(mounted(blocks))


def opened(visit: Callable[..., Visit], address: str, **options: object) -> Visit:
    one = visit(address, **options)
    one.page.locator(f"{PLOT} .barlayer").first.wait_for(state="attached", timeout=60_000)
    one.page.locator("#speech-map .js-plotly-plot .main-svg").first.wait_for()
    return one


def bar(one: Visit, piece: str) -> tuple[float, float]:
    """Return where on the screen the middle of a segment's bar is, and scroll there."""
    one.page.locator(PLOT).scroll_into_view_if_needed()
    x, y = one.page.evaluate(
        """([plot, id]) => {
            const gd = document.querySelector(plot), box = gd.getBoundingClientRect();
            const layout = gd._fullLayout, trace = gd.data.find(t => (t.customdata || []).includes(id));
            const k = trace.customdata.indexOf(id);
            const down = layout[trace.yaxis.replace("y", "yaxis")];
            return [box.left + layout.xaxis._offset + layout.xaxis.l2p(trace.base[k] + trace.x[k] / 2),
                    box.top + down._offset + down.l2p(0)];
        }""",
        [PLOT, piece],
    )
    return x, y


def chosen_on_map(one: Visit, piece: str) -> None:
    one.page.wait_for_function(
        """id => { const gd = document.querySelector("#speech-map .js-plotly-plot");
        const lit = gd.data.flatMap(t => (t.selectedpoints || []).map(i => t.customdata[i]));
        return lit.length === 1 && lit[0] === id; }""",
        arg=piece,
    )


@pytest.mark.parametrize("options", [{}, {"dark": True}, {"width": 390}])
def test_the_first_view_is_filled_and_fits(visit, tab, options):
    one = opened(visit, tab, **options)
    assert one.page.locator("#speech-numbers tbody tr").count() == 3
    assert one.page.locator("#speech-similarity .js-plotly-plot").count() == 1
    assert one.overflow() <= 0
    assert one.grave() == []


def test_a_clicked_segment_lights_up_on_the_map_and_is_played_by_the_sample(visit, tab):
    one = opened(visit, tab)
    one.page.evaluate(
        """() => { window.__played = []; const kind = AudioBufferSourceNode.prototype, start = kind.start;
        kind.start = function (...a) { window.__played.push(a); start.apply(this, a); }; }"""
    )
    one.page.wait_for_function("() => document.querySelector('#speech-player audio').duration > 1")
    one.page.wait_for_timeout(500)  # the decoding of the clip
    one.page.mouse.click(*bar(one, "0:3"))
    chosen_on_map(one, "0:3")
    one.page.wait_for_function("() => window.__played.length === 1")
    _, start, length = one.page.evaluate("() => window.__played[0]")
    base, width = one.page.evaluate(
        """plot => { const data = document.querySelector(plot).data;
        const t = data.find(t => (t.customdata || []).includes("0:3")); return [t.base[3], t.x[3]]; }""",
        PLOT,
    )
    assert start == pytest.approx(base, abs=1e-3) and length == pytest.approx(width, abs=1e-3)


def test_another_example_draws_anew_and_forgets_the_selection(visit, tab):
    one = opened(visit, tab)
    one.page.mouse.click(*bar(one, "1:2"))
    chosen_on_map(one, "1:2")
    one.page.get_by_label("Turkish").click()
    one.page.wait_for_function(
        """plot => { const data = document.querySelector(plot).data;
        return data.some(t => (t.text || []).includes("ky")) && !data.some(t => t.selectedpoints); }""",
        arg=PLOT,
    )


def test_a_knob_redraws(visit, tab):
    one = opened(visit, tab)
    cosines = "document.querySelector(plot).data.some(t => t.name === 'Cosine to the running mean')"
    assert one.page.evaluate(f"plot => {cosines}", PLOT)
    one.page.locator("#speech-methods summary").nth(1).click()
    one.page.locator("#speech-methods-1-decoder").select_option("boundary head")
    one.page.wait_for_function(f"plot => !{cosines}", arg=PLOT)


def test_an_own_clip_takes_the_place_of_the_example(visit, tab, tmp_path):
    one = opened(visit, tab)
    path = tmp_path / "hum.wav"
    t = np.arange(25 * RATE) / RATE
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * 300 * t) * np.sin(np.pi * 4 * t) ** 2, RATE)
    one.page.locator("#speech-audio input[type=file]").set_input_files(str(path))
    one.page.locator("#speech-start").wait_for(state="visible", timeout=60_000)  # longer than the view
    one.page.wait_for_function("plot => !document.querySelector(plot).data.some(t => t.text)", arg=PLOT)
    assert one.page.locator("#speech-example input:checked").count() == 0
    one.page.wait_for_function("() => document.querySelector('#speech-player audio').duration > 24")
