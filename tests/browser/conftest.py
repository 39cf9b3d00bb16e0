"""What the browser tests share: a visit records its errors and hosts, and knows how to point at a figure."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest

HOSTILE = (
    "<img src=x onerror=window.__x=1>", "</script><script>window.__x=1</script>",
    "${window.__x=1}", "{{7*7}}",
    "`${7*7}`", "\u202egnp.exe <b>bold</b>", "javascript:window.__x=1", '"><svg onload=window.__x=1>',
    "&lt;i&gt; &amp; <br>",
)  # fmt: skip


@dataclass
class Visit:
    """A page in the browser, with every host it asked and every error it told."""

    page: Any
    errors: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def listen(self) -> None:
        self.page.on("request", lambda request: self.hosts.add(urlsplit(request.url).hostname or ""))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda said: said.type == "error" and self.errors.append(said.text))

    def place(self, plot: str, identity: str) -> tuple[float, float]:
        """Return where on the screen the point with this id is drawn."""
        self.page.locator(f"#{plot} .js-plotly-plot").scroll_into_view_if_needed()
        x, y = self.page.evaluate(
            """([plot, id]) => {
                const gd = document.querySelector(`#${plot} .js-plotly-plot`);
                const box = gd.getBoundingClientRect();
                const {xaxis, yaxis} = gd._fullLayout;
                for (const trace of gd.data) {
                    const i = Array.from(trace.customdata || []).indexOf(id);
                    if (i < 0) continue;
                    const y = trace.type === "bar" ? trace.y[i] / 2 : trace.y[i];
                    return [box.left + xaxis._offset + xaxis.l2p(trace.x[i]),
                            box.top + yaxis._offset + yaxis.l2p(y)];
                }
            }""",
            [plot, identity],
        )
        return x, y

    def chosen(self) -> list[str]:
        """Return the ids of the chips that are lit."""
        return self.page.eval_on_selector_all(".is-chosen", "nodes => nodes.map(n => n.dataset.piece)")

    def overflow(self) -> int:
        """Return by how many pixels the page is wider than the screen."""
        return self.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )

    def grave(self) -> list[str]:
        """Return axe's serious and critical findings, each with its first element."""
        from axe_playwright_python.sync_playwright import Axe

        # what is being renewed is dimmed on purpose: judge the page at rest, and make sure that it stays so
        for _ in range(2):
            self.page.wait_for_function("!document.querySelector('.pending, .generating')", timeout=60_000)
            self.page.wait_for_timeout(400)
        found = Axe().run(self.page).response["violations"]
        return [f"{v['id']}: {v['nodes'][0]['html'][:200]} {v['nodes'][0].get('failureSummary', '')[:200]}"
                for v in found if v["impact"] in ("serious", "critical")]  # fmt: skip


@pytest.fixture
def visit(chromium: Any) -> Iterator[Callable[..., Visit]]:
    """Open an address in a fresh context; on leaving, no error and no foreign host may have been seen."""
    visits: list[Visit] = []

    def start(address: str, *, width: int = 1280, dark: bool = False, **context: Any) -> Visit:
        made = chromium.new_context(
            viewport={"width": width, "height": 900}, accept_downloads=True, **context
        )
        made.set_default_timeout(20_000)
        one = Visit(made.new_page())
        one.listen()
        visits.append(one)
        glue = "&" if "?" in address else "?"
        one.page.goto(address + (f"{glue}__theme=dark" if dark else ""))
        return one

    yield start
    for one in visits:
        one.page.context.close()
    refused = "status of 500"  # how the browser reports a refused input
    assert [error for one in visits for error in one.errors if refused not in error] == []
    assert {host for one in visits for host in one.hosts} <= {"127.0.0.1", ""}  # data: addresses have no host
