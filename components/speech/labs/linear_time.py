"""Time against length: the linear pass, the encoder, and the min-cut search that others use."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from components.method import Bars, Card, Curves, Finding, Table, knob
from components.models import ModelStore
from components.models.encode_speech import NAME, frames
from components.numerics.min_cut import min_cut
from components.numerics.syllable_cuts import cut_syllables
from components.speech import RATE, Clip, SpeechLab, labs
from components.speech._examples import example

LENGTHS = (5.0, 10.0, 20.0, 40.0, 80.0)  # seconds
QUADRATIC_TO = 20.0  # seconds: beyond it the min-cut search takes too long to wait for


@labs.add
@dataclass(frozen=True)
class LinearTime(SpeechLab):
    """Encode and cut the clip, repeated to growing lengths; fit the slope of log time over log length."""

    card = Card(
        title="Linear time",
        authors="Cho et al.",
        year=2025,
        url="https://arxiv.org/abs/2410.07168",
        claim="Cutting takes time in proportion to the length of the clip: log-log slope at most 1.1.",
        figure="O(n), about 4 times faster than min-cut pipelines (appendix)",
        differs="Processor time, measured here and now; each is the best of several runs.",
    )
    opening = (
        "The paper replaces the min-cut search, whose cost outgrows the clip, with one pass over the frames.",
        "Run it on your own clip, which is repeated to each length, and move the threshold.",
        "Look at the slopes: 1 means twice the length takes twice the time, 2 means four times.",
    )

    merge_threshold: float = knob(0.8, 0.3, 0.99, 0.01, "Merge threshold, cosine")
    repeats: int = knob(3, 1, 10, 1, "Runs of which the fastest counts")

    def __call__(self, clip: Clip, models: ModelStore) -> tuple[Any, ...]:
        """Return time over length, the slopes, and milliseconds per second of sound."""
        rows = [self._measure(clip, models, seconds) for seconds in LENGTHS]
        lines: dict[str, tuple[Any, Any]] = {}
        for name in rows[0]:
            points = [(s, row[name]) for s, row in zip(LENGTHS, rows, strict=True) if name in row]
            lines[name] = (np.array([s for s, _ in points]), np.array([t for _, t in points]))
        slopes = {name: slope(*line) for name, line in lines.items()}
        per_second = {name: float(y[-1] / x[-1]) for name, (x, y) in lines.items()}
        table = tuple((name, slopes[name], 1e3 * per_second[name]) for name in lines)
        return (
            Curves("Time over length of the clip", "clip (s)", "time (s)", lines, log=True),
            Bars("Slope of log time over log length (1 is linear)", "slope", slopes),
            Table("Cost", ("stage", "log-log slope", "ms per second of sound"), table),
        )

    def _measure(self, clip: Clip, models: ModelStore, seconds: float) -> dict[str, float]:
        samples = np.resize(clip.samples, int(seconds * RATE))
        heard = frames(models, samples)
        times = {
            "encoder": self._fastest(lambda: frames(models, samples)),
            "linear pass": self._fastest(lambda: cut_syllables(heard.features, 0.5, self.merge_threshold)),
        }
        if seconds <= QUADRATIC_TO:
            pieces = max(1, round(4.5 * seconds))
            times["min-cut"] = self._fastest(lambda: min_cut(heard.features, pieces))
        return times

    def _fastest(self, act: Callable[[], Any]) -> float:
        times = []
        for _ in range(self.repeats):
            started = time.process_time()  # not the wall clock: others may be using this machine
            act()
            times.append(time.process_time() - started)
        return max(min(times), 1e-6)

    @classmethod
    def check(cls, models: ModelStore) -> Finding:
        """Measure the slope of the linear pass on a built-in clip."""
        _, bars, table = cls()(example("english").clip, models)
        costs = {name: cost for name, _, cost in table.rows}
        pass_slope = bars.values["linear pass"]
        return Finding(
            measured=f"slope {pass_slope:.2f}, {costs['linear pass']:.2f} ms per second of sound "
            f"(encoder {costs['encoder']:.1f} ms, min-cut slope {bars.values['min-cut']:.2f})",
            paper=cls.card.figure,
            holds=pass_slope <= 1.1,
            on=f"one clip repeated to {LENGTHS[0]:.0f} to {LENGTHS[-1]:.0f} s",
            model=NAME,
        )


def slope(lengths: Any, times: Any) -> float:
    """Return the least-squares slope of log time over log length.

    >>> round(slope(np.array([1.0, 2.0, 4.0]), np.array([3.0, 12.0, 48.0])), 6)
    2.0
    """
    return float(np.polyfit(np.log(lengths), np.log(times), 1)[0])
