"""The built-in clips with the syllable marks of the synthesisers that spoke them."""

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.errors import InputError
from components.speech import Clip
from components.speech._audio import read_clip

FOLDER = Path(__file__).resolve().parents[2] / "assets" / "samples" / "speech"


@dataclass(frozen=True, eq=False)
class Example:
    """A clip whose syllables are known: bounds (syllables, 2) in seconds and a label each, in IPA."""

    clip: Clip
    title: str
    text: str
    voice: str
    bounds: NDArray[np.float64]
    labels: tuple[str, ...]
    path: Path


def names() -> tuple[str, ...]:
    """Return the names of the built-in clips, the plain English one first."""
    found = sorted(p.stem for p in FOLDER.glob("*.json"))
    return tuple(sorted(found, key=lambda name: (name != "english", name)))


def titles() -> dict[str, str]:
    """Return the title of each built-in clip, without decoding any."""
    return {name: str(_facts(name)["title"]) for name in names()}


def _facts(name: str) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return facts


@lru_cache(maxsize=16)
def example(name: str) -> Example:
    """Return one built-in clip by name."""
    if name not in names():
        raise InputError(f"{name!r} is no built-in clip; there are {', '.join(names())}.")
    facts = _facts(name)
    path = FOLDER / f"{name}.flac"
    rows = facts["syllables"]
    return Example(
        clip=Clip(read_clip(path).samples, title=facts["title"]),
        title=facts["title"],
        text=facts["text"],
        voice=facts["voice"],
        bounds=np.array([[start, end] for start, end, _ in rows], np.float64),
        labels=tuple(label for _, _, label in rows),
        path=path,
    )
