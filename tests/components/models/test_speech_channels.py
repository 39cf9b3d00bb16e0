"""The channels and continua that the syllable encoder is measured with, against values known beforehand."""

import shutil
import wave

import numpy as np
import pytest
import torch

from components.models import ModelStore
from components.models.recipes import _continua, _speech_robustness
from components.models.recipes._continua import likeness, sharpness, sharpness_figures
from components.models.recipes._speech_aims import aims_missed
from components.models.recipes._speech_measures import HEAD_F1, SETS, margin_rows
from components.models.recipes._speech_scores import nuclei_in
from components.models.recipes._syllables import Phone, Utterance
from components.models.recipes._telephone import (
    at_double_rate,
    at_half_rate,
    from_mu_law,
    telephoned,
    to_mu_law,
)
from components.settings import Settings

RATE = 16_000
EVERY = np.arange(-32768, 32768).astype(np.int16)


def tone(hertz, size=8000, rate=RATE, loud=8000):
    return (loud * np.sin(2 * np.pi * hertz * np.arange(size) / rate)).round().astype(np.int16)


def test_mu_law_bytes_are_the_standards():
    """Silence, both ends, the first step and 1000 = 132 (2^3 - 1) + 76, worked out by hand from G.711."""
    known = {0: 0xFF, 32767: 0x80, -32768: 0x00, 8: 0xFE, -8: 0x7E, 1000: 0xCE, -1000: 0x4E}
    assert dict(zip(known, to_mu_law(np.array(list(known), np.int16)).tolist(), strict=True)) == known
    heard = from_mu_law(np.array([0xFF, 0x7F, 0x80, 0x00, 0xFE, 0xCE], np.uint8))
    assert heard.tolist() == [0, 0, 32124, -32124, 8, 988]


def test_mu_law_is_within_half_a_step_and_a_fixed_point():
    heard = from_mu_law(to_mu_law(EVERY)).astype(int)
    inside = np.abs(EVERY.astype(int)) <= 32635
    step = 2.0 ** (np.floor(np.log2(np.abs(EVERY.astype(int)) + 132)) - 4)
    assert (np.abs(heard - EVERY)[inside] <= step[inside] / 2).all()
    assert (np.diff(heard) >= 0).all()
    assert len(np.unique(heard)) == 255  # two of the 256 bytes are zero
    codes = np.delete(np.arange(256).astype(np.uint8), 0x7F)
    assert to_mu_law(from_mu_law(codes)).tolist() == codes.tolist()


def test_the_line_passes_speech_without_delay_and_stops_what_is_above():
    low, high = tone(1000), tone(5000)
    np.testing.assert_allclose(at_double_rate(at_half_rate(low)), low, atol=2)
    assert np.abs(at_double_rate(at_half_rate(high))).max() <= 1
    between = at_double_rate(at_half_rate(tone(3700)))
    assert between.std() == pytest.approx(tone(3700).std() / 2, rel=0.01)  # half way from 3.4 to 4 kHz
    half = at_half_rate(low)
    np.testing.assert_allclose(half, tone(1000, 4000, 8000), atol=1)
    sent = telephoned([Utterance(low, (), np.array([[0.0, 0.5]], np.float32), "x")])[0]
    error = sent.samples.astype(float) - low
    signal_to_noise = 10 * np.log10((low.astype(float) ** 2).mean() / (error**2).mean())
    assert 36 < signal_to_noise < 48  # the codec's own 38 dB, half of its noise band is empty
    assert (sent.syllables == [[0.0, 0.5]]).all()


def test_noise_and_babble_are_as_loud_as_asked():
    said = [Utterance(tone(440), (), source="a"), Utterance(tone(700, 5000), (), source="b")]
    others = [Utterance(tone(h, 3000, loud=n), (), source="c") for h, n in ((150, 9000), (310, 50))]
    for spoiled in (_speech_robustness.noisy(said, 10), _speech_robustness.babbled(said, others, 10)):
        for before, after in zip(said, spoiled, strict=True):
            wave_, noise = before.samples.astype(float), after.samples.astype(float) - before.samples
            assert 10 * np.log10((wave_**2).mean() / (noise**2).mean()) == pytest.approx(10, abs=0.1)
    second = _speech_robustness.babbled([Utterance(tone(440, RATE), ())], others, 10)[0].samples
    bands = np.abs(np.fft.rfft(second.astype(float)))
    assert min(bands[145:155].max(), bands[305:315].max()) > 50 * np.median(bands)  # the soft one as loud


