"""`kv-lm-rotary`: its recipe and weights; the net itself is tested with `kv-lm`."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from components.models import ModelStore
from components.models.recipes import _kv_measures as measures
from components.models.recipes import kv_lm, kv_lm_rotary
from components.numerics.threads import QUERY, exact, haystack


@pytest.fixture
def shipped(models):
    """Both shipped nets on one thread: on a busy host two wait for one another over such small products."""
    nets, before = {name: models.get(name) for name in ("kv-lm", "kv-lm-rotary")}, torch.get_num_threads()
    torch.set_num_threads(1)
    yield nets
    torch.set_num_threads(before)


def test_three_steps_of_the_recipe_train_resume_and_publish(tmp_path, monkeypatch):
    monkeypatch.setattr(kv_lm_rotary, "NET", {**kv_lm_rotary.NET, "width": 32, "hidden": 16})
    monkeypatch.setattr(kv_lm, "TOKENS", 300)
    few = [{"name": "x", "value": 0.0, "unit": "", "n": 1, "on": "y"}]
    monkeypatch.setattr(kv_lm_rotary, "evaluate", lambda model, data, work: few)
    options = ["--out", str(tmp_path / "out"), "--work", str(tmp_path / "work"), "--minutes", "5"]
    kv_lm_rotary.main([*options, "--steps", "2"])
    folder = kv_lm_rotary.main([*options, "--steps", "3", "--resume"])
    assert torch.load(tmp_path / "work" / "kv-lm-rotary.pt", weights_only=True)["step"] == 3
    card = json.loads((folder / "card.json").read_text())
    assert card["arguments"]["rotary"] is True
    assert card["metrics"] == few
    net = ModelStore(folder=Path(tmp_path / "out")).get("kv-lm-rotary")
    assert net.rotary


def test_beyond_the_trained_length_only_the_rotary_twin_loses_what_is_far_away(shipped):
    """At 400 pairs the first hop of a forward thread lies far back, that of a backward one near the end."""
    stacks = [haystack(400, 5000 + s, 12, ("forward", "backward")) for s in range(4)]
    starts = np.stack([s.starts for s in stacks])
    right = {}
    for name, net in shipped.items():
        cache = net.prefill(np.stack([s.tokens for s in stacks]))
        prompts = np.stack([np.full_like(starts, QUERY), starts], axis=-1)
        right[name] = exact(net.follow(cache, prompts, 1), stacks, 1).mean(0)
    far, near = right["kv-lm-rotary"]
    assert far <= 0.5
    assert near >= 0.8
    assert right["kv-lm"].min() >= 0.8


def test_shipped_weights_follow_fresh_threads_as_long_as_trained_on(shipped, models):
    assert models.card("kv-lm-rotary")["parameters"] <= 500_000
    stacks = [haystack(64, 5000 + s, 12, ("forward", "backward")) for s in range(6)]
    assert exact(measures.walked(shipped["kv-lm-rotary"], stacks), stacks, 12).mean() >= 0.8
