import json
import threading
import time
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from components.errors import InputError
from components.models import ModelStore
from components.models.recipes import _run
from components.models.store import Shelf, build_net, weight
from components.settings import Settings


def test_sixteen_callers_get_one_load():
    shelf, made = Shelf(1000), []

    def make():
        made.append(1)
        time.sleep(0.05)
        return object()

    got = []
    def ask():
        got.append(shelf.fetch("k", make, lambda v: 1))

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1 and len(set(map(id, got))) == 1


def test_the_least_recently_used_goes_first_and_the_newest_stays():
    shelf = Shelf(100)
    for key in ("a", "b"):
        shelf.fetch(key, lambda: "value", lambda v: 40)
    shelf.fetch("a", lambda: "new", lambda v: 40)  # touch
    shelf.fetch("c", lambda: "c", lambda v: 50)
    assert shelf.keys() == ("a", "c") and shelf.bytes_held() == 90
    shelf.fetch("huge", lambda: "h", lambda v: 500)
    assert shelf.keys() == ("huge",)


def test_a_failure_reaches_every_waiter_and_is_not_remembered():
    shelf = Shelf(10)
    with pytest.raises(OSError, match="no disk"):
        shelf.fetch("k", lambda: (_ for _ in ()).throw(OSError("no disk")), lambda v: 1)
    assert shelf.fetch("k", lambda: 7, lambda v: 1) == 7


@pytest.fixture
def bundled(tmp_path, monkeypatch):
    """A store over one bundled model, a small made net, published as recipes publish."""
    from components.models import nets

    source = "import torch\n\ndef build(width):\n    return torch.nn.Linear(width, 2)\n"
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "made_linear.py").write_text(source, encoding="utf-8")
    monkeypatch.setattr(nets, "__path__", [*nets.__path__, str(tmp_path / "nets")])
    net = torch.nn.Linear(3, 2)
    folder = tmp_path / "models"
    _run.publish(folder / "made", "made_linear", {"width": 3}, net.state_dict(), {"licence": "none"})
    return net, ModelStore(Settings(), folder)


def test_a_published_model_comes_back_frozen_and_equal(bundled):
    net, store = bundled
    assert store.names() == ("made",)
    model = store.get("made")
    assert model is store.get("made") and not model.training
    assert not any(p.requires_grad for p in model.parameters())
    assert torch.allclose(model.weight, net.weight, atol=1e-3)  # stored as 16-bit floats
    assert model.weight.dtype == torch.float32


def test_changed_weights_and_foreign_nets_are_refused(bundled):
    _, store = bundled
    path = store.folder / "made" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    with pytest.raises(RuntimeError, match="SHA-256"):
        store.get("made")
    with pytest.raises(RuntimeError, match="no architecture"):
        build_net("os", {})


def test_a_wrong_shape_is_refused(bundled):
    _, store = bundled
    path = store.folder / "made" / "card.json"
    path.write_text(json.dumps({**store.card("made"), "arguments": {"width": 4}}), encoding="utf-8")
    with pytest.raises(RuntimeError, match="size mismatch"):
        store.get("made")


def test_unknown_models_are_named(bundled):
    with pytest.raises(InputError, match="there are made"):
        bundled[1].get("other")


def test_warm_up_loads_in_the_background(bundled):
    _, store = bundled
    store.warm_up(("made",))
    assert store.warm.wait(10)


def test_results_are_remembered_by_key(bundled):
    _, store = bundled
    first = store.remember(("x", 1), lambda: np.arange(4))
    assert store.remember(("x", 1), lambda: np.zeros(1)) is first


@dataclass
class Held:
    one: np.ndarray
    more: tuple


def test_the_weight_of_a_result_counts_arrays_wherever_they_hang():
    array = np.zeros(1000)
    assert 8000 <= weight(Held(array, (array, {"again": array}))) < 9000  # once, though held three times
    assert weight([np.zeros(1000), np.zeros(1000)]) >= 16000
    assert 4 * 1010 <= weight(torch.nn.Linear(100, 10)) < 4 * 1010 + 100
