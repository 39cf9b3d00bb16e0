"""Side-by-side measurements, run by hand: each prints the ratio to a peer that is measured in the same run.

`OPENBLAS_NUM_THREADS=1 python -m tests.benchmarks.late_interaction` and so on. Times are processor time of
one thread, taken in turns, the least of several rounds, so that a busy machine spoils a ratio less.
"""

import time
from collections.abc import Callable
from typing import Any


def least(rounds: int, **runs: Callable[[], Any]) -> dict[str, float]:
    """Return the least processor time of each of `runs` in milliseconds, taking turns for `rounds` rounds."""
    best = dict.fromkeys(runs, float("inf"))
    for _ in range(rounds):
        for name, run in runs.items():
            started = time.process_time()
            run()
            best[name] = min(best[name], 1e3 * (time.process_time() - started))
    return best


def tell(what: str, times: dict[str, float], ours: str) -> None:
    """Print the times, and how many times faster `ours` is than each other."""
    print(what)
    for name, milliseconds in times.items():
        ratio = "" if name == ours else f"   {milliseconds / times[ours]:6.2f} × ours"
        print(f"  {name:28s} {milliseconds:10.2f} ms{ratio}")
