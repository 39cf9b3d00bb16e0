"""Sylber on frames whose syllables are known, on random weights, and its claim on the bundled encoder."""

import time

import numpy as np
import pytest

from components.models import ModelStore
from components.models.encode_speech import NAME, SpeechFrames
from components.speech import RATE, Clip, sylber
from components.speech.sylber import HEAD, PAPER, Sylber

TRUTH = np.array([[0.1, 0.3], [0.3, 0.44], [0.44, 0.7], [1.0, 1.2]])


def known_frames(models, samples):
    """Unit features constant within each true syllable, zero elsewhere; curves peak at the true bounds."""
    count = len(samples) // 320
    centres = np.arange(count) / 50 + 0.01
    features = np.zeros((count, 8), np.float32)
    boundary = np.zeros(count, np.float32)
    for k, (start, end) in enumerate(TRUTH):
        features[(centres >= start) & (centres < end), k] = 1.0
        for edge in (start, end):
            boundary = np.maximum(boundary, np.exp(-(((centres - edge) / 0.015) ** 2)))
    return SpeechFrames(features, boundary, (features.sum(1) > 0).astype(np.float32), 50.0, 0.01)


class CountingStore(ModelStore):
    def get(self, name):
        assert name == NAME


@pytest.fixture
def known(monkeypatch):
    calls = []
    monkeypatch.setattr(sylber, "frames", lambda m, s: calls.append(1) or known_frames(m, s))
    return calls


CLIP = Clip(np.random.default_rng(0).normal(0, 0.1, int(1.5 * RATE)).astype(np.float32))


@pytest.mark.parametrize(("decoder", "within"), [(HEAD, 0.01), (PAPER, 1e-9)])
def test_known_frames_give_the_true_syllables(known, decoder, within):
    found = Sylber(decoder=decoder)(CLIP, CountingStore())
    np.testing.assert_allclose(found.bounds, TRUTH, atol=within)
    np.testing.assert_allclose(found.embeddings, np.eye(4, 8), atol=1e-6)
    knobs = ("speech", "peak") if decoder == HEAD else ("norm", "merge")
    drawn = [trace.threshold for trace in found.traces]
    assert drawn == [Sylber.default(f"{knob}_threshold") for knob in knobs]


def test_the_defaults_are_those_chosen_for_the_weights(models):
    decode = models.card(NAME)["decode"]
    assert {knob: Sylber.default(knob) for knob in Sylber.knobs() if knob in decode}.items() <= decode.items()
    assert len(decode.keys() & Sylber.knobs().keys()) == 4


def test_knobs_reach_their_stage(known):
    models = CountingStore()
    assert len(Sylber(decoder=PAPER, norm_threshold=1.1)(CLIP, models).bounds) == 0
    assert len(Sylber(decoder=HEAD, speech_threshold=0.95)(CLIP, models).bounds) == 4
    assert len(Sylber(decoder=HEAD, peak_threshold=0.95)(CLIP, models).bounds) < 4


def test_a_knob_does_not_run_the_encoder_again(known):
    models = CountingStore()
    Sylber(decoder=PAPER)(CLIP, models)
    started = time.process_time()
    Sylber(decoder=PAPER, merge_threshold=0.6)(CLIP, models)
    assert time.process_time() - started < 0.1
    first = len(known)
    Sylber(decoder=PAPER, merge_threshold=0.7)(CLIP, models)
    assert len(known) == first > 0
    Sylber()(Clip(CLIP.samples[:8000].copy()), models)
    assert len(known) > first


SOUNDS = {
    "silence": np.zeros(RATE),
    "constant": np.full(RATE, 0.7),
    "shortest": np.full(1600, 0.1),
    "full scale": np.sign(np.sin(np.arange(RATE))),
    "click": np.eye(1, RATE)[0],
    "quiet": 1e-7 * np.random.default_rng(0).normal(size=RATE),
    "two minutes": np.random.default_rng(0).normal(0, 0.1, 120 * RATE),
}


@pytest.mark.parametrize("decoder", [HEAD, PAPER])
@pytest.mark.parametrize("name", SOUNDS)
def test_odd_sounds_give_a_valid_segmentation(random_models, decoder, name):
    clip = Clip(SOUNDS[name].astype(np.float32))
    found = Sylber(decoder=decoder, norm_threshold=0.05)(clip, random_models)
    assert found.bounds.min(initial=0) >= 0 and found.bounds.max(initial=0) <= clip.seconds
    assert found.embeddings.shape == (len(found.bounds), 8)


def test_claim(models):
    finding = Sylber.check(models)
    assert finding.holds, finding.measured
