"""The three forms of `glyph-lm`: the net and its cutting against oracles, the recipe, the shipped weights."""

import json
import math

import numpy as np
import pytest
import torch

from components.models import ModelStore
from components.models.nets.glyph_lm import UNKNOWN, alphabet, build, greedy
from components.models.recipes import (
    _glyph_corpus,
    _glyph_lm,
    _glyph_probes,
    glyph_lm_frozen,
    glyph_lm_random,
    glyph_lm_trainable,
)
from components.models.recipes._text_lm import bits_per_byte
from components.numerics import glyphs

TOKENS = [UNKNOWN, *"abcdefgh t", "ab", "abc", "cde", " the", "А", "A", "\n"]
SMALL = {"width": 16, "depth": 2, "heads": 2, "hidden": 16, "context": 16}
RECIPES = {"glyph-lm-frozen": glyph_lm_frozen, "glyph-lm-trainable": glyph_lm_trainable,
           "glyph-lm-random": glyph_lm_random}  # fmt: skip
STORY = ("The old man sat by the window of the house and looked at the garden. His daughter had been there "
         "in the morning, but she was gone, and he did not know when she would come back to him.\n"
         '"I wish," he said to the dog, "that we had something to eat; but there is nothing in the house."\n')


@pytest.fixture(scope="module")
def nets():
    found = {}
    for kind in ("glyph", "trained", "random"):
        torch.manual_seed(0)
        net = build(vocabulary=len(TOKENS), rows=kind, **SMALL)
        net.name_tokens(TOKENS)
        for block in net.body.blocks:
            torch.nn.init.normal_(block.out.weight, 0, 0.2)
            torch.nn.init.normal_(block.down.weight, 0, 0.2)
        found[kind] = net.eval()
    return found


def test_only_the_twin_learns_its_rows_and_all_start_in_the_same_shape(nets):
    names = {kind: {n for n, _ in net.named_parameters()} for kind, net in nets.items()}
    assert names["trained"] - names["glyph"] == {"rows"}
    assert names["glyph"] == names["random"]
    assert {net.rows.shape for net in nets.values()} == {(len(TOKENS), 16)}
    assert torch.equal(nets["trained"].rows, nets["random"].rows)  # one draw of the same seed
    nets["glyph"](torch.tensor([[1, 2]])).sum().backward()
    assert nets["glyph"].body.table.grad is not None and nets["glyph"].rows.grad is None


def test_a_text_is_cut_into_the_longest_tokens(nets):
    net = nets["glyph"]
    assert net.tokens == TOKENS
    assert [TOKENS[i] for i in net.encode("abcde")] == ["abc", "d", "e"]
    assert [TOKENS[i] for i in net.encode("cde the\nab?")] == ["cde", " the", "\n", "ab", UNKNOWN]
    text = "abcdefgh abab cdecde\nhg the"
    assert net.decode(net.encode(text)) == text
    for start in range(len(text)):  # by brute force: the first token is the longest that the text begins with
        fit = max((t for t in TOKENS if text[start:].startswith(t)), key=len)
        assert TOKENS[greedy(text[start:], net.ids)[0]] == fit


def test_rows_are_the_pictures_principal_components(nets):
    net = nets["glyph"]
    drawn = glyphs.bits(TOKENS)
    assert np.array_equal(net.bitmaps(), drawn)
    assert torch.allclose(net.rows.norm(dim=1), torch.ones(len(TOKENS)), atol=1e-5)
    ids = net.ids
    assert torch.equal(net.rows[ids["A"]], net.rows[ids["А"]])
    assert torch.allclose(net.place(glyphs.bits(["cde"])), net.rows[ids["cde"]], atol=1e-6)
    with pytest.raises(ValueError, match="glyph rows"):
        nets["random"].place(drawn)
    with pytest.raises(ValueError, match="is not one of"):
        build(vocabulary=3, rows="painted")


def test_a_new_character_is_read_through_the_row_of_its_picture(nets):
    net = nets["glyph"]
    with torch.inference_mode():
        longer = torch.cat([net.rows, net.place(glyphs.bits(["ç", "a"]))])
        new, twin, known = (net(torch.tensor([[i, 3]]), longer) for i in (len(TOKENS), len(TOKENS) + 1, 1))
    assert torch.allclose(twin, known, atol=1e-5)
    assert not torch.allclose(new, known, atol=1e-3)


def test_layers_end_in_the_logits_and_see_nothing_later(nets):
    for net in nets.values():
        tokens = torch.tensor([[1, 10, 4, 12, 5]])
        layers = net.layers(tokens)
        assert len(layers) == 3
        assert torch.allclose(net.body.read(net.body.norm(layers[-1])), net(tokens), atol=1e-5)
        changed = net.layers(torch.tensor([[1, 10, 4, 11, 5]]))
        for a, b in zip(layers, changed, strict=True):
            assert torch.equal(a[:, :4], b[:, :4])
            assert not torch.allclose(a[:, 4], b[:, 4])


def test_the_alphabet_and_the_ngrams_of_a_text():
    letters = alphabet()
    assert len(letters) == len(set(letters))
    assert 550 <= len(letters) <= 650
    assert {"a", "é", "ω", "Ж", "\n", "’"} <= set(letters)
    found = _glyph_corpus.frequent_ngrams(["the theme of the thesis, that is the thing " * 3], 5)
    assert found[0] in (" the", "the") and len(found) <= 5
    assert all(2 <= len(gram) <= 4 and "," not in gram[1:] for gram in found)


