"""What the host decides: read once from the environment, passed down from `app.py`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Any

PREFIX = "TOKENSCOPE_"


class SettingsError(ValueError):
    """An environment variable with our prefix is unknown or has a value that does not fit."""


def _one_of(*allowed: str) -> Callable[[str], str]:
    def cast(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"one of {', '.join(allowed)}")
        return text

    return cast


def _whole(low: int, high: int) -> Callable[[str], int]:
    def cast(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return int(text)

    return cast


def _text(text: str) -> str:
    return text


@dataclass(frozen=True)
class Settings:
    """Every setting with its default; its key is the field's name in capitals after the prefix."""

    hub: str = "off"
    hub_endpoint: str = "https://huggingface.co"
    hub_largest_mb: int = 600
    host: str = "127.0.0.1"
    port: int = 7860
    device: str = "cpu"
    threads: int = 2
    model_slots: int = 2
    queue_size: int = 64
    model_memory_mb: int = 1200
    result_memory_mb: int = 400
    qdrant_url: str = ""
    tls_certificate: str = ""
    tls_key: str = ""

    @classmethod
    def from_env(cls, environment: Mapping[str, str]) -> "Settings":
        """Read all `TOKENSCOPE_*` keys; an unknown one is an error, as it is most often a typing mistake."""
        values: dict[str, Any] = {}
        known = {PREFIX + field.name.upper(): field.name for field in fields(cls)}
        for key, text in environment.items():
            if not key.startswith(PREFIX):
                continue
            if key not in known:
                near = get_close_matches(key, known, 1)
                hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(sorted(known))}."
                raise SettingsError(f"{key} is not a setting; {hint}")
            try:
                values[known[key]] = _CASTS[known[key]](text)
            except ValueError as error:
                raise SettingsError(f"{key}={text!r} does not fit: give {error}.") from None
        return cls(**values)


_CASTS: dict[str, Callable[[str], Any]] = {
    "hub": _one_of("off", "curated", "any"),
    "hub_endpoint": _text,
    "hub_largest_mb": _whole(1, 100_000),
    "host": _text,
    "port": _whole(0, 65535),
    "device": _one_of("cpu", "cuda", "auto"),
    "threads": _whole(1, 256),
    "model_slots": _whole(1, 64),
    "queue_size": _whole(1, 10_000),
    "model_memory_mb": _whole(50, 1_000_000),
    "result_memory_mb": _whole(10, 1_000_000),
    "qdrant_url": _text,
    "tls_certificate": _text,
    "tls_key": _text,
}
