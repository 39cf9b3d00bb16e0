"""Even cuts are even, whole and blind."""

import numpy as np
import pytest

from components.models import ModelStore
from components.speech import RATE, Clip
from components.speech.fixed_rate import FixedRate

MODELS = ModelStore()


@pytest.mark.parametrize("seconds", [0.1, 1.0, 2.35])
@pytest.mark.parametrize("per_second", [1.0, 4.0, 20.0])
def test_pieces_are_even_and_cover_the_clip(seconds, per_second):
    clip = Clip(np.random.default_rng(0).normal(size=int(seconds * RATE)).astype(np.float32))
    found = FixedRate(per_second=per_second)(clip, MODELS)
    lengths = np.diff(found.bounds, axis=1)[:, 0]
    assert len(lengths) == int(np.ceil(round(seconds * per_second, 6)))
    assert lengths[:-1] == pytest.approx(1 / per_second)
    assert found.bounds[0, 0] == 0 and found.bounds[-1, 1] == pytest.approx(clip.seconds)
    assert (found.bounds[1:, 0] == found.bounds[:-1, 1]).all()
    assert found.embeddings.shape == (len(lengths), 40)


def test_cuts_do_not_depend_on_the_sound():
    rng = np.random.default_rng(1)
    one, other = (Clip(rng.normal(size=RATE).astype(np.float32)) for _ in range(2))
    assert (FixedRate()(one, MODELS).bounds == FixedRate()(other, MODELS).bounds).all()


def test_claim():
    finding = FixedRate.check(MODELS)
    assert finding.holds, finding.measured
