"""Files become clips, or are refused by a sentence before they cost anything."""

import time

import numpy as np
import pytest
import soundfile

from components.errors import InputError
from components.speech import RATE
from components.speech._audio import read_clip, resampled


def tone(rate, seconds=1.0, channels=1):
    t = np.arange(int(rate * seconds)) / rate
    one = 0.5 * np.sin(2 * np.pi * 440 * t)
    return np.repeat(one[:, None], channels, axis=1)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3", "aiff"])
@pytest.mark.parametrize(("rate", "channels"), [(16_000, 1), (44_100, 2), (8_000, 1), (48_000, 2)])
def test_reads_formats_rates_and_channels(tmp_path, suffix, rate, channels):
    path = tmp_path / f"tone.{suffix}"
    soundfile.write(path, tone(rate, channels=channels), rate)
    clip = read_clip(path)
    assert clip.title == "tone"
    assert clip.seconds == pytest.approx(1.0, abs=0.12 if suffix == "mp3" else 1e-4)  # MP3 pads
    middle = clip.samples[RATE // 4 : 3 * RATE // 4]
    assert np.sqrt(2 * np.mean(middle**2)) == pytest.approx(0.5, abs=0.02)
    assert np.fft.rfft(middle).__abs__().argmax() * RATE / len(middle) == pytest.approx(440, abs=2)


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000])
def test_resampling_in_blocks_equals_resampling_at_once(rate):
    from math import gcd

    from scipy.signal import resample_poly

    samples = np.random.default_rng(0).normal(size=3 * rate + 17).astype(np.float32)
    common = gcd(rate, RATE)
    whole = resample_poly(samples, RATE // common, rate // common)
    blocks = (samples[i : i + 5000] for i in range(0, len(samples), 5000))
    pieced = np.concatenate(list(resampled(blocks, rate)))
    assert len(pieced) == len(whole)
    np.testing.assert_allclose(pieced, whole, atol=1e-5)


def test_three_hours_are_refused_without_decoding(tmp_path):
    path = tmp_path / "long.flac"
    with soundfile.SoundFile(path, "w", 8_000, 1) as file:
        for _ in range(36):
            file.write(np.zeros(8_000 * 300, np.int16))
    started = time.process_time()
    with pytest.raises(InputError, match=r"lasts 3\.0 h .* cut it"):
        read_clip(path)
    assert time.process_time() - started < 1.0


def test_a_header_that_claims_less_than_there_is_does_not_decode_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr("components.speech._audio.LONGEST", 2.0)
    monkeypatch.setattr("components.speech._audio._probe", lambda *header: None)  # the header passed
    path = tmp_path / "lie.wav"
    soundfile.write(path, np.zeros(16_000 * 40, np.int16), 16_000)
    with pytest.raises(InputError, match="lasts longer than"):
        read_clip(path)


def test_a_wav_whose_header_claims_hours_is_read_as_long_as_it_is(tmp_path):
    path = tmp_path / "stream.wav"
    soundfile.write(path, tone(16_000), 16_000, subtype="PCM_16")
    data = bytearray(path.read_bytes())
    data[4:8] = data[40:44] = b"\xff\xff\xff\xff"  # what a recorder writes that never learned the length
    path.write_bytes(data)
    assert read_clip(path).seconds == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("empty.wav", b"", "empty or gone"),
        ("notes.txt", b"not audio at all", r"\(\.txt\) cannot be read"),
        ("cut.flac", b"fLaC\x00\x00", "cannot be read"),
        ("page.mp3", b"<html><img src=x onerror=alert(1)></html>", "cannot be read"),
    ],
)
def test_refuses_what_is_no_audio(tmp_path, name, content, says):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=says):
        read_clip(path)


def test_refuses_a_missing_file_and_a_folder(tmp_path):
    for path in (tmp_path / "none.wav", tmp_path):
        with pytest.raises(InputError, match="empty or gone"):
            read_clip(path)


@pytest.mark.parametrize(
    ("samples", "rate", "says"),
    [
        (np.zeros(100), 16_000, "lasts 0.01 s"),
        (np.zeros((16_000, 17)), 16_000, "17 channels"),
        (np.zeros(3000), 1000, "1000 Hz"),
        (np.full(16_000, np.nan), 16_000, "no numbers"),
    ],
)
def test_refuses_what_does_not_fit(tmp_path, samples, rate, says):
    path = tmp_path / "odd.wav"
    soundfile.write(path, samples, rate, subtype="FLOAT")
    with pytest.raises(InputError, match=says):
        read_clip(path)


def test_floats_beyond_full_scale_are_scaled_down(tmp_path):
    path = tmp_path / "loud.wav"
    soundfile.write(path, 8 * tone(16_000), 16_000, subtype="FLOAT")
    assert np.abs(read_clip(path).samples).max() == pytest.approx(1.0, abs=1e-6)
