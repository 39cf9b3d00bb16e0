"""Short-time spectra of a mono signal: log-mel energies, the energy of a band, and a wide-band spectrogram.

Windows are centred: frame `i` of any function looks at the middle of samples `hop * i` to `hop * (i + 1)`.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.floating[Any]]
Power = NDArray[np.float32]
_BLOCK = 4096  # frames transformed at once: the memory stays small for an hour of signal


def power_frames(samples: Samples, hop: int, window: int, size: int | None = None) -> Iterator[Power]:
    """Yield blocks of the power spectrum (frames, size // 2 + 1) under a Hann window of `window` samples.

    `size` is the transform's length where it is longer than the window. `len(samples) // hop` frames come
    out in all, at least one; beyond its ends the signal is zero.
    """
    frames = max(1, len(samples) // hop)
    before = max(0, (window - hop) // 2)
    padded = np.zeros(max(before + len(samples), (frames - 1) * hop + window), np.float32)
    padded[before : before + len(samples)] = samples
    taper = np.hanning(window + 2)[1:-1].astype(np.float32)
    columns = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop][:frames]
    for first in range(0, frames, _BLOCK):
        spectrum = np.fft.rfft(columns[first : first + _BLOCK] * taper, n=size or window)
        yield (spectrum.real**2 + spectrum.imag**2).astype(np.float32)


@lru_cache(maxsize=4)
def mel_filters(bands: int, bins: int, rate: int) -> Power:
    """Return triangular filters (bins, bands) evenly spaced in mel from 50 Hz to 0.475 of the rate."""

    def mel(hertz: float) -> float:
        return float(2595 * np.log10(1 + hertz / 700))

    edges = 700 * (10 ** (np.linspace(mel(50), mel(0.475 * rate), bands + 2) / 2595) - 1)
    hertz = np.linspace(0, rate / 2, bins)[:, None]
    rise = (hertz - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - hertz) / (edges[2:] - edges[1:-1])
    triangles = np.maximum(np.minimum(rise, fall), 0)
    filters: Power = (triangles / np.maximum(triangles.sum(0), 1e-9)).astype(np.float32)
    return filters


def log_mel(samples: Samples, rate: int, hop: int, bands: int = 40) -> Power:
    """Return natural log-mel energies (frames, bands) in windows of 25 ms, not below -11.5 (silence)."""
    window = rate // 40
    filters = mel_filters(bands, window // 2 + 1, rate)
    return np.concatenate([np.log(p @ filters + 1e-5) for p in power_frames(samples, hop, window)])


def band_level(samples: Samples, rate: int, hop: int, low: float, high: float, width: int = 5) -> Power:
    """Return the level in dB (frames,) of the band `low` to `high` Hz, 0 dB for a full-scale sine.

    The power is smoothed by a Hann window over `width` frames; silence is -120 dB.
    """
    window = rate // 40
    bins = np.linspace(0, rate / 2, window // 2 + 1)
    inside = (bins >= low) & (bins <= high)
    power = np.concatenate([p[:, inside].sum(1) for p in power_frames(samples, hop, window)])
    taper = np.hanning(width + 2)[1:-1]
    smooth = np.convolve(np.pad(power, width // 2, mode="edge"), taper / taper.sum(), "valid")[: len(power)]
    full_scale = 3 * window**2 / 32  # a sine of amplitude 1 under a Hann window, its three lines summed
    level: Power = (10 * np.log10(np.maximum(smooth / full_scale, 1e-12))).astype(np.float32)
    return level


def wide_band(
    samples: Samples, rate: int, columns: int = 720, rows: int = 150, top: float = 5000.0
) -> Power:
    """Return a spectrogram in dB (rows, at most `columns`), low frequencies first, 0 dB at its maximum.

    The window is 5 ms wide at half its height, so that pitch periods and releases show; 6 dB an octave are
    added, as phoneticians read it. Where the signal is long, neighbouring frames are averaged.
    """
    hop, window = rate // 400, rate // 100
    raised = np.diff(samples.astype(np.float32), prepend=samples[:1])
    size = int(2 ** np.ceil(np.log2(rate * rows / top)))
    keep = round(top * size / rate)
    power = np.concatenate([p[:, :keep] for p in power_frames(raised, hop, window, size)])
    power = group_means(power, columns)
    power = group_means(np.ascontiguousarray(power.T), rows)
    level: Power = 10 * np.log10(np.maximum(power, 1e-12))
    return np.asarray(level - level.max(), np.float32)


def group_means(values: Power, most: int) -> Power:
    """Average neighbouring rows of (rows, columns) until at most `most` remain, as evenly as can be."""
    if len(values) <= most:
        return values
    edges = np.linspace(0, len(values), most + 1).astype(np.int64)
    sums = np.add.reduceat(values, edges[:-1], axis=0)
    means: Power = (sums / np.diff(edges)[:, None]).astype(np.float32)
    return means


def extremes(samples: Samples, most: int) -> tuple[NDArray[np.int64], Samples]:
    """Return positions and values of at most `most` samples that draw the same waveform.

    Each group of neighbours gives its minimum and its maximum.
    """
    groups = most // 2
    if len(samples) <= most:
        return np.arange(len(samples)), samples
    edges = np.linspace(0, len(samples), groups + 1).astype(np.int64)[:-1]
    values = np.stack([np.minimum.reduceat(samples, edges), np.maximum.reduceat(samples, edges)], axis=1)
    return np.repeat(edges, 2), values.reshape(-1)
