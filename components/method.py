"""What every method is made of: its card, its knobs, the family that lists it, and the panels a lab shows.

A method is a frozen dataclass: its fields are the knobs, calling it is the method. A value that exists is
valid, because knobs and inputs refuse in `__post_init__`.
"""

import importlib
import math
import pkgutil
from abc import ABC, abstractmethod
from dataclasses import MISSING, dataclass, field, fields
from difflib import get_close_matches
from typing import Any, ClassVar, Generic, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from components.errors import InputError

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Knob:
    """The range of one field, as the page draws it: a slider, a choice or a switch.

    `live` knobs are cheap: turning one re-runs at once; the others wait for the run button.
    """

    label: str
    low: float = 0.0
    high: float = 0.0
    step: float = 0.0
    options: tuple[str, ...] = ()
    help: str = ""
    live: bool = True

    def refusal(self, name: str, value: object) -> str | None:
        """Say why `value` does not fit, or nothing."""
        if self.options:
            options = ", ".join(self.options)
            return None if value in self.options else f"{name}={value!r} is not one of {options}."
        if self.step == 0:
            return None if isinstance(value, bool) else f"{name}={value!r} is neither true nor false."
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            return f"{name}={value!r} is not a number; give one from {self.low:g} to {self.high:g}."
        if not self.low <= value <= self.high:
            return f"{name}={value:g} is out of range; give a value from {self.low:g} to {self.high:g}."
        return None


def knob(
    default: float, low: float, high: float, step: float, label: str, *, help: str = "", live: bool = True
) -> Any:
    """Declare a numeric field that the page draws as a slider; the unit belongs in `label`."""
    return field(default=default, metadata={"knob": Knob(label, low, high, step, help=help, live=live)})


def choice(default: str, options: tuple[str, ...], label: str, *, help: str = "", live: bool = True) -> Any:
    """Declare a field with a few named values, drawn as a drop-down."""
    return field(default=default, metadata={"knob": Knob(label, options=options, help=help, live=live)})


def switch(default: bool, label: str, *, help: str = "", live: bool = True) -> Any:
    """Declare a yes/no field, drawn as a tick box."""
    return field(default=default, metadata={"knob": Knob(label, help=help, live=live)})


@dataclass(frozen=True)
class Card:
    """Where a method comes from and what it promises.

    `claim` is one falsifiable sentence; `figure` is the paper's own number for its own set-up; `differs` says
    what ours leaves out or does smaller; `system` is the number of the research system (1 to 24), none for a
    peer.
    """

    title: str
    authors: str
    year: int
    url: str
    claim: str
    figure: str
    differs: str
    system: int | None = None


@dataclass(frozen=True)
class Finding:
    """The outcome of a check: what was measured, on what, by which model, beside the paper's figure."""

    measured: str
    paper: str
    holds: bool
    on: str
    model: str


class Method(ABC):
    """A frozen dataclass whose fields are knobs; families derive an abstract call from Input to Result."""

    card: ClassVar[Card]
    name: ClassVar[str]

    def __post_init__(self) -> None:
        """Refuse a knob outside its range."""
        for name, limits in self.knobs().items():
            value = getattr(self, name)
            kind = type(self.default(name))
            if kind is int and isinstance(value, float) and value.is_integer():
                object.__setattr__(self, name, int(value))  # sliders send 5.0 for 5
            reason = limits.refusal(name, value)
            if reason:
                raise InputError(f"{type(self).card.title}: {reason}")

    @classmethod
    def knobs(cls) -> dict[str, Knob]:
        """Return every knob by the name of its field, in order."""
        declared = fields(cls)  # type: ignore[arg-type]
        return {f.name: f.metadata["knob"] for f in declared if "knob" in f.metadata}

    @classmethod
    def default(cls, name: str) -> Any:
        """Return the default of one knob."""
        for f in fields(cls):  # type: ignore[arg-type]
            if f.name == name and f.default is not MISSING:
                return f.default
        raise KeyError(name)


    @classmethod
    @abstractmethod
    def check(cls, models: Any) -> Finding:
        """Measure the card's claim on real input, with the defaults, in a few seconds."""


M = TypeVar("M", bound=Method)


