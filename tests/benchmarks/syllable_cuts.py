"""Sylber's linear pass beside the min-cut search of its predecessors, on the same frames."""

import numpy as np

from components.numerics.min_cut import min_cut
from components.numerics.syllable_cuts import cut_syllables
from tests.benchmarks import least, tell

RATE, DIM = 50, 64


def frames(seconds: int) -> np.ndarray:
    """Return made features (frames, dim): four flat segments a second with a little noise, and pauses."""
    rng = np.random.default_rng(seconds)
    means = rng.normal(size=(4 * seconds, DIM))
    means[::9] = 0
    return np.repeat(means, RATE * seconds // len(means), axis=0) + rng.normal(0, 0.05, (48 * seconds, DIM))


def main() -> None:
    """Measure at 5, 20 and 60 seconds; the linear pass should grow by the ratio of the lengths."""
    cut_syllables(frames(5), 2.0, 0.8)
    for seconds in (5, 20, 60):
        features = frames(seconds)
        times = least(3, ours=lambda f=features: cut_syllables(f, 2.0, 0.8),
                      min_cut=lambda f=features, s=seconds: min_cut(f, 4 * s))
        tell(f"{seconds} s of frames", times, "ours")


if __name__ == "__main__":
    main()
