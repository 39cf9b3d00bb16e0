"""How far a long computation is: whoever waits listens, whoever works reports; neither knows the other."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Listener = Callable[[int, int, str], None]
_listener: ContextVar[Listener | None] = ContextVar("progress_listener", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Call `listener(done, total, what)` for every report in this block; its error stops the work."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def report(done: int, total: int, what: str) -> None:
    """Say that `done` of `total` steps of `what` are behind us."""
    listener = _listener.get()
    if listener is not None:
        listener(done, total, what)
