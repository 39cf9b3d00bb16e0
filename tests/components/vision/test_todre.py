import numpy as np
import pytest

from components.errors import InputError
from components.models.reduce import Seen
from components.numerics.token_selection import k_center, max_sum
from components.vision import reducers

FEATURES = np.random.default_rng(3).standard_normal((41, 6))
ATTENTION = np.random.default_rng(4).random(41)


@pytest.mark.parametrize(("rule", "select"), [("k-center", k_center), ("max-sum", max_sum)])
def test_it_selects_on_features_from_the_patch_cls_attends_to_most(rule, select):
    keys = FEATURES[::-1]
    seen = Seen(2, 8, keys, ATTENTION, FEATURES, np.ones(41), 40)
    step = reducers.create("todre", rule=rule, keep=0.25, layer=2).decide(seen)
    pivot = int(ATTENTION[1:].argmax())
    assert step.order == tuple(1 + select(FEATURES[1:], 10, pivot))
    assert step.order[0] == 1 + pivot
    assert step.forward.shape == (11, 41)


def test_it_runs_on_a_picture_and_the_order_is_of_patches(untrained, picture):
    result = reducers.create("todre", keep=0.1, layer=6)(picture, untrained)
    assert result.tokens == (*(6 * [257]), 27, 27, 27)
    assert len(result.order) == 26
    assert sorted(result.order) == result.kept.tolist()
    assert result.macs < reducers.create("none")(picture, untrained).macs


def test_a_constant_picture_gives_a_valid_answer(untrained):
    from components.vision import Picture

    result = reducers.create("todre")(Picture(np.full((128, 128, 3), 90, dtype=np.uint8)), untrained)
    assert len(set(result.order)) == 64
    assert np.isfinite(result.prediction.disparity).all()


def test_an_unknown_rule_is_refused():
    with pytest.raises(InputError, match="k-center, max-sum"):
        reducers.create("todre", rule="max-min")


def test_the_claim_holds(bundled):
    finding = reducers["todre"].check(bundled)
    assert finding.holds, finding.measured
