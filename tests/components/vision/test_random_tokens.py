import numpy as np

from components.numerics.token_selection import at_random
from components.vision import reducers


def test_it_keeps_the_share_at_the_layer_and_by_the_seed(untrained, picture):
    result = reducers.create("random_tokens", keep=0.25, layer=3, seed=7)(picture, untrained)
    assert result.tokens == (257, 257, 257, 65, 65, 65, 65, 65, 65)
    assert result.kept.tolist() == sorted(at_random(256, 64, 7).tolist())
    assert result.order == tuple(at_random(256, 64, 7))
    other = reducers.create("random_tokens", keep=0.25, layer=3, seed=8)(picture, untrained)
    assert not np.array_equal(result.kept, other.kept)


def test_everything_kept_is_no_reduction(untrained, picture):
    everything = reducers.create("random_tokens", keep=1.0)(picture, untrained)
    nothing = reducers.create("none")(picture, untrained)
    assert np.abs(everything.prediction.disparity - nothing.prediction.disparity).max() < 1e-5
    assert everything.macs == nothing.macs


def test_the_claim_holds(bundled):
    finding = reducers["random_tokens"].check(bundled)
    assert finding.holds, finding.measured
