"""Pitch by autocorrelation, and what a stretch of speech says beside its sounds: its pitch and its level.

The autocorrelation of a windowed frame is divided by the window's own (Boersma 1993), so that a periodic
signal reaches 1 at its period whatever the window does; the parabola through a peak gives the period to a
fraction of a sample.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Curve = NDArray[np.float32]
_BLOCK = 1024  # frames correlated at once


def pitch(
    samples: NDArray[np.floating[Any]],
    rate: int,
    hop: int,
    low: float = 65.0,
    high: float = 400.0,
    voiced: float = 0.55,
) -> Curve:
    """Return the fundamental frequency (frames,) in Hz, 0 where nothing periodic is heard.

    Frame `i` is centred on samples `hop * i` to `hop * (i + 1)`; `len(samples) // hop` frames come out, at
    least one. The window holds three periods of `low` Hz. A frame is voiced where its correlation reaches
    `voiced`; of peaks nearly as high the shortest period wins, else a voice would be heard an octave low.
    """
    window = int(3 * rate / low)
    first, last = int(rate / high), int(rate / low) + 1
    frames = max(1, len(samples) // hop)
    before = max(0, (window - hop) // 2)
    padded = np.zeros(max(before + len(samples), (frames - 1) * hop + window), np.float32)
    padded[before : before + len(samples)] = samples
    columns = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop][:frames]
    taper = np.hanning(window + 2)[1:-1].astype(np.float32)
    own = _correlation(taper[None], last + 2)[0]
    found = np.zeros(frames, np.float32)
    for start in range(0, frames, _BLOCK):
        block = columns[start : start + _BLOCK]
        centred = (block - block.mean(axis=1, keepdims=True)) * taper
        found[start : start + len(block)] = _peaks(_correlation(centred, last + 2) / own, first, last, voiced)
    return _without_jumps(np.where(found > 0, rate / np.maximum(found, 1e-9), 0).astype(np.float32))


def _correlation(frames: Curve, lags: int) -> NDArray[np.float64]:
    """Return the autocorrelation (frames, lags), 1 at lag 0; a silent frame gives 0 everywhere."""
    size = int(2 ** np.ceil(np.log2(frames.shape[1] + lags)))
    spectrum = np.fft.rfft(frames, n=size)
    values = np.fft.irfft(spectrum.real**2 + spectrum.imag**2, n=size)[:, :lags]
    silent = values[:, :1] < 1e-7 * frames.shape[1]
    scaled: NDArray[np.float64] = np.where(silent, 0.0, values / np.maximum(values[:, :1], 1e-12))
    return scaled


def _peaks(correlation: NDArray[np.float64], first: int, last: int, voiced: float) -> NDArray[np.float64]:
    """Return the period (frames,) in samples, 0 where no peak reaches `voiced`."""
    middle = correlation[:, first : last + 1]
    left, right = correlation[:, first - 1 : last], correlation[:, first + 1 : last + 2]
    peak = (middle >= left) & (middle > right)
    cost = 0.06 * np.log2(np.arange(first, last + 1) / first)  # an octave longer must be that much better
    score = np.where(peak, middle - cost, -1.0)
    best = score.argmax(axis=1)
    rows = np.arange(len(middle))
    a, b, c = left[rows, best], middle[rows, best], right[rows, best]
    bend = a - 2 * b + c
    move = np.divide(a - c, 2 * bend, out=np.zeros(len(rows)), where=bend < -1e-9)
    return np.where(peak[rows, best] & (b >= voiced), best + first + np.clip(move, -0.5, 0.5), 0.0)


def _without_jumps(hertz: Curve) -> Curve:
    """Drop frames further than half an octave from the median of the nine frames around them."""
    wide = np.lib.stride_tricks.sliding_window_view(np.pad(hertz, 4), 9)
    ordered = np.sort(np.where(wide > 0, wide, np.inf), axis=1)
    count = (wide > 0).sum(axis=1)
    middle = np.where(count > 0, ordered[np.arange(len(wide)), np.maximum(count - 1, 0) // 2], 0.0)
    near = (hertz > 0) & (middle > 0)
    octaves = np.abs(np.log2(np.where(near, hertz, 1) / np.where(near, middle, 1)))
    return np.where(near & (octaves < 0.5), hertz, 0).astype(np.float32)


def segment_prosody(
    samples: NDArray[np.floating[Any]],
    rate: int,
    bounds: NDArray[np.floating[Any]],
    hop: int = 200,
    share: float = 0.2,
) -> tuple[Curve, Curve]:
    """Return the mean pitch in Hz and the mean level in dB of each segment: (segments,), (segments,).

    bounds (segments, 2) in seconds. The pitch is the geometric mean over voiced frames, 0 where fewer than
    `share` of the frames are voiced. The level is of the mean power, 0 dB for a full-scale square wave,
    -120 dB for silence.
    """
    curve = pitch(samples, rate, hop)
    power = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])
    tones, levels = np.zeros(len(bounds), np.float32), np.zeros(len(bounds), np.float32)
    for i, (start, end) in enumerate(np.asarray(bounds, np.float64)):
        low, high = np.clip([round(start * rate), round(end * rate)], 0, len(samples))
        mean = (power[high] - power[low]) / max(1, high - low)
        levels[i] = 10 * np.log10(max(mean, 1e-12))
        inside = curve[int(start * rate / hop) : max(int(start * rate / hop) + 1, round(end * rate / hop))]
        tone = inside[inside > 0]
        if len(tone) and len(tone) >= share * len(inside):
            tones[i] = np.exp(np.log(tone).mean())
    return tones, levels
