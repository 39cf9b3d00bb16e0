"""How well predicted boundary times meet reference times: precision, recall, F1 and R-value at a tolerance.

A hit is one reference and one predicted boundary at most `tolerance` seconds apart; each counts once,
and as many hits are made as can be. R-value: Räsänen, Laine and Altosaar, Interspeech 2009.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.floating]


@dataclass(frozen=True)
class BoundaryScores:
    """Counts of hits, reference and predicted boundaries; counts of several clips add up."""

    hits: int
    reference: int
    predicted: int

    def __add__(self, other: "BoundaryScores") -> "BoundaryScores":
        """Pool the counts of two clips."""
        return BoundaryScores(
            self.hits + other.hits, self.reference + other.reference, self.predicted + other.predicted
        )

    @property
    def precision(self) -> float:
        """Return hits / predicted; 0 where nothing was predicted."""
        return self.hits / self.predicted if self.predicted else 0.0

    @property
    def recall(self) -> float:
        """Return hits / reference; 0 where there is no reference."""
        return self.hits / self.reference if self.reference else 0.0

    @property
    def f1(self) -> float:
        """Return the harmonic mean of precision and recall."""
        return 2 * self.hits / (self.reference + self.predicted) if self.reference + self.predicted else 0.0

    @property
    def r_value(self) -> float:
        """Return 1 for perfect, less for misses and for over-segmentation; 0 where nothing was predicted."""
        if not self.predicted or not self.reference:
            return 0.0
        over = self.predicted / self.reference - 1  # recall / precision - 1
        first = math.hypot(1 - self.recall, over)
        second = (self.recall - 1 - over) / math.sqrt(2)
        return 1 - (abs(first) + abs(second)) / 2


def edges(bounds: Times) -> NDArray[np.float64]:
    """Return the unique starts and ends (seconds, to the millisecond) of segments (segments, 2), in order."""
    return np.unique(np.asarray(bounds, np.float64).round(3))


def hits(reference: Times, predicted: Times, tolerance: float) -> int:
    """Return the largest number of one-to-one pairs at most `tolerance` seconds apart; linear after sorting.

    Taking the earliest pair that fits is optimal, because all windows have one width.
    """
    left, right = np.sort(reference), np.sort(predicted)
    limit = tolerance + 1e-9  # 1.05 - 1.00 is a little over 0.05 in floating point
    i = j = count = 0
    while i < len(left) and j < len(right):
        if abs(left[i] - right[j]) <= limit:
            count, i, j = count + 1, i + 1, j + 1
        elif left[i] < right[j]:
            i += 1
        else:
            j += 1
    return count


def score(reference: Times, predicted: Times, tolerance: float = 0.05, shift: float = 0.0) -> BoundaryScores:
    """Score boundary times in seconds (n,) after adding `shift` seconds to the predicted ones."""
    return BoundaryScores(
        hits(reference, np.asarray(predicted) + shift, tolerance), len(reference), len(predicted)
    )