def test_probes_know_their_classes_and_find_what_is_there():
    assert [_glyph_probes.case(c) for c in "aÉжΩ1 "] == ["lower", "upper", "lower", "upper", None, None]
    assert [_glyph_probes.vowel(c) for c in "aÉжΩ1"] == ["vowel", "vowel", "consonant", "vowel", None]
    assert [_glyph_probes.script(c) for c in "zπЖ4"] == ["LATIN", "GREEK", "CYRILLIC", None]
    assert [_glyph_probes.digit(c) for c in "7a;"] == ["digit", "letter", "other"]
    random = np.random.default_rng(0)
    labels = ["yes" if i % 3 else "no" for i in range(120)]
    noise = random.normal(size=(120, 6))
    told = noise + np.array([[4.0 * (label == "yes")] + [0.0] * 5 for label in labels])
    assert _glyph_probes.accuracy(told, labels) > 0.95
    assert _glyph_probes.accuracy(noise, labels) < 0.75  # the largest class has two thirds


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "text"
    folder.mkdir()
    (folder / "novels_train.txt").write_text(STORY * 10, encoding="utf-8")
    (folder / "heldout_one.txt").write_text(STORY[100:] + "☃", encoding="utf-8")
    scripts = {"Latn": "Toate fiintele umane se nasc libere. ", "Grek": "Όλοι οι άνθρωποι γεννιούνται. ",
               "Cyrl": "Все люди рождаются свободными. "}  # fmt: skip
    texts = {script: {"script": script, "preamble": None, "articles": [{"text": text * 8}, text * 8]}
             for script, text in scripts.items()}  # fmt: skip
    texts["left out"] = {"script": "Latn", "preamble": "Ṩṩ" * 400, "articles": []}
    (folder / "udhr_articles.json").write_text(json.dumps(texts), encoding="utf-8")
    return tmp_path


def test_sources_leave_out_what_the_alphabet_cannot_write(data):
    texts = _glyph_corpus.sources(data / "text")
    assert "Ṩ" not in texts["Latn"] and "umane" in texts["Latn"] and "Все" in texts["Cyrl"]


@pytest.mark.parametrize("name", RECIPES)
def test_three_steps_of_the_recipe_train_resume_and_publish(name, data, monkeypatch):
    monkeypatch.setattr(_glyph_lm, "NET", SMALL)
    monkeypatch.setattr(_glyph_lm, "NGRAMS", 30)
    out, work = data / "out", data / "work"
    options = ["--data", str(data), "--out", str(out), "--work", str(work), "--minutes", "5"]
    RECIPES[name].main([*options, "--steps", "2"])
    two = torch.load(work / f"{name}.pt", weights_only=True)
    first = ModelStore(folder=out).get(name)
    folder = RECIPES[name].main([*options, "--steps", "3", "--resume"])
    three = torch.load(work / f"{name}.pt", weights_only=True)
    assert (two["step"], three["step"]) == (2, 3)
    assert torch.equal(two["net"]["rows"], three["net"]["rows"]) == (name != "glyph-lm-trainable")
    assert not torch.equal(two["net"]["body.table"], three["net"]["body.table"])
    card = json.loads((folder / "card.json").read_text())
    net = ModelStore(folder=out).get(name)
    assert net.tokens == first.tokens and net.seen.sum() > 0
    assert card["bits_per_byte_of_the_twins"] == {}
    stated = {(m["name"], m["on"]): m["value"] for m in card["metrics"]}
    book = (data / "text" / "heldout_one.txt").read_text(encoding="utf-8")
    escaped = 20 + math.log2(17 / 16)  # one snowman: log2 of 17 * 2 ** 16 code points
    own = bits_per_byte(net, net.encode, book) + escaped / len(book.encode())
    assert stated["bits per byte", "both books"] == pytest.approx(own, abs=2e-4)


def test_forms_published_side_by_side_know_of_each_other(tmp_path):
    row = {"name": "bits per byte", "on": "both books"}
    for name, value in (("glyph-lm-frozen", 2.5), ("glyph-lm-random", 2.75)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "card.json").write_text(json.dumps({"metrics": [{**row, "value": value}]}))
    _glyph_lm.tell_twins(tmp_path)
    card = json.loads((tmp_path / "glyph-lm-frozen" / "card.json").read_text())
    assert card["bits_per_byte_of_the_twins"] == {"glyph-lm-random": 2.75}


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_shipped_weights_read_english_and_know_their_letters(models, name):
    net, card = models.get(name), models.card(name)
    assert card["bytes"] <= 6 << 20
    ids = net.encode(STORY)
    assert net.decode(ids) == STORY
    ordered, shuffled = bits_per_byte(net, net.encode, STORY), bits_per_byte(net, net.encode, STORY[::-1])
    assert ordered < 2.8
    assert shuffled > 4
    if name != "glyph-lm-frozen":
        return
    assert torch.allclose(net.place(net.bitmaps()), net.rows, atol=2e-3)
    assert np.array_equal(net.bitmaps()[net.ids["A"]], net.bitmaps()[net.ids["А"]])
    found = {m["name"]: m["value"] for m in _glyph_probes.measure(net, ("case",))}
    stated = {m["name"]: m["value"] for m in card["metrics"]}
    for key in ("probe, case, layer 0", "probe, case, layer 4"):
        assert found[key] == pytest.approx(stated[key], abs=0.02)
    assert found["probe, case, layer 4"] > found["baseline probe, case (largest class)"]
