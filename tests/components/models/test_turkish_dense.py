"""The dense twin: the same net, one vector a text; its recipe and what ships."""

import json

import pytest
import torch

from components.models import ModelStore
from components.models.recipes import turkish_dense
from components.models.recipes._turkish_collections import SAMPLES, dense_scores, figures, read
from tests.components.models.test_turkish_late import made_data


def test_the_recipe_trains_the_means(tmp_path):
    data = made_data(tmp_path / "data")
    options = ["--data", str(data), "--work", str(tmp_path / "work"), "--out", str(tmp_path / "out")]
    folder = turkish_dense.main([*options, "--steps", "3"])
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    assert card["steps"] == 3 and card["net"] == "word_encoder"
    net = ModelStore(folder=tmp_path / "out").get("turkish-dense")
    vectors = net.mean_vectors(["Ankara nerede?", "Ankara"])
    assert vectors.shape == (2, 128)


def test_what_ships_is_the_twin_of_the_late_net_and_stands_by_its_card(models):
    net, late, card = models.get("turkish-dense"), models.get("turkish-late"), models.card("turkish-dense")
    assert card["arguments"] == models.card("turkish-late")["arguments"]
    assert card["parameters"] == models.card("turkish-late")["parameters"] <= 1_500_000
    assert not torch.equal(net.starts.weight, late.starts.weight)
    samples = read(SAMPLES, "samples")
    found = figures(dense_scores(net, samples), samples, "samples")[0]["value"]
    stated = {(m["name"], m["n"]): m["value"] for m in card["metrics"]}
    assert found == pytest.approx(stated["nDCG@10", 148], abs=0.3)