@pytest.mark.parametrize(
    ("curve", "index"),
    [
        (np.repeat([0.0, 1.0], [4, 7]), 0.0),
        (np.array([0.0, 1.0, 1.0]), 0.0),
        (np.array([0.0, 0.0, 1.0]), 0.0),
        (np.linspace(0, 1, 11), 2.5 / 11),  # 0 + .1 + ... + .4 and .5 + ... + .1 + 0
        (np.full(10, 0.5), 0.5),
    ],
)
def test_sharpness_of_a_step_a_line_and_a_flat_curve(curve, index):
    assert sharpness(curve) == pytest.approx(index)


def test_likeness_of_steps_on_a_line_is_their_share_of_the_way():
    start, end = np.random.default_rng(0).standard_normal((2, 7, 4))
    steps = [start + a * (end - start) for a in np.linspace(0, 1, 6)]
    steps[2] = np.concatenate([steps[2], np.ones((2, 4))])  # a longer step is cut
    np.testing.assert_allclose(likeness(steps), np.linspace(0, 1, 6), atol=1e-9)


def test_continua_are_read_in_order_from_a_folder(tmp_path):
    """A sine that becomes another one, mixed in the waveform: the curve rises from 0 to 1."""
    if not shutil.which("ffmpeg"):
        pytest.skip("needs ffmpeg")
    for at in range(3):
        mixed = ((2 - at) * tone(300).astype(int) + at * tone(900).astype(int)) // 2
        with wave.open(str(tmp_path / f"low-high_ALPHA={at / 2}.wav"), "wb") as file:
            file.setparams((1, 2, RATE, 0, "NONE", ""))
            file.writeframes(mixed.astype("<i2").tobytes())
    net = ModelStore(Settings(threads=1)).get("sylber-small")
    assert [p.name[-7:] for p in dict(_continua.continua(tmp_path))["low-high"]] == [
        "0.0.wav", "0.5.wav", "1.0.wav"]  # fmt: skip
    figures, n = sharpness_figures(net, tmp_path)
    assert n == 1
    ours, theirs, low, high = figures.values()
    assert 0 < ours <= 1 / 6  # only the middle step can be wrong, by a half at most
    assert low == high == pytest.approx(theirs - ours)
    assert sharpness_figures(net, tmp_path / "none") == ({}, 0)


def test_vowels_are_counted_where_their_middle_lies():
    phones = tuple(Phone(label, a / 10, b / 10, 0) for label, a, b in (("k", 0, 1), ("a", 1, 3), ("i", 4, 6)))
    said = [Utterance(np.zeros(RATE, np.int16), phones)]
    assert nuclei_in(said, [np.array([[0.0, 0.3], [0.3, 0.7]])]) == (1.0, 1.0, 2)
    assert nuclei_in(said, [np.array([[0.0, 0.7], [0.8, 0.9]])]) == (1.0, 0.0, 2)
    in_three = np.array([[0.0, 0.15], [0.15, 0.25], [0.25, 0.35]])
    assert nuclei_in(said, [in_three]) == (0.0, pytest.approx(1 / 3), 2)
    assert nuclei_in(said, [np.zeros((0, 2))]) == (0.0, 0.0, 2)


def test_the_margin_of_perfect_and_of_shared_features():
    bounds = np.array([[0.0, 0.1], [0.1, 0.2]], np.float32)
    said = [Utterance(np.full(RATE // 5, 1000, np.int16), (), bounds)]

    class Known(torch.nn.Module):
        def forward(self, samples):
            rows = torch.eye(2).repeat_interleave(5, 0)[None]
            return {"features": 3 * rows, "boundary": torch.zeros(1, 10), "speech": torch.zeros(1, 10)}

    own, following, others = margin_rows(Known(), said)
    assert (own["value"], own["n"]) == (1.0, 10)
    assert (following["value"], following["n"]) == (0.0, 5)
    assert (others["value"], others["n"]) == (0.0, 10)


def test_a_card_says_which_aims_it_misses():
    on = SETS["lj"]
    rows = [
        {"name": HEAD_F1, "on": on, "value": 80.0},
        {"name": "head, G.711 at 8 kHz: boundary F1 @50 ms", "on": on, "value": 76.0},
        {"name": "head: boundary R-value @50 ms", "on": on, "value": 77.5},
    ]
    assert aims_missed(rows) == [
        f"Aim missed: head: boundary R-value @50 ms ({on}) should be at least 78; it is 77.5."
    ]
    rows[1]["value"] = 75.9
    assert len(aims_missed(rows)) == 2
