"""The byte, BPE and Unigram language models: their measure, their recipe, the shipped weights."""

import importlib
import json

import numpy as np
import pytest
import torch

from components.models.nets.causal_lm import build
from components.models.recipes import _text_lm
from components.models.store import ModelStore

MODELS = ("byte", "bpe", "unigram")
RECIPES = {n: importlib.import_module(f"components.models.recipes.{n}_lm") for n in MODELS}
LINES = ("The garden was quiet, and the robin sang on the wall.\n", "Jim came down to the inn at night.\n")
# English of no book: bits per byte here are a fair sign of life for every shipped model.
FRESH = (
    "The old captain walked slowly along the shore that morning, and the boy watched him from the window. "
    "There was no wind, and the sea lay as still as a pond. 'I never saw such a thing in my life,' said the "
    "woman, putting down her basket, 'and I have lived in this village for fifty years.'"
)


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    random = np.random.default_rng(0)
    story = "".join(LINES[i] for i in random.integers(0, 2, 400))
    (folder / "novels_train.txt").write_text(story, encoding="utf-8")
    (folder / "heldout_one.txt").write_text(story[5000:6500], encoding="utf-8")
    (folder / "heldout_two.txt").write_text(story[9000:9800], encoding="utf-8")
    return folder


def test_every_token_is_counted_once_with_enough_before_it():
    torch.manual_seed(1)
    net = build(vocabulary=9, width=16, depth=1, heads=1, hidden=16, context=8).eval()
    for value in net.parameters():
        value.data.normal_(std=0.4)
    ids = [int(i) for i in torch.randint(0, 9, (21,), generator=torch.Generator().manual_seed(2))]
    got = _text_lm.token_losses(net, ids)
    for i in range(21):
        first = max(0, i // 4 * 4 - 4)  # half a context is 4 tokens
        logits = net(torch.tensor([ids[first:i]], dtype=torch.long))[0, -1].detach()
        assert float(got[i]) == pytest.approx(-float(logits.log_softmax(-1)[ids[i]]), abs=1e-5)
        assert i < 4 or i - first >= 4


def test_a_net_that_knows_nothing_costs_the_logarithm_of_its_vocabulary():
    net = build(vocabulary=256, width=8, depth=1, heads=1, hidden=8, context=16).eval()
    net.table.data.zero_()
    text = "Zoë wrote: ok"
    assert _text_lm.bits_per_byte(net, _text_lm.read_bytes, text) == pytest.approx(8, abs=1e-5)
    double = _text_lm.bits_per_byte(net, lambda t: _text_lm.read_bytes(t)[::2], text)
    assert double == pytest.approx(8 * 7 / len(text.encode()), abs=1e-5)


def test_the_measure_weighs_books_by_length(data):
    torch.manual_seed(0)
    net = build(vocabulary=256, width=8, depth=1, heads=1, hidden=8, context=16).eval()
    rows = {(m["name"], m["on"]): m for m in _text_lm.measure(net, _text_lm.read_bytes, data)}
    one, two = (rows["bits per byte", f"heldout_{k}"] for k in ("one", "two"))
    both = rows["bits per byte", "both books"]
    assert (one["n"], two["n"], both["n"]) == (1500, 800, 2300)
    assert both["value"] == pytest.approx((1500 * one["value"] + 800 * two["value"]) / 2300, abs=1e-3)
    plain = 0.0
    for name in ("one", "two"):
        content = np.frombuffer((data / f"heldout_{name}.txt").read_bytes(), np.uint8)
        share = np.bincount(content, minlength=256)[content] / len(content)
        plain -= np.log2(share).sum()
    name = "baseline bits per byte (the books' own token counts)"
    assert rows[name, "both books"]["value"] == pytest.approx(plain / 2300, abs=1e-3)


@pytest.mark.parametrize("name", RECIPES)
def test_three_steps_of_the_recipe_train_resume_and_publish(name, data, tmp_path, monkeypatch):
    monkeypatch.setattr(_text_lm, "BODY", {"width": 32, "depth": 1, "heads": 1, "hidden": 32})
    recipe = RECIPES[name]
    options = ["--data", str(data), "--out", str(tmp_path / "out"), "--work", str(tmp_path / "work"),
               "--minutes", "5"]  # fmt: skip
    recipe.main([*options, "--steps", "2"])
    two = torch.load(tmp_path / "work" / f"{recipe.NAME}.pt", weights_only=True)
    folder = recipe.main([*options, "--steps", "3", "--resume"])
    three = torch.load(tmp_path / "work" / f"{recipe.NAME}.pt", weights_only=True)
    assert (two["step"], three["step"]) == (2, 3)
    assert not torch.equal(two["net"]["table"], three["net"]["table"])
    card = json.loads((folder / "card.json").read_text())
    assert card["steps"] == 3
    assert card["tokens_seen"] == 3 * 2048
    store = ModelStore(folder=tmp_path / "out")
    net = store.get(recipe.NAME)
    for found, stated in zip(recipe.evaluate(net, data, tmp_path), card["metrics"], strict=True):
        assert found["value"] == pytest.approx(stated["value"], abs=2e-4)
        assert {**found, "value": 0} == {**stated, "value": 0}


@pytest.mark.parametrize("name", MODELS)
def test_the_shipped_model_predicts_fresh_english(name, models):
    recipe = RECIPES[name]
    net, card = models.get(recipe.NAME), models.card(recipe.NAME)
    assert card["bytes"] <= 6 << 20
    encode = _text_lm.read_bytes if name == "byte" else _text_lm.reader(name)
    bits = _text_lm.bits_per_byte(net, encode, FRESH)
    stated = next(m["value"] for m in card["metrics"] if m["on"] == "both books")
    assert bits < stated + 0.6
    # Words in another order are harder: the model uses more than which words there are.
    words = FRESH.split(" ")
    shuffled = " ".join(np.random.default_rng(0).permutation(words))
    assert _text_lm.bits_per_byte(net, encode, shuffled) > bits + 0.4
