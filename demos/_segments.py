"""What the speech tab shows of a clip's segments: figure, numbers, map, sound, and files to take away."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.errors import InputError
from components.models import ModelStore
from components.numerics.boundary_scores import edges, score
from components.numerics.projection import MapPoints
from components.numerics.spectra import group_means, wide_band
from components.numerics.syllable_cuts import segment_means
from components.speech import RATE, Clip, Segmentation, Segmenter
from components.speech._acoustics import frames_of
from components.speech._audio import read_clip
from components.speech._examples import example, names
from components.speech._exports import as_data, as_json, intervals, read_textgrid, table, textgrid
from demos._controls import number, numbers, titles
from demos._labs import sound_url

VIEW = 20.0  # seconds seen at once
MOST_ON_MAP = 3000  # segments
MOST_FRAMES = 240  # drawn against each other
TOLERANCE = 0.05  # seconds
COLUMNS = ("segments", "per s", "mean (ms)", "encode (ms)", "decode (ms)")
SCORES = ("precision", "recall", "F1", "R-value")  # in percent; starts and ends within 50 ms
SHOWN = ("P / R (%)", "F1 (%)", "R-value (%)")


@dataclass(frozen=True, eq=False)
class Marks:
    """Known segments: bounds (segments, 2) in seconds, a label each, and whose they are."""

    title: str
    bounds: NDArray[np.float64]
    labels: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Bench:
    """One clip, where it plays from, what is known of it, and each method's segments or its refusal."""

    clip: Clip
    url: str
    marks: Marks | None
    chosen: tuple[Segmenter, ...]
    results: tuple[Segmentation | str, ...]

    @property
    def titles(self) -> list[str]:
        """Return a title a method that tells it from the others."""
        return titles(self.chosen)

    @property
    def done(self) -> list[tuple[int, str, Segmentation]]:
        """Return slot, title and segments of the methods that came through."""
        both = enumerate(zip(self.titles, self.results, strict=True))
        return [(slot, title, r) for slot, (title, r) in both if isinstance(r, Segmentation)]


def clip_of(name: str | None, path: str | None, models: ModelStore) -> tuple[Clip, str, Marks | None]:
    """Return the user's clip, or else a built-in one with its marks, and the address it plays from."""
    if path:
        state = Path(path).stat() if Path(path).is_file() else None
        key = ("samples", path, state.st_mtime_ns if state else 0)
        samples = models.remember(key, lambda: read_clip(path).samples)
        return Clip(samples, title=Path(path).stem), f"gradio_api/file={path}", None
    known = example(name or names()[0])
    marks = Marks(f"Marks of the synthesiser ({known.voice})", known.bounds, known.labels)
    return known.clip, sound_url(known.clip.samples, RATE), marks


def marks_of(textgrid_file: bytes) -> Marks:
    """Return the syllables of a TextGrid: the tier whose name has "syl" in it, else the first with labels."""
    tiers = {name: rows for name, rows in read_textgrid(textgrid_file).items() if rows}
    if not tiers:
        raise InputError("The TextGrid has no labelled intervals; label the syllables and save it again.")
    name = next((n for n in tiers if "syl" in n.lower()), next(iter(tiers)))
    rows = tiers[name]
    return Marks(f"Your tier “{name}”", np.array([r[:2] for r in rows]), tuple(r[2] for r in rows))


def segment_all(
    name: str | None,
    path: str | None,
    textgrid_file: bytes | None,
    chosen: Sequence[Segmenter],
    models: ModelStore,
) -> Bench:
    """Run all chosen methods; one that refuses leaves its reason in its place."""
    clip, url, marks = clip_of(name, path, models)
    if textgrid_file:
        marks = marks_of(textgrid_file)
    results: list[Segmentation | str] = []
    for method in chosen:
        try:
            results.append(method(clip, models))
        except InputError as refused:
            results.append(str(refused))
    return Bench(clip, url, marks, tuple(chosen), tuple(results))


def figure_of(bench: Bench, start: float, models: ModelStore) -> Any:
    """Return the figure of the stretch that begins at `start` seconds; its spectrogram is remembered."""
    from components.plots.speech import Curve, Row, Truth, timeline

    rows = []
    for title, result in zip(bench.titles, bench.results, strict=True):
        if isinstance(result, str):
            rows.append(Row(f"{title}: failed", np.zeros((0, 2))))
            continue
        curves = [Curve(t.title, t.values, result.rate, result.offset, t.threshold) for t in result.traces]
        rows.append(Row(title, result.bounds, tuple(curves)))
    marks = bench.marks
    known = Truth(marks.title, marks.bounds, marks.labels) if marks else None
    begin = window_start(bench, start)
    samples = bench.clip.samples
    part = samples[round(begin * RATE) : round((begin + VIEW) * RATE)]
    levels = models.remember(("wide-band", bench.clip.digest, begin), lambda: wide_band(part, RATE))
    return timeline(samples, RATE, rows, known, begin, begin + VIEW, levels)


def similarity_of(bench: Bench, start: float) -> Any:
    """Return the picture of every frame against every other in the view, for the first method's features."""
    from components.plots.speech import similarity

    if not bench.done or bench.done[0][2].features is None:
        return None
    _, title, result = bench.done[0]
    begin = window_start(bench, start)
    end = min(begin + VIEW, bench.clip.seconds)
    span = slice(round(begin * result.rate), max(round(end * result.rate), 1))
    frames = group_means(bench.done[0][2].features[span], MOST_FRAMES)
    unit = frames / np.maximum(np.linalg.norm(frames, axis=1, keepdims=True), 1e-9)
    shown = result.bounds[(result.bounds[:, 1] > begin) & (result.bounds[:, 0] < end)]
    return similarity(unit @ unit.T, begin, end, np.clip(shown, begin, end), title)


