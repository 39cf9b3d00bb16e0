"""Recompute the metrics on bundled models' cards: `python -m components.models.evaluate [NAME …] --data DIR`.

A model's recipe may offer `evaluate(model, data, work) -> [{name, value, unit, n, on}]`; the rows are
compared with the card's by name and set. Without a name every model with such a recipe is measured. The exit
status is 1 where a value differs or one of the two lacks it.
"""

import argparse
import importlib
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.errors import InputError
from components.models.store import ModelStore
from components.settings import Settings

Metric = dict[str, Any]
Key = tuple[str, str]


@dataclass(frozen=True)
class Comparison:
    """One metric on the card and as found now; none where one of the two lacks it."""

    name: str
    on: str
    card: float | None
    found: float | None

    def differs(self, tolerance: float) -> bool:
        """Say whether both are there and further apart than `tolerance`, relative where above 1."""
        if self.card is None or self.found is None:
            return False
        if math.isnan(self.found):
            return True
        return abs(self.card - self.found) > tolerance * max(1.0, abs(self.card), abs(self.found))


def hook(name: str) -> Any:
    """Return the recipe's `evaluate` of a model; a model without one is refused."""
    module = f"components.models.recipes.{name.replace('-', '_')}"
    try:
        found = getattr(importlib.import_module(module), "evaluate", None)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        found = None
    if found is None:
        raise InputError(f"The recipe of {name!r} measures nothing; choose a model whose recipe does.")
    return found


def compare(card: list[Metric], found: list[Metric]) -> list[Comparison]:
    """Pair the card's rows with the found ones, in the card's order, then what the card lacks."""
    old: dict[Key, float] = {(m["name"], m["on"]): float(m["value"]) for m in card}
    new: dict[Key, float] = {(m["name"], m["on"]): float(m["value"]) for m in found}
    return [Comparison(*key, old.get(key), new.get(key)) for key in dict.fromkeys([*old, *new])]


def recompute(name: str, data: Path, work: Path, models: ModelStore) -> list[Comparison]:
    """Load the shipped weights, run the recipe's evaluation and compare with the card."""
    card = models.card(name)
    rows: list[Metric] = hook(name)(models.get(name), data, work)
    return compare(card.get("metrics", []), rows)


def main(argv: list[str] | None = None) -> int:
    """Print both values of every metric and mark what differs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", help="folders in assets/models; all by default")
    parser.add_argument("--data", type=Path, required=True, help="folder with the evaluation data")
    parser.add_argument("--work", type=Path, default=Path("training"), help="folder for data that is made")
    parser.add_argument("--tolerance", type=float, default=0.01, help="allowed relative difference")
    parser.add_argument("--threads", type=int, default=1, help="of each network")
    options = parser.parse_args(argv)
    models = ModelStore(Settings(threads=options.threads))
    wrong = 0
    networks = [name for name in models.names() if "net" in models.card(name)]  # not the tokenizers
    for name in options.names or networks:
        wrong += report(name, recompute(name, options.data, options.work, models), options.tolerance)
    return int(wrong > 0)


def report(name: str, rows: list[Comparison], tolerance: float) -> int:
    """Print the rows of one model; return how many differ or lack one of the two values."""
    wrong = 0
    for row in rows:
        absent = "missing " if None in (row.card, row.found) else ""
        mark = "DIFFERS " if row.differs(tolerance) else absent
        wrong += bool(mark)
        sys.stdout.write(f"{mark}{row.name} | {row.on}: card {_show(row.card)}, found {_show(row.found)}\n")
    sys.stdout.write(f"{name}: {len(rows)} metrics, {wrong} differ or are missing\n")
    sys.stdout.flush()
    return wrong


def _show(value: float | None) -> str:
    return "none" if value is None else f"{value:g}"


if __name__ == "__main__":
    sys.exit(main())
