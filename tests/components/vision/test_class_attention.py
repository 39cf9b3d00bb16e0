import numpy as np

from components.models.reduce import Seen
from components.vision import reducers


def seen(attention, layer=4):
    n = len(attention)
    keys = np.random.default_rng(0).standard_normal((n, 4))
    return Seen(layer, 8, keys, np.asarray(attention), keys, np.ones(n), n - 1)


def test_it_keeps_what_cls_looks_at_and_cls_itself_does_not_count():
    step = reducers.create("class_attention", keep=0.5, layer=4).decide(seen([0.5, 0.05, 0.2, 0.05, 0.2]))
    assert step.order == (2, 4)
    assert step.forward.dense().argmax(axis=1).tolist() == [0, 2, 4]


def test_other_layers_are_left_alone():
    assert reducers.create("class_attention", layer=4).decide(seen([0.5, 0.5], layer=3)) is None


def test_the_smallest_share_keeps_a_token():
    assert reducers.create("class_attention", keep=0.05).decide(seen([0.2, 0.3, 0.5])).forward.shape == (2, 3)


def test_it_runs_on_a_picture(untrained, picture):
    result = reducers.create("class_attention", keep=0.5, layer=2)(picture, untrained)
    assert result.tokens == (257, 257, *(7 * [129]))
    assert len(result.order) == 128
    assert sorted(result.order) == result.kept.tolist()


def test_the_claim_holds(bundled):
    finding = reducers["class_attention"].check(bundled)
    assert finding.holds, finding.measured