def window_start(bench: Bench, start: float) -> float:
    """Return where the view begins: within the clip, and at 0 where all of it is seen."""
    return float(np.clip(start or 0.0, 0.0, max(0.0, bench.clip.seconds - VIEW)))


def numbers_of(bench: Bench) -> str:
    """Return the table of numbers as HTML; a method that failed says why."""
    columns = (*COLUMNS, *SHOWN) if bench.marks else COLUMNS
    rows: list[tuple[Any, ...]] = []
    for title, result in zip(bench.titles, bench.results, strict=True):
        if isinstance(result, str):
            rows.append((f"{title}: {result}", *(None,) * len(columns)))
        else:
            found = measures(result, bench)
            cells = [found[name] for name in COLUMNS]
            if bench.marks:
                both = f"{number(found['precision'])} / {number(found['recall'])}"
                cells += [both, found["F1"], found["R-value"]]
            rows.append((title, *cells))
    return numbers(columns, rows)


def measures(result: Segmentation, bench: Bench) -> dict[str, Any]:
    """Return the numbers of one method by name; starts and ends are scored within 50 ms of the marks."""
    count = len(result.bounds)
    spoken = float(np.diff(result.bounds, axis=1).sum())
    row: dict[str, Any] = dict.fromkeys(COLUMNS)
    row |= {"segments": count, "per s": count / bench.clip.seconds}
    if count:
        row["mean (ms)"] = 1e3 * spoken / count
    took = result.milliseconds
    row |= {"encode (ms)": took.get("encoder"), "decode (ms)": took.get("decoder")}
    if bench.marks:
        counts = score(edges(bench.marks.bounds), edges(result.bounds), TOLERANCE)
        values = (counts.precision, counts.recall, counts.f1, counts.r_value)
        row |= {name: 100 * value for name, value in zip(SCORES, values, strict=True)}
    return row


def map_of(bench: Bench) -> MapPoints | None:
    """Return all segments in one space: the mean of the first method's frame features over each."""
    total = sum(len(result.bounds) for _, _, result in bench.done)
    if not total or bench.done[0][2].features is None:
        return None
    _, title, space = bench.done[0]
    features = bench.done[0][2].features
    stride = max(1, -(-total // MOST_ON_MAP))
    ids, labels, series, vectors = [], [], [], []
    for slot, _, result in bench.done:
        shown = range(0, len(result.bounds), stride)
        ids += [f"{slot}:{k}" for k in shown]
        labels += [_label(bench, result, k) for k in shown]
        series += [slot] * len(shown)
        ranges = frames_of(result.bounds[::stride], space.rate, space.offset, len(features))
        vectors.append(segment_means(features, ranges))
    note = f"Each point is a segment: the mean of {title}'s frames over it."
    note += f" Every {stride}th of {total:,} segments is shown." if stride > 1 else ""
    joined = np.concatenate(vectors)
    return MapPoints(tuple(ids), joined, tuple(labels), tuple(series), tuple(bench.titles), note)


def _label(bench: Bench, result: Segmentation, k: int) -> str:
    """Name a segment by the known label it shares most time with, and by its time."""
    start, end = result.bounds[k].tolist()
    time = f"{start:.2f}–{end:.2f} s"
    if bench.marks is None or not len(bench.marks.bounds):
        return f"segment {k + 1}, {time}"
    known = bench.marks.bounds
    shared = np.minimum(known[:, 1], end) - np.maximum(known[:, 0], start)
    best = int(shared.argmax())
    return f"{bench.marks.labels[best]}, {time}" if shared[best] > 0 else f"no syllable, {time}"


def sound_of(bench: Bench, start: float, points: MapPoints | None) -> dict[str, Any]:
    """Return the player's value: the clip's address, and the stretch of each segment to click."""
    begin = window_start(bench, start)
    on_map = set(points.ids) if points else set()
    spans = {}
    for slot, _, result in bench.done:
        for k, (a, b) in enumerate(np.round(result.bounds, 4).tolist()):
            if f"{slot}:{k}" in on_map or (b > begin and a < begin + VIEW):
                spans[f"{slot}:{k}"] = [a, b]
    return {"url": bench.url, "spans": spans}


def files_of(bench: Bench) -> list[str]:
    """Write a Praat TextGrid with a tier a method, a CSV and a JSON; return the paths."""
    folder = Path(tempfile.mkdtemp(prefix="segments-"))
    found = {title: result for _, title, result in bench.done}
    tiers = {title: intervals(result.bounds) for title, result in found.items()}
    if bench.marks:
        tiers[bench.marks.title] = intervals(bench.marks.bounds, bench.marks.labels)
    (folder / "segments.TextGrid").write_text(textgrid(tiers, bench.clip.seconds), encoding="utf-8")
    (folder / "segments.csv").write_text(table(found), encoding="utf-8", newline="")
    text = as_json(found, bench.clip.title, bench.clip.seconds)
    (folder / "segments.json").write_text(text, encoding="utf-8")
    return [str(path) for path in sorted(folder.iterdir())]


def records(bench: Bench) -> list[dict[str, Any]]:
    """Return a run for a program: method, knobs, numbers, bounds and vectors; or why there are none."""
    rows = []
    for method, result in zip(bench.chosen, bench.results, strict=True):
        knobs = {knob: getattr(method, knob) for knob in method.knobs()}
        row: dict[str, Any] = {"method": method.name, "knobs": knobs}
        if isinstance(result, str):
            rows.append(row | {"refused": result})
        else:
            rows.append(row | {"numbers": measures(result, bench)} | as_data(result))
    return rows
