import numpy as np
import pytest

from components.models.reduce import Seen
from components.numerics.token_merging import bipartite_match
from components.vision import reducers


def test_it_merges_evenly_down_to_the_share(untrained, picture):
    result = reducers.create("tome", keep=0.25)(picture, untrained)
    assert result.tokens == tuple(257 - 24 * i for i in range(9))
    assert len(result.stages) == 8
    late = reducers.create("tome", keep=0.5, first=5)(picture, untrained)
    assert late.tokens == (257, 257, 257, 257, 257, 225, 193, 161, 129)


def test_every_patch_is_still_part_of_one_token(untrained, picture):
    result = reducers.create("tome", keep=0.1)(picture, untrained)
    forward, back = result.composed
    assert result.kept.tolist() == list(range(256))
    assert forward.dense().sum(axis=1) == pytest.approx(1)
    assert (forward.dense() > 0).sum(axis=0).max() == 1
    assert np.array_equal((forward.dense() > 0).T, back.dense() > 0)
    assert set(result.regions.tolist()) == set(range(1, len(result.features)))


def test_a_stage_is_the_papers_matching_of_its_keys():
    keys = np.random.default_rng(1).standard_normal((21, 5))
    seen = Seen(3, 8, keys, np.full(21, 1 / 21), keys, np.arange(1.0, 22.0), 40)
    step = reducers.create("tome", keep=0.2).decide(seen)
    assert step.forward.shape == (21 - 4, 21)
    assert np.array_equal(step.back.columns, bipartite_match(keys, 4))
    assert step.sizes.sum() == np.arange(1, 22).sum()


def test_all_left_is_no_reduction(untrained, picture):
    assert reducers.create("tome", keep=1.0)(picture, untrained).stages == ()


def test_the_claim_holds(bundled):
    finding = reducers["tome"].check(bundled)
    assert finding.holds, finding.measured
