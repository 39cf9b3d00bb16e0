"""The tab without a browser: its handlers through the endpoint that a program uses."""


import numpy as np
import pytest
from PIL import Image

from components.errors import InputError
from components.vision import Picture, reducers
from components.vision._measures import COLUMNS
from demos import _reductions

# The server's own thread leaves its loop and sockets to the garbage collector when it stops
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture(scope="module")
def bench(models):
    return _reductions.reduce_all(
        Picture.of_scene(5), [reducers.create("todre"), reducers.create("tome")], models
    )


def ask(client, **given):
    values = {
        "seed": 5,
        "objects": 0,
        "style": "any",
        "picture": None,
        "methods": [{"method": "todre", "knobs": {}}],
    }
    return client.predict(*(values | given).values(), api_name="/reduce")


def test_the_endpoint_reduces_a_scene(client):
    everything, todre = ask(client, methods=[{"method": "todre", "knobs": {"keep": 0.1, "layer": 3}}])
    assert everything["method"] == "none"
    assert everything["numbers"]["mIoU to all tokens"] == 1
    assert todre["tokens_by_layer"] == [257, 257, 257, *(6 * [27])]
    assert todre["knobs"] == {"keep": 0.1, "layer": 3, "rule": "k-center"}
    assert sorted(todre["order"]) == todre["kept"]
    assert set(todre["numbers"]) == set(COLUMNS)
    assert 0 < todre["numbers"]["saved (%)"] < 100


def test_the_endpoint_reduces_a_file_and_says_nothing_of_a_truth(client, tmp_path):
    from gradio_client import handle_file

    Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 160, 3), dtype=np.uint8)).save(
        tmp_path / "a.png"
    )
    _, todre = ask(client, picture=handle_file(str(tmp_path / "a.png")))
    assert todre["numbers"]["mIoU"] is None
    assert todre["numbers"]["shapes (of 6)"] is None
    assert 0 <= todre["numbers"]["mIoU to all tokens"] <= 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"methods": [{"method": "todre", "knobs": {"keep": 7}}]}, "0.05 to 1"),
        ({"methods": [{"method": "nothing"}]}, "no method"),
        ({"methods": []}, "No method is chosen"),
        ({"seed": -3}, "-3"),
        ({"style": "<b>night</b>"}, "night"),
    ],
)
def test_the_endpoint_refuses_with_a_sentence(client, given, message):
    from gradio_client.exceptions import AppError

    with pytest.raises((AppError, ValueError), match=message):
        ask(client, **given)


def test_the_table_has_a_row_a_method_and_all_tokens_last(bench):
    rows = _reductions.rows(bench)
    assert [row[0] for row in rows] == [*(reducers[n].card.title for n in ("todre", "tome")), "All tokens"]
    assert all(len(row) == 1 + len(COLUMNS) for row in rows)
    assert rows[0][1] == rows[1][1] == 65


def test_a_method_that_refuses_leaves_its_reason_and_the_others_stay(models, monkeypatch):
    def refuse(self, picture, models):
        raise InputError("Too <small> for this.")

    monkeypatch.setattr(reducers["tome"], "__call__", refuse)
    bench = _reductions.reduce_all(
        Picture.of_scene(5), [reducers.create("tome"), reducers.create("todre")], models
    )
    assert [slot for slot, _, _ in bench.done] == [1]
    shown = _reductions.numbers_of(bench)
    assert "Too &lt;small&gt; for this." in shown
    assert reducers["todre"].card.title in shown


def test_the_map_has_every_patch_by_what_became_of_it(bench):
    points = _reductions.map_of(bench)
    kept = set(bench.results[0].kept.tolist())
    assert points.ids == tuple(f"patch:{i}" for i in range(256))
    assert points.names == ("kept", "dropped")
    assert all((points.names[s] == "kept") == (i in kept) for i, s in enumerate(points.series))


def test_with_two_pruning_methods_the_map_has_their_four_cases(models):
    chosen = [reducers.create("todre", keep=0.3), reducers.create("class_attention", keep=0.3)]
    bench = _reductions.reduce_all(Picture.of_scene(5), chosen, models)
    points = _reductions.map_of(bench)
    assert points.names[0] == "kept by all"
    assert points.names[-1] == "dropped by all"
    a, b = (set(r.kept.tolist()) for r in bench.results)
    both = {i for i, s in enumerate(points.series) if points.names[s] == "kept by all"}
    assert both == a & b


def test_the_files_hold_the_numbers_and_the_matrices(bench):
    from pathlib import Path

    from safetensors.numpy import load_file

    paths = [Path(p) for p in _reductions.files_of(bench)]
    names = [p.name for p in paths]
    assert names == sorted(names)
    assert {"numbers.csv", "numbers.json", "1-todre.png", "1-todre-W.safetensors"} <= set(names)
    tensors = load_file(next(p for p in paths if p.name == "2-tome-W.safetensors"))
    assert tensors["all.shape"].tolist() == [65, 257]
    assert np.bincount(tensors["all.rows"], weights=tensors["all.weights"]) == pytest.approx(1)
    csv = next(p for p in paths if p.suffix == ".csv").read_text(encoding="utf-8").splitlines()
    assert len(csv) == 4


def test_the_photo_goes_before_the_seed_and_an_empty_seed_is_refused(tmp_path):
    Image.new("RGB", (20, 20), "red").save(tmp_path / "a.png")
    assert _reductions.picture_of(5, 0, "any", str(tmp_path / "a.png")).scene is None
    assert _reductions.picture_of(5, 3, "fog", None).scene.style == "fog"
    with pytest.raises(InputError, match="seed"):
        _reductions.picture_of(None, 0, "any", None)
