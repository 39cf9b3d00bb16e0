"""The matrix and the contrast of frames whose similarities are known."""

import numpy as np
import pytest

from components.errors import InputError
from components.speech import Clip, Segmentation
from components.speech.labs.self_similarity import SelfSimilarity, contrast, segment_wise, unit

BOUNDS = np.array([[0.0, 0.2], [0.2, 0.4], [0.6, 0.8]])
FOUND = Segmentation(BOUNDS, 50.0, np.zeros((3, 2), np.float32), offset=0.01)
FEATURES = np.zeros((40, 2), np.float32)
FEATURES[0:10], FEATURES[10:20], FEATURES[30:40] = (1, 0), (0, 2), (0, 1)


def test_contrast_of_known_frames():
    within, between = contrast(FOUND, FEATURES)
    assert within == pytest.approx(1.0)
    assert between == pytest.approx(0.5)  # the first to the second: 0, the second to the third: 1


def test_frames_are_replaced_by_their_segments_mean_only_inside():
    noisy = FEATURES + np.random.default_rng(0).normal(0, 0.1, FEATURES.shape).astype(np.float32)
    flat = segment_wise(FOUND, noisy)
    np.testing.assert_allclose(flat[3], noisy[:10].mean(0), rtol=1e-5)
    np.testing.assert_array_equal(flat[20:30], noisy[20:30])


def test_unit_keeps_zero_rows():
    np.testing.assert_allclose(unit(np.array([[3.0, 4.0], [0, 0]], np.float32)), [[0.6, 0.8], [0, 0]])


def test_panels_cover_the_stretch_asked_for(random_models):
    clip = Clip(np.random.default_rng(0).normal(0, 0.1, 48_000).astype(np.float32))
    mel, encoder, _ = SelfSimilarity(start=1.0, length=1.0)(clip, random_models)
    assert mel.values.shape == encoder.values.shape == (50, 50)
    assert encoder.rows[0] == "1.01" and encoder.rows[-1] == "1.99"
    assert np.diag(encoder.values) == pytest.approx(1.0, abs=1e-3)
    with pytest.raises(InputError, match=r"behind the clip's end at 3\.0 s"):
        SelfSimilarity(start=3.0)(clip, random_models)


def test_claim(models):
    finding = SelfSimilarity.check(models)
    assert finding.holds, finding.measured
