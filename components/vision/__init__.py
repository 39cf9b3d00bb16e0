"""Vision: a picture in, its tokens reduced, and what the network still sees.

Every method is one token-transform matrix a stage: W (tokens out, tokens in), rows that sum to one. Pruning
has one-hot rows, merging disjoint rows, transforming overlapping ones. Token 0 is CLS and always kept. A
method only decides; the network is run, its tokens really dropped or merged, by `components.models.reduce`.
"""

import hashlib
import importlib
from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.errors import InputError
from components.method import Family, Lab, Method
from components.models import ModelStore
from components.models.reduce import Decide, Outcome, Seen, run
from components.numerics.scenes import Scene, scene
from components.numerics.token_matrix import Step, TokenMatrix, compose, identity

LARGEST = 4096 * 4096  # pixels
MODEL = "scene-vit"
REPEATS = 3  # the time shown is the fastest of so many runs


@dataclass(frozen=True, eq=False)
class Picture:
    """RGB pixels (height, width, 3) uint8, an optional question, and the truth where it was generated."""

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

    @classmethod
    def of_scene(
        cls, seed: int, objects: int | None = None, style: str = "any", size: int = 128
    ) -> "Picture":
        """Return the generated scene of a seed with its truth."""
        made = scene(seed, size=size, objects=objects, style=style)
        return cls(made.image, scene=made)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the pixels."""
        return hashlib.sha256(str(self.pixels.shape).encode() + self.pixels.tobytes()).hexdigest()

    def square(self, size: int) -> NDArray[np.uint8]:
        """Return the centre square, resampled to (size, size, 3): what a network of that size is given."""
        height, width = self.pixels.shape[:2]
        if height == width == size:
            return self.pixels
        from PIL import Image

        side = min(height, width)
        left, top = (width - side) // 2, (height - side) // 2
        crop = Image.fromarray(self.pixels[top : top + side, left : left + side])
        return np.asarray(crop.resize((size, size), Image.Resampling.LANCZOS))


@dataclass(frozen=True, eq=False)
class Stage:
    """One reduction after the attention of `layer` (from 1): W as `forward`, the way back as `back`.

    `order` lists the tokens in as a greedy method chose them (without CLS), empty where there is no order.
    """

    layer: int
    forward: TokenMatrix
    back: TokenMatrix
    order: tuple[int, ...] = ()

    def matrix(self) -> Any:
        """Return W as a `scipy.sparse.csr_array` (tokens out, tokens in)."""
        return self.forward.sparse()


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the heads say: class (size, size) uint8, disparity (size, size), presence of shapes (6,)."""

    segmentation: NDArray[np.uint8]
    disparity: NDArray[np.float32]
    presence: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Reduction:
    """The stages of one method on one picture, and what came of them.

    image (size, size, 3) is what the network was given; side is the number of patches along it; tokens
    (layers + 1,) counts the tokens, CLS too, that enter each layer, and those that leave the last; features
    (tokens, width) are the remaining tokens at the end, CLS first; macs are multiply-accumulates of the
    whole network on this picture; milliseconds is the whole run, `deciding` the part of it spent in the
    method's rule.
    """

    image: NDArray[np.uint8]
    side: int
    stages: tuple[Stage, ...]
    tokens: tuple[int, ...]
    prediction: Prediction
    features: NDArray[np.float32]
    macs: float
    milliseconds: float
    deciding: float

    @cached_property
    def composed(self) -> tuple[TokenMatrix, TokenMatrix]:
        """Return W over all stages (tokens left, patches + 1) and the way back (patches + 1, tokens left)."""
        steps = tuple(Step(s.forward, s.back, np.empty(0)) for s in self.stages)
        return compose(steps, 1 + self.side**2)

    @cached_property
    def kept(self) -> NDArray[np.int64]:
        """Return the patches, row by row from 0, that some remaining token holds a part of, ascending."""
        columns = np.unique(self.composed[0].columns)
        return columns[columns > 0] - 1

    @cached_property
    def regions(self) -> NDArray[np.int64]:
        """Return for every patch (patches,) the remaining token, from 1, that stands for it at the end."""
        return self.composed[1].strongest()[1:]

    @cached_property
    def order(self) -> tuple[int, ...]:
        """Return the patches in the order of the last stage that has one; empty where none has."""
        before, found = identity(1 + self.side**2), tuple[int, ...]()
        for stage in self.stages:
            if stage.order:
                origin = before.strongest()
                found = tuple(int(origin[token]) - 1 for token in stage.order)
            before = stage.forward.after(before)
        return found

    @property
    def nbytes(self) -> int:
        """Return about how much memory this takes."""
        arrays = self.image.nbytes + self.features.nbytes + 5 * self.prediction.segmentation.nbytes
        return arrays + 24 * sum(len(s.forward.rows) + len(s.back.rows) for s in self.stages)


class Reducer(Method):
    """Reduces the tokens of a picture inside the network; a method says how by `decide`."""

    @abstractmethod
    def decide(self, seen: Seen) -> Step | None:
        """Return what to do to the tokens after the attention of `seen.layer`, or nothing to leave them."""

    def __call__(self, picture: Picture, models: ModelStore) -> Reduction:
        """Run the network on `picture` with its tokens really reduced; the same input is run once."""
        key = (MODEL, models.card(MODEL)["sha256"], self.name, self, picture.digest)
        return models.remember(key, lambda: self.run(picture, models, self.decide))

    def run(self, picture: Picture, models: ModelStore, decide: Decide) -> Reduction:
        """Run the network on `picture`, asking `decide` after every layer's attention."""
        net = models.get(MODEL)
        image = picture.square(net.size)
        outcome = run(net, pixels_first(image[None]), decide, REPEATS)
        return Reduction(
            image, net.side, tuple(Stage(n, s.forward, s.back, s.order) for n, s in outcome.steps[0]),
            outcome.entering, predictions(outcome)[0], outcome.features[0], outcome.macs,
            outcome.milliseconds, outcome.deciding,
        )  # fmt: skip


def pixels_first(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return images (batch, height, width, 3) uint8 as (batch, 3, height, width) from 0 to 1."""
    return (images.transpose(0, 3, 1, 2) / np.float32(255)).astype(np.float32)


def predictions(outcome: Outcome) -> tuple[Prediction, ...]:
    """Return what the heads say about every picture of a run."""
    classes = outcome.heads["segmentation"].argmax(axis=1).astype(np.uint8)
    shapes = 1 / (1 + np.exp(-outcome.heads["presence"]))
    return tuple(
        Prediction(*parts) for parts in zip(classes, outcome.heads["disparity"], shapes, strict=True)
    )


class VisionLab(Lab):
    """An experiment on one picture."""

    @abstractmethod
    def __call__(self, picture: Picture, models: ModelStore) -> tuple[Any, ...]:
        """Return the panels."""


# Imported first: loading the folder later would put the module in the place of the family of this name
importlib.import_module(f"{__name__}.labs")
reducers: Family[Reducer] = Family(__name__)
labs: Family[VisionLab] = Family(f"{__name__}.labs")
