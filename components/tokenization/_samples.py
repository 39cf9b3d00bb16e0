"""The example texts that ship, and one small set of sentences in twenty languages."""

import json
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "assets" / "samples" / "text"
KINDS = {
    "English prose": "english_prose",
    "Turkish prose": "turkish_prose",
    "Python code": "code",
    "Numbers": "numbers",
    "UUID JSON": "uuid_json",
    "Emoji and marks": "emoji",
    "Mixed scripts": "mixed_scripts",
}


@cache
def sample(kind: str) -> str:
    """Return the example text of one kind."""
    return (FOLDER / f"{KINDS[kind]}.txt").read_text(encoding="utf-8")


def samples() -> dict[str, str]:
    """Return all example texts by kind."""
    return {kind: sample(kind) for kind in KINDS}


@cache
def parallel() -> dict[str, tuple[str, ...]]:
    """Return the same three sentences in each language; index by language, then by sentence."""
    found = json.loads((FOLDER / "parallel.json").read_text(encoding="utf-8"))
    return {language: tuple(sentences) for language, sentences in found.items()}