class Family(Generic[M]):
    """The methods of one folder, by the name of their module; the folder is imported on first use."""

    def __init__(self, package: str) -> None:
        """`package` is the dotted name of the folder whose public modules each add one method."""
        self.package = package
        self._members: dict[str, type[M]] = {}
        self._complete = False

    def add(self, cls: type[M]) -> type[M]:
        """Register a method under its module's name (a decorator)."""
        name = cls.__module__.rsplit(".", 1)[-1]
        if name in self._members and self._members[name] is not cls:
            raise TypeError(f"{cls.__module__} holds two methods; a module holds one.")
        if not getattr(cls, "card", None):
            raise TypeError(f"{cls.__qualname__} has no card.")
        cls.name = name
        self._members[name] = cls
        return cls

    def _load(self) -> dict[str, type[M]]:
        if not self._complete:
            package = importlib.import_module(self.package)
            for module in pkgutil.iter_modules(package.__path__):
                if not module.name.startswith("_") and not module.ispkg:
                    importlib.import_module(f"{self.package}.{module.name}")
            self._complete = True
        return self._members

    def names(self) -> tuple[str, ...]:
        """Return all names: the numbered research systems first, then their peers, each by title."""
        members = self._load()
        return tuple(sorted(members, key=lambda n: (members[n].card.system or 99, members[n].card.title)))

    def __getitem__(self, name: str) -> type[M]:
        """Return the class of one method; an unknown name is refused with the nearest one."""
        members = self._load()
        if name not in members:
            near = get_close_matches(str(name), members, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"choose one of {', '.join(members)}."
            raise InputError(f"{name!r} is no method of this tab; {hint}")
        return members[name]

    def create(self, name: str, **knobs: Any) -> M:
        """Build a method from its name and knob values; an unknown knob is refused."""
        cls = self[name]
        unknown = set(knobs) - set(cls.knobs())
        if unknown:
            there = ", ".join(cls.knobs()) or "none"
            raise InputError(f"{cls.card.title} has no knob {min(unknown)!r}; it has {there}.")
        return cls(**knobs)


# ---- the shapes a lab can show; `components.plots` draws each of them
# -------------------------------------------


@dataclass(frozen=True, eq=False)
class Curves:
    """Lines over one axis: `lines` maps a legend entry to (x (n,), y (n,)); axis titles carry the units."""

    title: str
    x: str
    y: str
    lines: dict[str, tuple[Floats, Floats]]
    log: bool = False


@dataclass(frozen=True, eq=False)
class HeatMap:
    """A matrix (rows, columns) of one quantity; `diverging` centres the scale on zero."""

    title: str
    x: str
    y: str
    values: Floats
    rows: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    diverging: bool = False
    unit: str = ""


@dataclass(frozen=True, eq=False)
class Scatter:
    """Points (n, 2) with a label each; points of one group share a hue."""

    title: str
    x: str
    y: str
    points: Floats
    labels: tuple[str, ...]
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Bars:
    """One bar a name."""

    title: str
    y: str
    values: dict[str, float]


@dataclass(frozen=True, eq=False)
class TokenStrip:
    """Pieces of a text in order, shaded by `weights` (pieces,) where given."""

    title: str
    pieces: tuple[str, ...]
    weights: Floats | None = None


@dataclass(frozen=True, eq=False)
class Table:
    """Rows under named columns."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | float | int, ...], ...]


@dataclass(frozen=True, eq=False)
class Audio:
    """Mono samples (n,) at `rate` Hz."""

    title: str
    samples: Floats
    rate: int


@dataclass(frozen=True, eq=False)
class ImageOverlay:
    """An image (height, width, 3) uint8 with a scalar layer (height, width) over it, none where NaN."""

    title: str
    image: NDArray[np.uint8]
    layer: Floats | None = None


Panel = Curves | HeatMap | Scatter | Bars | TokenStrip | Table | Audio | ImageOverlay
Tab = Literal["speech", "vision", "tokenization", "retrieval"]


class Lab(Method):
    """An experiment of a family: the same anatomy as a method, but its result is a tuple of panels.

    `opening` holds three sentences: what the paper says, what to try, what to look for.
    """

    opening: ClassVar[tuple[str, str, str]]
