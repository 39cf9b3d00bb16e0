"""A run over a second shows its Cancel button; after it the page answers again and nothing typed is lost."""

import sys
import time
import traceback

import pytest

from tests.browser.test_app import opened, settled

pytestmark = pytest.mark.browser
SENTENCE = "the ship of the fleet left its harbour at noon and came back with the evening tide. "
LINES = "\n".join(f"Paragraph {i}: {SENTENCE * 6}" for i in range(900))


def encoding_goes_on():
    """Say whether a worker is still inside MiniLM."""
    stacks = [traceback.extract_stack(frame) for frame in sys._current_frames().values()]
    return any("encode.py" in frame.filename for stack in stacks for frame in stack)


def test_a_long_search_can_be_cancelled_and_the_text_stays(visit, address):
    one = opened(visit, address, "retrieval")
    one.page.get_by_role("button", name="Your own corpus").click()
    box = one.page.locator("#retrieval-text textarea")
    box.fill(LINES)
    one.page.locator("#retrieval-use").click()
    stop = one.page.locator("#retrieval-cancel")
    stop.wait_for(state="visible")
    stop.click()
    stop.wait_for(state="hidden")
    assert box.input_value() == LINES
    end = time.monotonic() + 10
    while encoding_goes_on() and time.monotonic() < end:
        time.sleep(0.1)
    assert not encoding_goes_on()  # the work itself has ended, not only the waiting for it
    one.page.get_by_label("English encyclopedia").click()
    one.page.get_by_text("Inertia").first.wait_for()
    settled(one)
