"""Links to a tab's state: what is copied comes back, what does not fit is refused; one first view."""

import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import gradio as gr
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from playwright.sync_api import expect

from components.errors import InputError
from components.models import ModelStore
from demos import _controls, _layout, _page, _server
from tests.browser.conftest import HOSTILE, Visit
from tests.browser.frame import Made, Other, family

expect.set_options(timeout=20_000)
TEXTS = ("", "plain", "çağ ışık 日本語 🙂", "a&b=c#d?e%20+f", "line\nbreak", '"quoted" \\ back', *HOSTILE)


class Opened:
    """How often each tab's first view was made."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, Any]] = []

    def build(self, key: str, text: str) -> Callable[[ModelStore], _layout.Bench]:
        def build(models: ModelStore) -> _layout.Bench:
            box = gr.Textbox(text, label="Text", elem_id=f"{key}-text", lines=2)
            number = gr.Number(1.5, label="Number", minimum=0, maximum=9, elem_id=f"{key}-number")
            kind = gr.Radio(["a", "b"], value="a", label="Kind", elem_id=f"{key}-kind")
            picker = _controls.MethodPicker(family, chosen=["made"], elem_id=f"{key}-methods")
            state = gr.Textbox(label="State", elem_id=f"{key}-state")

            def opening(*values: Any) -> str:
                self.seen.append((key, values))
                return json.dumps(values)

            inputs = [box, number, kind, picker]
            # as in the tabs, every input speaks and the last turn counts: values come back one by one
            gr.on(
                [part.change for part in inputs], lambda *v: json.dumps(v), inputs, state, queue=False,
                trigger_mode="always_last",
            )  # fmt: skip
            link = {"text": box, "number": number, "kind": kind, "methods": picker}
            return _layout.Bench(opening, inputs, [state], link)

        return build


@pytest.fixture(scope="module")
def opened() -> Opened:
    return Opened()


@pytest.fixture(scope="module")
def linked(listen: Callable[..., str], opened: Opened) -> str:
    tabs = {key: (key.title(), opened.build(key, f"{key} text")) for key in ("one", "two")}
    app = _server.create(ModelStore(), tabs)
    return listen(app)


def state(one: Visit, key: str) -> Any:
    box = one.page.locator(f"#{key}-state textarea, #{key}-state input")
    expect(box).not_to_have_value("")
    return json.loads(box.input_value())


def settles(one: Visit, key: str, wanted: Any) -> None:
    """Wait until the handlers of a tab have last heard `wanted`."""
    end = time.monotonic() + 10
    while (found := state(one, key)) != wanted and time.monotonic() < end:
        one.page.wait_for_timeout(100)
    assert found == wanted


@pytest.mark.browser
def test_a_link_brings_every_value_back(visit: Callable[..., Visit], linked: str) -> None:
    one = visit(linked + "/?tab=two")
    one.page.locator("#two-methods select").first.wait_for()
    one.page.locator("#two-text textarea").fill("ışık & <b>=#? 日本")
    one.page.locator("#two-number input").fill("7.25")
    one.page.locator("#two-kind").get_by_label("b").check()
    one.page.locator("#two-methods").get_by_label("Add a method").click()
    one.page.locator("#two-methods summary").first.click()
    number = one.page.locator("#two-methods").get_by_label("Spread, as a number")
    number.fill("3.5")
    number.press("Enter")
    one.page.wait_for_timeout(500)
    one.page.locator("#two-link").click()
    one.page.locator(".ts-toast").wait_for()
    address = one.page.url
    assert len(address) <= 2000
    assert parse_qs(urlsplit(address).query)["tab"] == ["two"]

    again = visit(address)
    expect(again.page.locator("#two-text textarea")).to_have_value("ışık & <b>=#? 日本")
    expect(again.page.locator("#two-number input")).to_have_value("7.25")
    wanted = [_controls.spec(Made, spread=3.5), _controls.spec(Other)]
    settles(again, "two", ["ışık & <b>=#? 日本", 7.25, "b", wanted])


@pytest.mark.browser
def test_a_first_view_is_made_once(visit: Callable[..., Visit], linked: str, opened: Opened) -> None:
    opened.seen.clear()
    one = visit(linked)
    assert state(one, "one")[0] == "one text"
    one.page.get_by_role("tab", name="Two").click()
    assert state(one, "two")[0] == "two text"
    one.page.get_by_role("tab", name="One").click()
    one.page.get_by_role("tab", name="Two").click()
    one.page.wait_for_timeout(800)
    assert [key for key, _ in opened.seen] == ["one", "two"]


@pytest.mark.browser
def test_the_tab_of_the_address_opens_first_and_filled_with_its_values(
    visit: Callable[..., Visit], linked: str, opened: Opened
) -> None:
    opened.seen.clear()
    one = visit(linked + "/?" + urlencode({"tab": "two", "text": "from the link"}))
    assert state(one, "two")[0] == "from the link"
    one.page.wait_for_timeout(800)
    assert [(key, values[0]) for key, values in opened.seen] == [("two", "from the link")]


@pytest.mark.browser
@pytest.mark.parametrize(
    "query",
    [
        {"methods": "[1]"}, {"methods": "[" * 5000}, {"methods": '[{"method": "none"}]'}, {"number": "NaN"},
        {"number": "-4"}, {"kind": "<img src=x onerror=window.__x=1>"}, {"text": "x" * 8001},
        {"methods": json.dumps([_controls.spec(Made)] * 4)},
        {"methods": '[{"method": "made", "knobs": {"spread": 1e999}}]'},
    ],
)  # fmt: skip
def test_a_link_that_does_not_fit_is_refused_with_a_sentence(
    visit: Callable[..., Visit], linked: str, query: dict[str, str]
) -> None:
    one = visit(linked + "/?" + urlencode({"tab": "one", **query}))
    toast = one.page.locator(".toast-body .toast-text, .toast-body").first
    toast.wait_for()
    said = toast.inner_text()
    assert said.endswith((".", "?"))
    assert len(said) < 300
    assert state(one, "one")[0] == "one text", "the tab opens with its own values"
    assert one.page.evaluate("window.__x") is None


def parts() -> dict[str, Any]:
    with gr.Blocks():
        return {
            "text": gr.Textbox(), "number": gr.Number(minimum=0), "kind": gr.Radio(["a", "b"], label="Kind"),
            "methods": _controls.MethodPicker(family, chosen=["made"], elem_id="m"),
        }  # fmt: skip


PARTS = parts()


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    text=st.one_of(st.sampled_from(TEXTS), st.text(max_size=400)), number=st.floats(0, 1e6),
    kind=st.sampled_from(["a", "b"]), spread=st.integers(0, 8), shape=st.sampled_from(["round", "long"]),
)  # fmt: skip
def test_what_a_link_carries_is_read_as_it_was(
    text: str, number: float, kind: str, spread: int, shape: str
) -> None:
    chosen = [_controls.spec(Made, spread=spread / 2, shape=shape)]
    values = {"text": text, "number": str(number), "kind": kind, "methods": json.dumps(chosen)}
    read = parse_qs(urlencode(values, errors="surrogatepass"), keep_blank_values=True, errors="surrogatepass")
    found = {name: _page._value(PARTS[name], read[name][0]) for name in values}
    assert found == {"text": text, "number": number, "kind": kind, "methods": chosen}


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["number", "kind", "methods"]), st.one_of(st.text(max_size=60), st.sampled_from(HOSTILE))
)
def test_any_text_in_a_link_is_read_or_refused(name: str, text: str) -> None:
    try:
        value = _page._value(PARTS[name], text)
    except InputError as error:
        assert len(str(error)) < 400
    else:
        assert value in ("a", "b") or isinstance(value, float | list)
