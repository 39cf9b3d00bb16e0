"""Controls that know no method by name: the methods strip, the numbers, the cards, refused input."""

import functools
import html
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

import gradio as gr
from gradio.context import LocalContext

from components.errors import InputError
from components.method import Card, Family, Finding, M, Method
from components.models import ModelStore
from components.models.progress import listening
from components.plots.palette import hue
from demos._linked import _View

P = ParamSpec("P")
R = TypeVar("R")
_STOPS: dict[str, float] = {}  # when each session last cancelled
MOST_STOPS = 1000
MODEL_EVENTS = "model"  # the one pool of slots in which everything that runs a network waits


def shown(handler: Callable[P, R]) -> Callable[P, R]:
    """Turn an InputError of a handler into a message on the page; any other stays a bug and is logged."""

    @functools.wraps(handler)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return handler(*args, **kwargs)
        except InputError as error:
            # Gradio draws the message as HTML, and ours quote what the user gave
            raise gr.Error(html.escape(str(error)), duration=12, print_exception=False) from None

    return wrapper


class MethodPicker(_View):
    """The methods strip of a tab: a list of {"method": name, "knobs": {...}}, the first chosen first."""

    kind = "picker"
    plotly = False

    def __init__(
        self,
        family: Family[Any],
        *,
        chosen: Sequence[str | tuple[str, dict[str, Any]]],
        most: int = 3,
        elem_id: str,
        **props: Any,
    ) -> None:
        """`chosen` opens with methods by name, or by name and the knobs that differ from their defaults."""
        pairs = [(one, {}) if isinstance(one, str) else one for one in chosen]
        value = [spec(family[name], **knobs) for name, knobs in pairs]
        # not `family`: Gradio puts attributes of a parameter's name into the page's configuration
        self.of, self.most = family, most
        # Gradio builds a component anew for each session that an update reaches, with arguments of its own
        super().__init__(value, label="Methods", elem_id=elem_id, schema=schema(family), most=most, **props)
        self.change: Any = self._settled(self.input)

    def _settled(self, listener: Any) -> Any:
        """Return the event of a turn at rest: Gradio's own `change` fires several times a turn."""

        @functools.wraps(listener)
        def change(*args: Any, trigger_mode: str = "always_last", **kwargs: Any) -> Any:
            return listener(*args, trigger_mode=trigger_mode, **kwargs)

        change.__self__ = self  # type: ignore[attr-defined]
        return change

    def api_info(self) -> dict[str, Any]:
        return {"type": "array", "items": {"type": "object"}}


def spec(cls: type[Method], **knobs: Any) -> dict[str, Any]:
    """Return a method's name and knob values, the defaults where not given."""
    return {"method": cls.name, "knobs": {name: cls.default(name) for name in cls.knobs()} | knobs}


def schema(family: Family[Any]) -> list[dict[str, Any]]:
    """Describe every method of a family as data: name, title, knobs with range, options and default."""
    described = []
    for name in family.names():
        cls = family[name]
        knobs = [
            {
                "name": key,
                "label": k.label,
                "low": k.low,
                "high": k.high,
                "step": k.step,
                "options": list(k.options),
                "help": k.help,
                "live": k.live,
                "default": cls.default(key),
            }
            for key, k in cls.knobs().items()
        ]
        described.append({"name": name, "title": cls.card.title, "system": cls.card.system, "knobs": knobs})
    return described


def titles(chosen: Sequence[Method]) -> list[str]:
    """Return a title a method; one chosen twice is told apart by the knobs that differ, or by a number."""
    plain = [method.card.title for method in chosen]
    told = [
        f"{title}: {_apart(method, chosen)}" if plain.count(title) > 1 else title
        for title, method in zip(plain, chosen, strict=True)
    ]
    return [f"{t} ({told[: i + 1].count(t)})" if told.count(t) > 1 else t for i, t in enumerate(told)]


def _apart(method: Method, chosen: Sequence[Method]) -> str:
    """Name the knobs in which `method` differs from the others of its kind."""
    others = [one for one in chosen if type(one) is type(method)]
    parts = []
    for name, knob in method.knobs().items():
        value = getattr(method, name)
        if any(getattr(one, name) != value for one in others):
            parts.append(str(value) if knob.options else f"{knob.label} {number(value)}")
    return ", ".join(parts) or "same knobs"


def methods(family: Family[M], value: Any) -> list[M]:
    """Build the chosen methods; anything that is no list of such choices is refused."""
    if not isinstance(value, list) or not value:
        raise InputError("No method is chosen; give a list of {method, knobs} with one or more entries.")
    built = []
    for entry in value:
        if not isinstance(entry, dict) or not isinstance(entry.get("knobs", {}), dict):
            raise InputError("A choice of method is not readable; give {method: name, knobs: {name: value}}.")
        built.append(family.create(str(entry.get("method", "")), **entry.get("knobs", {})))
    return built


