"""Vision: a picture in, its tokens reduced, and what the network still sees.

Every method is one token-transform matrix a stage: W (tokens out, tokens in), rows that sum to one. Pruning has
one-hot rows, merging disjoint rows, transforming overlapping ones. Token 0 is CLS and always kept.
"""

import hashlib
from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.errors import InputError
from components.method import Family, Lab, Method
from components.models import ModelStore
from components.numerics.scenes import Scene

LARGEST = 4096 * 4096  # pixels


@dataclass(frozen=True, eq=False)
class Picture:
    """RGB pixels (height, width, 3) uint8, with an optional question, and the scene's truth where it was generated."""

    pixels: NDArray[np.uint8]
    question: str = ""
    scene: Scene | None = None

    def __post_init__(self) -> None:
        """Refuse what is no RGB picture of 8 × 8 to 4096 × 4096 pixels."""
        if not isinstance(self.pixels, np.ndarray) or self.pixels.ndim != 3 or self.pixels.shape[2] != 3:
            raise InputError("This is no colour picture; give RGB pixels (height, width, 3).")
        height, width = self.pixels.shape[:2]
        if min(height, width) < 8 or height * width > LARGEST:
            raise InputError(
                f"The picture has {width} × {height} pixels; 8 × 8 to 16.8 million pixels fit: resize it."
            )
        if self.pixels.dtype != np.uint8:
            raise InputError(f"The pixels are {self.pixels.dtype}; give 8-bit values from 0 to 255.")

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the pixels."""
        return hashlib.sha256(str(self.pixels.shape).encode() + self.pixels.tobytes()).hexdigest()


@dataclass(frozen=True, eq=False)
class Stage:
    """The matrix W that was applied after the attention of `layer`: entries `weights` at (`rows`, `columns`).

    `order` (tokens out,) is the order in which a greedy method chose the kept tokens, empty where there is none.
    """

    layer: int
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    weights: NDArray[np.float64]
    shape: tuple[int, int]
    order: tuple[int, ...] = ()

    def matrix(self) -> Any:
        """Return W as a `scipy.sparse.csr_array` (tokens out, tokens in)."""
        from scipy.sparse import csr_array

        return csr_array((self.weights, (self.rows, self.columns)), shape=self.shape)


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the heads say: classes (height, width), class share of certainty, disparity (height, width), presence (6,)."""

    segmentation: NDArray[np.int64]
    disparity: NDArray[np.float32]
    presence: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Reduction:
    """The stages of one method on one picture, and what came of them.

    tokens (layers + 1,) counts the tokens that enter each layer, and those that leave the last; features
    (tokens, width) are the remaining tokens at the end, CLS first; sources (tokens, patches + 1) as a sparse stage
    product tells what each of them is made of; macs are multiply-accumulates of the whole network on this picture.
    """

    stages: tuple[Stage, ...]
    tokens: tuple[int, ...]
    prediction: Prediction
    features: NDArray[np.float32]
    macs: float
    milliseconds: float


class Reducer(Method):
    """Reduces the tokens of a picture inside the network."""

    @abstractmethod
    def __call__(self, picture: Picture, models: ModelStore) -> Reduction:
        """Run the network on `picture` with its tokens really dropped or merged."""


class VisionLab(Lab):
    """An experiment on one picture."""

    @abstractmethod
    def __call__(self, picture: Picture, models: ModelStore) -> tuple[Any, ...]:
        """Return the panels."""


reducers: Family[Reducer] = Family(__name__)
labs: Family[VisionLab] = Family(f"{__name__}.labs")
