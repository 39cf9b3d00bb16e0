"""Speech: a clip in, its segments out. Times are seconds, samples mono float32 at 16 kHz."""

import hashlib
import importlib
from abc import abstractmethod
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.errors import InputError
from components.method import Family, Lab, Method
from components.models import ModelStore

RATE = 16_000
SHORTEST, LONGEST = 0.1, 3600.0  # seconds


@dataclass(frozen=True, eq=False)
class Clip:
    """Mono speech (samples,) in -1..1 at 16 kHz, from 0.1 s to 1 h."""

    samples: NDArray[np.float32]
    title: str = "clip"

    def __post_init__(self) -> None:
        """Refuse what is no finite mono signal of a fitting length."""
        if not isinstance(self.samples, np.ndarray) or self.samples.ndim != 1:
            raise InputError("This is no mono signal; give one channel of samples at 16 kHz.")
        if not SHORTEST <= self.seconds <= LONGEST:
            raise InputError(
                f"The clip lasts {self.seconds:.2f} s; a clip of {SHORTEST} s to {LONGEST / 60:.0f} min "
                "fits: record again or cut it."
            )
        if not np.isfinite(self.samples).all():
            raise InputError("The clip holds samples that are no numbers; export it as 16-bit audio.")
        object.__setattr__(self, "samples", np.ascontiguousarray(self.samples, np.float32))

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return len(self.samples) / RATE

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the samples, the key under which results are remembered."""
        return hashlib.sha256(self.samples.tobytes()).hexdigest()


@dataclass(frozen=True, eq=False)
class Trace:
    """One curve over the frames (frames,) that a decision was made on, and the threshold it met."""

    title: str
    values: NDArray[np.floating[Any]]
    threshold: float | None = None


@dataclass(frozen=True, eq=False)
class Segmentation:
    """Segments in order, none overlapping; gaps between them are silence.

    bounds (segments, 2) in seconds; rate in frames per second; offset is the time of frame 0's centre in
    seconds; embeddings (segments, dim) hold one vector a segment, (segments, 0) where the method has none;
    features (frames, dim) are what the vectors are means of, where there are any.
    """

    bounds: NDArray[np.float64]
    rate: float
    embeddings: NDArray[np.float32]
    traces: tuple[Trace, ...] = ()
    offset: float = 0.0
    features: NDArray[np.float32] | None = None
    milliseconds: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Fail on what is out of order or not finite: that is a bug of the method."""
        flat = self.bounds.reshape(-1)
        if self.bounds.ndim != 2 or self.bounds.shape[1] != 2 or not np.isfinite(flat).all():
            raise ValueError(f"bounds must be finite (segments, 2), not {self.bounds.shape}")
        overlapping = (self.bounds[1:, 0] < self.bounds[:-1, 1] - 1e-9).any()
        if (np.diff(self.bounds, axis=1) <= 0).any() or overlapping:
            raise ValueError("segments must be in order and not overlap")
        if len(self.embeddings) != len(self.bounds) or not np.isfinite(self.embeddings).all():
            raise ValueError("every segment needs one finite vector")


class Segmenter(Method):
    """Cuts a clip into segments."""

    @abstractmethod
    def __call__(self, clip: Clip, models: ModelStore) -> Segmentation:
        """Return the segments of `clip`."""


class SpeechLab(Lab):
    """An experiment on one clip."""

    @abstractmethod
    def __call__(self, clip: Clip, models: ModelStore) -> tuple[Any, ...]:
        """Return the panels."""


# Imported first: loading the folder later would put the module in the place of the family of this name
importlib.import_module(f"{__name__}.labs")
segmenters: Family[Segmenter] = Family(__name__)
labs: Family[SpeechLab] = Family(f"{__name__}.labs")
