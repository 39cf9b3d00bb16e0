"""What the vision tab shows of its reductions: rows of numbers, points of the map, files to take away."""

import csv
import html
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.errors import InputError
from components.models import ModelStore
from components.numerics.projection import MapPoints
from components.numerics.scenes import CLASSES
from components.plots.palette import DIMMED, HUES, hue
from components.vision import Picture, Reducer, Reduction, reducers
from components.vision._measures import COLUMNS, matrices_file, measures
from components.vision._pictures import read_picture
from demos._controls import numbers, titles

PHOTO = (
    "The network was trained on generated scenes: what it says about a photo means nothing by itself. What"
    " counts is whether a method changes it; all errors are against the run with all tokens."
)


@dataclass(frozen=True)
class Bench:
    """One picture, the unreduced run, and of each chosen method the result, or why there is none."""

    picture: Picture
    before: Reduction
    chosen: tuple[Reducer, ...]
    results: tuple[Reduction | str, ...]

    @property
    def titles(self) -> list[str]:
        """Return a title a method that tells it from the others."""
        return titles(self.chosen)

    @property
    def done(self) -> list[tuple[int, Reducer, Reduction]]:
        """Return slot, method and result of those that came through."""
        both = zip(self.chosen, self.results, strict=True)
        return [(slot, m, r) for slot, (m, r) in enumerate(both) if isinstance(r, Reduction)]


def reduce_all(picture: Picture, chosen: Sequence[Reducer], models: ModelStore) -> Bench:
    """Run all chosen methods; one that refuses leaves its reason in its place."""
    before = reducers.create("none")(picture, models)
    results: list[Reduction | str] = []
    for method in chosen:
        try:
            results.append(method(picture, models))
        except InputError as refused:
            results.append(str(refused))
    return Bench(picture, before, tuple(chosen), tuple(results))


def picture_of(seed: float | None, objects: float, style: str, photo: str | None) -> Picture:
    """Return the photo, or the generated scene where there is none; 0 objects: as the seed has it."""
    if photo:
        return read_picture(photo)
    if seed is None or seed != int(seed):
        raise InputError("The seed is empty or no whole number; give one from 0 up.")
    return Picture.of_scene(int(seed), int(objects) or None, style)


def rows(bench: Bench) -> list[tuple[Any, ...]]:
    """Return title and numbers of every method, the unreduced run last; a refusal its reason."""
    scene, nothing = bench.picture.scene, (None,) * len(COLUMNS)
    lines: list[tuple[Any, ...]] = []
    for title, result in zip(bench.titles, bench.results, strict=True):
        if isinstance(result, str):
            lines.append((f"{title}: {result}", *nothing))
        else:
            lines.append((title, *measures(result, bench.before, scene).values()))
    return [*lines, ("All tokens", *measures(bench.before, bench.before, scene).values())]


def numbers_of(bench: Bench) -> str:
    """Return the table of numbers as HTML, with a note where there is no truth."""
    note = "" if bench.picture.scene else f"<p class='ts-note'>{html.escape(PHOTO)}</p>"
    return numbers(COLUMNS, rows(bench)) + note


def map_of(bench: Bench) -> MapPoints:
    """Return the picture's patch vectors, grouped by which of the dropping methods kept them."""
    side = bench.before.side
    slots = [slot for slot, _, r in bench.done if len(r.kept) < side * side]
    dropping = [(bench.titles[slot], set(r.kept.tolist())) for slot, _, r in bench.done if slot in slots]
    groups = [tuple(i in kept for _, kept in dropping) for i in range(side * side)]
    order = sorted(set(groups), key=lambda g: (-sum(g), tuple(not b for b in g)))
    labels = bench.before.prediction.segmentation
    step = len(labels) // side
    middles = labels[step // 2 :: step, step // 2 :: step].ravel()
    return MapPoints(
        ids=tuple(f"patch:{i}" for i in range(side * side)),
        vectors=bench.before.features[1:],
        labels=tuple(f"row {i // side}, column {i % side}: {CLASSES[c]}" for i, c in enumerate(middles)),
        series=tuple(order.index(g) for g in groups), names=tuple(_named(g, dropping) for g in order),
        note="Patch vectors after the last layer, all tokens kept.",
        colours=tuple(_colour(g, slots) for g in order),
    )  # fmt: skip


def _colour(group: tuple[bool, ...], slots: list[int]) -> str:
    """Return the hue of the one method that keeps a group, grey where all drop it, one more for several."""
    keepers = [slot for slot, kept in zip(slots, group, strict=True) if kept]
    if not group or len(keepers) == 1:
        return hue(keepers[0] if keepers else 0)
    return HUES[4] if keepers else DIMMED


def _named(group: tuple[bool, ...], dropping: list[tuple[str, set[int]]]) -> str:
    """Say which of the dropping methods keep the patches of a group."""
    if not dropping:
        return "all patches stay"
    if len(dropping) == 1:
        return "kept" if group[0] else "dropped"
    if len(set(group)) == 1:
        return "kept by all" if group[0] else "dropped by all"
    return "kept by " + ", ".join(title for (title, _), kept in zip(dropping, group, strict=True) if kept)


def files_of(bench: Bench) -> list[str]:
    """Write the numbers (CSV, JSON), each method's W (safetensors) and overlay (PNG); return the paths."""
    from PIL import Image

    from components.plots.vision import overlay

    folder = Path(tempfile.mkdtemp(prefix="reduction-"))
    table = rows(bench)
    with (folder / "numbers.csv").open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows([("method", *COLUMNS), *table])
    (folder / "numbers.json").write_text(json.dumps(records(bench), indent=2), encoding="utf-8")
    for slot, method, result in bench.done:
        (folder / f"{slot + 1}-{method.name}-W.safetensors").write_bytes(matrices_file(result))
        Image.fromarray(overlay(result)).save(folder / f"{slot + 1}-{method.name}.png")
    return [str(path) for path in sorted(folder.iterdir())]


def records(bench: Bench) -> list[dict[str, Any]]:
    """Return a run for a program: method, knobs, numbers, tokens by layer, patches kept, their order."""
    found: list[tuple[str, dict[str, Any], Reduction]] = [("none", {}, bench.before)]
    found += [(m.name, {k: getattr(m, k) for k in m.knobs()}, r) for _, m, r in bench.done]
    return [
        {
            "method": name, "knobs": knobs, "numbers": measures(result, bench.before, bench.picture.scene),
            "tokens_by_layer": list(result.tokens), "kept": result.kept.tolist(), "order": list(result.order),
            "regions": result.regions.tolist(),
        }
        for name, knobs, result in found
    ]  # fmt: skip
