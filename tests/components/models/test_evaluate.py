import json

import pytest

from components.models import evaluate
from components.models.store import ModelStore


@pytest.fixture
def cards(tmp_path, monkeypatch):
    """A folder of two networks' cards and one tokenizer's; measuring gives 2.0 for both networks."""
    stated = {"one": {"net": "n", "metrics": [{"name": "loss", "on": "a", "value": 2.0}]},
              "two": {"net": "n", "metrics": [{"name": "loss", "on": "a", "value": 2.5}]},
              "words": {"kind": "tokenizers"}}  # fmt: skip
    for name, card in stated.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "card.json").write_text(json.dumps(card), encoding="utf-8")
    monkeypatch.setattr(ModelStore, "get", lambda self, name: object())
    monkeypatch.setattr(evaluate, "ModelStore", lambda settings: ModelStore(settings, tmp_path))
    found = [{"name": "loss", "on": "a", "value": 2.0}]
    monkeypatch.setattr(evaluate, "hook", lambda name: lambda model, data, work: found)
    return found


def test_without_a_name_all_networks_are_measured_and_one_that_differs_fails(cards, capsys):
    assert evaluate.main(["--data", "x"]) == 1
    said = capsys.readouterr().out
    assert "one: 1 metrics, 0 differ" in said and "two: 1 metrics, 1 differ" in said and "words" not in said
    assert "DIFFERS loss | a: card 2.5, found 2" in said


def test_a_named_model_that_agrees_passes_and_a_row_the_card_lacks_fails(cards, capsys):
    assert evaluate.main(["one", "--data", "x"]) == 0
    cards.append({"name": "more", "on": "a", "value": 1.0})
    assert evaluate.main(["one", "--data", "x"]) == 1
    assert "missing more | a: card none, found 1" in capsys.readouterr().out
