"""The tab without a browser: figures, files, and its handlers through the endpoint that a program uses."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from components.errors import InputError
from components.speech import RATE, segmenters
from components.speech._examples import example, names
from components.speech._exports import intervals, read_textgrid, textgrid
from demos import _segments

# The server's own thread leaves its loop and sockets to the garbage collector when it stops
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
CHOSEN = [{"method": "energy_valleys", "knobs": {"dip": 3.0}}, {"method": "fixed_rate", "knobs": {}}]


@pytest.fixture(scope="module")
def bench(models):
    chosen = [segmenters.create("energy_valleys"), segmenters.create("fixed_rate")]
    return _segments.segment_all("turkish", None, None, chosen, models)


def bench_of(models, **given):
    chosen = [segmenters.create("energy_valleys")]
    values = {"name": None, "path": None, "textgrid_file": None, "chosen": chosen}
    return _segments.segment_all(**(values | given), models=models)


def ask(client, clip="turkish", audio=None, methods=CHOSEN):
    return client.predict(clip, audio, methods, api_name="/segment")


def test_the_endpoint_cuts_a_built_in_clip_as_the_methods_do(client, models):
    valleys, fixed = ask(client)
    assert valleys["knobs"]["dip"] == 3.0 and fixed["method"] == "fixed_rate"
    own = segmenters.create("energy_valleys", dip=3.0)(example("turkish").clip, models)
    np.testing.assert_allclose(valleys["bounds"], own.bounds, atol=1e-4)
    np.testing.assert_allclose(valleys["vectors"], own.embeddings, atol=1e-3)
    assert 50 < valleys["numbers"]["F1"] <= 100
    assert fixed["numbers"]["segments"] == len(fixed["bounds"])


def test_the_endpoint_takes_a_file(client, tmp_path):
    from gradio_client import handle_file

    path = tmp_path / "my clip <b>.wav"
    soundfile.write(path, example("spanish").clip.samples, RATE)
    [row] = ask(client, audio=handle_file(str(path)), methods=CHOSEN[:1])
    assert "F1" not in row["numbers"] and row["numbers"]["segments"] > 10


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"methods": []}, "No method is chosen"),
        ({"methods": [{"method": "energy_valley", "knobs": {}}]}, "did you mean"),
        ({"methods": [{"method": "fixed_rate", "knobs": {"per_second": 0}}]}, "out of range"),
        ({"methods": [{"method": "fixed_rate", "knobs": {"<b>": 0}}]}, "has no knob"),
    ],
)
def test_the_endpoint_refuses_in_a_sentence(client, given, says):
    with pytest.raises(Exception, match=says) as caught:
        ask(client, **given)
    assert "<b>" not in str(caught.value) and "Traceback" not in str(caught.value)
    assert len(ask(client)) == 2  # and answers again


def test_the_endpoint_refuses_a_file_that_is_no_sound(client, tmp_path):
    from gradio_client import handle_file

    path = tmp_path / "notes.wav"
    path.write_bytes(b"no sound")
    with pytest.raises(Exception, match="cannot be read as audio"):
        ask(client, audio=handle_file(str(path)))


def test_every_view_shows_the_same_ids(bench, models):
    figure, points = _segments.figure_of(bench, 0.0, models), _segments.map_of(bench)
    bars = {one for trace in figure.data if trace.type == "bar" for one in trace.customdata or ()}
    spans = _segments.sound_of(bench, 0.0, points)["spans"]
    assert bars == set(points.ids) == set(spans)
    assert len(bars) == sum(len(result.bounds) for result in bench.results)
    assert spans["1:0"] == pytest.approx([0, 1 / 4.3], abs=1e-3)


def test_the_map_names_segments_by_the_syllable_they_share_most_with(bench):
    points = _segments.map_of(bench)
    known = example("turkish")
    middle = known.bounds[3].mean()
    inside = [k for k, (a, b) in enumerate(bench.results[0].bounds) if a <= middle < b]
    assert points.labels[points.ids.index(f"0:{inside[0]}")].startswith(known.labels[3])
    assert points.vectors.shape == (len(points.ids), 40)


def test_numbers_of_a_perfect_segmentation(models):
    known = example("english")
    marks = textgrid({"syllables": intervals(known.bounds, known.labels)}, known.clip.seconds).encode()
    bench = bench_of(models, name="english", textgrid_file=marks)
    assert bench.marks.title == "Your tier “syllables”" and bench.marks.labels == known.labels
    own = bench.results[0]
    itself = textgrid({"mine": intervals(own.bounds)}, known.clip.seconds).encode()
    scores = _segments.measures(own, bench_of(models, name="english", textgrid_file=itself))
    assert scores["F1"] == scores["R-value"] == 100
    assert scores["segments"] == len(own.bounds)
    assert scores["mean (ms)"] == pytest.approx(1e3 * np.diff(own.bounds, axis=1).mean())


def test_a_textgrid_without_labels_is_refused(models):
    with pytest.raises(InputError, match="no labelled intervals"):
        bench_of(models, textgrid_file=textgrid({"a": []}, 1.0).encode())


def test_a_method_that_refuses_leaves_the_others(models):
    class Refusing(type(segmenters.create("fixed_rate"))):
        def __call__(self, clip, models):
            raise InputError("This <method> does not want to.")

    bench = bench_of(models, chosen=[Refusing(), segmenters.create("fixed_rate")])
    html = _segments.numbers_of(bench)
    assert "This &lt;method&gt; does not want to." in html and "<method>" not in html
    assert {one[0] for one in _segments.map_of(bench).ids} == {"1"}
    assert _segments.figure_of(bench, 0.0, models) is not None
    assert _segments.similarity_of(bench, 0.0) is not None
    assert "refused" in _segments.records(bench)[0]


def test_files_hold_all_methods_and_the_marks(bench):
    paths = {Path(p).suffix: Path(p) for p in _segments.files_of(bench)}
    assert set(paths) == {".TextGrid", ".csv", ".json"}
    tiers = read_textgrid(paths[".TextGrid"].read_bytes())
    bounds = [list(row[:2]) for row in tiers["Energy valleys"]]
    assert bounds == bench.results[0].bounds.tolist()
    assert tuple(row[2] for row in tiers[bench.marks.title]) == example("turkish").labels
    data = json.loads(paths[".json"].read_text(encoding="utf-8"))
    assert set(data["methods"]) == {"Energy valleys", "Fixed rate"}


def test_a_long_clip_is_seen_in_parts_and_thinned_on_the_map(models, tmp_path):
    path = tmp_path / "long.flac"
    soundfile.write(path, np.tile(example("english").clip.samples, 170), RATE)  # 15 min
    fast = segmenters.create("fixed_rate", per_second=10.0)
    bench = bench_of(models, path=str(path), chosen=[fast])
    figure = _segments.figure_of(bench, 600.0, models)
    ids = figure.data[-1].customdata
    assert len(ids) == 200 and ids[0] == "0:6000"
    assert tuple(figure.layout.xaxis.range) == (600.0, 620.0)
    assert _segments.window_start(bench, 1e9) == pytest.approx(bench.clip.seconds - 20)
    points = _segments.map_of(bench)
    assert len(points.ids) <= 3000 and "Every 4th of 9," in points.note
    assert set(points.ids) | set(ids) == set(_segments.sound_of(bench, 600.0, points)["spans"])


def test_silence_has_no_map_and_still_a_figure(models, tmp_path):
    path = tmp_path / "hush.wav"
    soundfile.write(path, np.zeros(RATE), RATE)
    bench = bench_of(models, path=str(path))
    assert _segments.map_of(bench) is None
    assert _segments.measures(bench.results[0], bench)["segments"] == 0
    assert "–" in _segments.numbers_of(bench)
    assert _segments.figure_of(bench, 0.0, models) is not None


def test_a_method_chosen_twice_is_told_apart(models):
    twice = [segmenters.create("fixed_rate"), segmenters.create("fixed_rate", per_second=8)]
    bench = bench_of(models, chosen=twice)
    assert bench.titles[0] != bench.titles[1] and bench.titles[1].endswith(" 8")
    same = bench_of(models, chosen=twice[:1] * 2)
    assert same.titles == ["Fixed rate: same knobs (1)", "Fixed rate: same knobs (2)"]


@pytest.mark.parametrize("name", names())
def test_the_bundled_encoder_opens_every_example(models, name):
    chosen = [segmenters.create("sylber"), segmenters.create("energy_valleys")]
    bench = bench_of(models, name=name, chosen=chosen)
    assert len(bench.done) == 2
    numbers = _segments.measures(bench.results[0], bench)
    assert numbers["F1"] > 70, numbers
