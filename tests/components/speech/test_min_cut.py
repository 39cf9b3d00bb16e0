"""Min-cut on frames whose syllables are known, and its claim."""

import numpy as np
import pytest

from components.models.encode_speech import SpeechFrames
from components.speech import RATE, Clip, min_cut
from components.speech.min_cut import MinCut

CLIP = Clip(np.zeros(2 * RATE, np.float32) + 0.1)


def frames_with(pieces):
    features = np.repeat(np.eye(len(pieces), dtype=np.float32), pieces, axis=0)
    speech = np.ones(len(features), np.float32)
    return SpeechFrames(features, np.zeros_like(speech), speech, 50.0, 0.01), 1.0


def test_known_frames_give_their_own_pieces(monkeypatch):
    pieces = [20, 10, 15, 5, 30, 20]
    monkeypatch.setattr(min_cut, "encoded", lambda clip, models: frames_with(pieces))
    found = MinCut(per_second=3.0)(CLIP, None)
    assert found.bounds[:, 1].tolist() == pytest.approx((np.cumsum(pieces) / 50).tolist())
    np.testing.assert_allclose(found.embeddings, np.eye(6), atol=1e-6)


def test_the_number_of_pieces_follows_the_rate(random_models):
    rng = np.random.default_rng(0)
    clip = Clip(rng.normal(0, 0.1, 3 * RATE).astype(np.float32))
    counts = [
        len(MinCut(per_second=rate, speech_threshold=0.05)(clip, random_models).bounds) for rate in (3, 6, 12)
    ]
    assert counts == [9, 18, 36]


def test_long_stretches_are_searched_in_parts(random_models):
    clip = Clip(np.random.default_rng(0).normal(0, 0.1, 50 * RATE).astype(np.float32))
    found = MinCut(speech_threshold=0.05)(clip, random_models)
    assert found.bounds[-1, 1] == pytest.approx(50.0) and len(found.bounds) == 225


def test_claim(models):
    finding = MinCut.check(models)
    assert finding.holds, finding.measured