def numbers(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return the numbers table as HTML: a row a method with its hue, three significant digits."""
    head = "".join(f"<th scope='col'>{html.escape(name)}</th>" for name in ("method", *columns))
    body = []
    for slot, (title, *cells) in enumerate(rows):
        dot = f"<span class='ts-dot' style='background:{hue(slot)}' aria-hidden='true'></span>"
        tail = "".join(f"<td>{html.escape(number(cell))}</td>" for cell in cells)
        body.append(f"<tr><th scope='row'>{dot}{html.escape(str(title))}</th>{tail}</tr>")
    return (
        "<div class='ts-scroll' tabindex='0' role='region' aria-label='Numbers'><table class='ts-numbers'>"
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


def number(value: Any) -> str:
    """Write a value for people: three significant digits, thousands apart, a dash for nothing.

    >>> number(0.123456), number(1234567), number(None), number(1234.5)
    ('0.123', '1,234,567', '–', '1,234')
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, bool | str):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def card_html(card: Card, slot: int | None = None, finding: Finding | None = None) -> str:
    """Return a method's card as HTML: claim, the paper's figure, what ours does otherwise, check."""
    dot = (
        ""
        if slot is None
        else f"<span class='ts-dot' style='background:{hue(slot)}' aria-hidden='true'></span>"
    )
    facts = [("Claim", card.claim), ("Paper's figure", card.figure), ("Ours", card.differs)]
    if finding:
        mark = "✓ holds" if finding.holds else "✗ does not hold"
        facts.append(("Check", f"{mark}: {finding.measured} (paper: {finding.paper})"))
        facts.append(("Measured on", f"{finding.on}; model: {finding.model}"))
    rows = "".join(f"<dt>{name}</dt><dd>{html.escape(text)}</dd>" for name, text in facts)
    return (
        f"<article class='ts-card'><h4>{dot}{html.escape(card.title)}</h4><p class='ts-quiet'>"
        f"{html.escape(card.authors)} {card.year} · <a href='{html.escape(card.url, quote=True)}' "
        f"target='_blank' rel='noopener noreferrer'>paper</a></p><dl>{rows}</dl></article>"
    )


def cancel(running: Any, tab: str) -> None:
    """Add the button that ends a tab's run; the page shows it while a run takes over a second."""
    button = gr.Button(
        "Cancel", elem_id=f"{tab}-cancel", elem_classes="ts-cancel", size="sm", variant="stop", scale=0
    )
    button.click(_note_stop, queue=False, api_visibility="private", show_progress="hidden")
    button.click(None, cancels=[running], api_visibility="private")


def _note_stop(request: gr.Request) -> None:
    """Remember when this session last pressed Cancel: Gradio lets go of a run, its thread must hear of it."""
    while len(_STOPS) >= MOST_STOPS:
        _STOPS.pop(next(iter(_STOPS)))
    _STOPS[str(request.session_hash)] = time.monotonic()


@contextmanager
def telling(progress: gr.Progress) -> Iterator[None]:
    """Show on the page what long work reports, and end the work once this session has cancelled it."""
    began, request = time.monotonic(), LocalContext.request.get(None)
    session = str(getattr(request, "session_hash", None))

    def told(done: int, total: int, what: str) -> None:
        if _STOPS.get(session, 0.0) > began:
            raise InputError("Cancelled: nothing was changed; run again when you like.")
        progress((done, total), desc=what.capitalize(), unit="")

    with listening(told):
        yield


def card_area(family: Family[Any], picker: MethodPicker, models: ModelStore, tab: str) -> None:
    """Lay out the cards of the chosen methods, with a button that runs their checks here and now."""

    def draw(value: Any) -> str:
        chosen = methods(family, value)
        return f"<div class='ts-cards'>{''.join(card_html(m.card, i) for i, m in enumerate(chosen))}</div>"

    @shown
    def run(value: Any, progress: gr.Progress = gr.Progress()) -> str:  # noqa: B008 (Gradio's way)
        chosen = methods(family, value)
        cards = []
        for i, method in enumerate(chosen):
            progress(i / len(chosen), desc=f"Checking {method.card.title}")
            cards.append(card_html(method.card, i, type(method).check(models)))
        return f"<div class='ts-cards'>{''.join(cards)}</div>"

    with gr.Accordion("The cards: claim, the paper's figure, ours, check", open=False):
        area = gr.HTML(draw(picker.value), elem_id=f"{tab}-cards", apply_default_css=False)
        with gr.Row():
            button = gr.Button("Check the claims here", elem_id=f"{tab}-check", size="sm", scale=0)
            stop = gr.Button("Cancel", elem_id=f"{tab}-check-cancel", size="sm", scale=0)
    picker.change(shown(draw), picker, area, queue=False, show_progress="hidden", api_visibility="private")
    running = button.click(run, picker, area, concurrency_id=MODEL_EVENTS, api_visibility="private")
    stop.click(None, cancels=[running], api_visibility="private")

    def check(method: str) -> dict[str, Any]:
        """Measure a method's claim and return what came out, the paper's figure and whether it holds."""
        found = family[method].check(models)
        return {
            "method": method,
            "measured": found.measured,
            "paper": found.paper,
            "holds": found.holds,
            "on": found.on,
            "model": found.model,
        }

    gr.events.api(shown(check), api_name=f"{tab}_check", concurrency_id=MODEL_EVENTS)
