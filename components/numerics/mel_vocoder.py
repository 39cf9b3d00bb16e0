"""Waveform → log-mel spectrogram and back: the phase is rebuilt by fast Griffin-Lim (Perraudin et al. 2013).

Bands are all that a mel spectrogram says of the magnitudes. So each round restores the bands, by a gain, and
leaves what lies within a band to the signal; one fixed guess of the magnitudes fits no signal well.

Frame `i` is centred on samples `HOP * i` to `HOP * (i + 1)` at 16 kHz: 80 frames a second of 80 bands.
"""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.numerics.spectra import mel_filters, power_frames

RATE, HOP, WINDOW, BANDS = 16_000, 200, 1024, 80
FLOOR = 0.001  # the smallest mel magnitude: the spectrum of noise 86 dB under full scale
OVERSHOOT = np.float32(1.25)  # found on 20 s of speech; from 2 on the rounds diverge
_BEFORE = (WINDOW - HOP) // 2
Mel = NDArray[np.float32]


def mel_spectrogram(samples: NDArray[np.floating[Any]]) -> Mel:
    """Return the natural logarithm of mel magnitudes (frames, 80) of mono samples (samples,) at 16 kHz.

    `len(samples) // 200` frames come out, at least one; silence is log 0.001.
    """
    filters = mel_filters(BANDS, WINDOW // 2 + 1, RATE)
    rows = [np.sqrt(p) @ filters for p in power_frames(samples, HOP, WINDOW)]
    mel: Mel = np.log(np.maximum(np.concatenate(rows), FLOOR)).astype(np.float32)
    return mel


@lru_cache(maxsize=1)
def _inverse() -> tuple[Mel, Mel]:
    filters = mel_filters(BANDS, WINDOW // 2 + 1, RATE)
    return filters, np.linalg.pinv(filters).astype(np.float32)


def magnitudes(mel: Mel, rounds: int = 8) -> Mel:
    """Return spectral magnitudes (frames, 513), none negative, whose mel bands are about exp(`mel`).

    The pseudo-inverse of the filters, cut off at zero, is improved by multiplicative steps; magnitudes at
    the floor count as silence.
    """
    filters, inverse = _inverse()
    wanted = np.maximum(np.exp(np.asarray(mel, np.float32)) - FLOOR, 0)
    found = np.maximum(wanted @ inverse, 1e-5)
    top = wanted @ filters.T
    square = filters @ filters.T
    for _ in range(rounds):
        found *= top / np.maximum(found @ square, 1e-9)
    return np.asarray(found, np.float32)


def waveform(mel: Mel, iterations: int = 48, momentum: float = 0.99, seed: int = 0) -> NDArray[np.float32]:
    """Return a signal (200 * frames,) at 16 kHz whose log-mel spectrogram is near `mel` (frames, 80).

    Fast Griffin-Lim: project on the spectra of real signals, extrapolate by `momentum`, keep the phase,
    restore the bands. The first magnitudes are `magnitudes`, the first phases are drawn by `seed`.
    """
    size = magnitudes(mel)
    wanted = np.maximum(np.exp(np.asarray(mel, np.float32)) - FLOOR, FLOOR / 100)
    rng = np.random.default_rng(seed)
    phase = np.exp(2j * np.pi * rng.random(size.shape, np.float32)).astype(np.complex64)
    last = np.zeros_like(phase)
    for _ in range(iterations):
        rebuilt = _spectrum(_signal(size * phase))
        guess = rebuilt + np.float32(momentum) * (rebuilt - last)
        phase = guess / np.maximum(np.abs(guess), 1e-9)
        size = _with_bands(np.abs(rebuilt), wanted)
        last = rebuilt
    signal = _signal(size * phase)
    out: NDArray[np.float32] = signal[_BEFORE : _BEFORE + HOP * len(mel)]
    return out


def _with_bands(size: Mel, wanted: Mel) -> Mel:
    """Scale magnitudes (frames, 513) towards the mel bands `wanted` (frames, 80) by a smooth gain.

    The gain overshoots by the power `OVERSHOOT`, because the next projection takes a part of it back.
    """
    filters, shares = mel_filters(BANDS, WINDOW // 2 + 1, RATE), _shares()
    gain = np.clip(wanted / np.maximum(size @ filters, 1e-9), 0.1, 10) ** OVERSHOOT
    scaled: Mel = size * (gain @ shares)
    return scaled


@lru_cache(maxsize=1)
def _shares() -> Mel:
    """Return how much of each bin's gain (80, 513) comes from each band; bins of no band fall silent."""
    filters = mel_filters(BANDS, WINDOW // 2 + 1, RATE).T
    shares: Mel = (filters / np.maximum(filters.sum(0), 1e-9)).astype(np.float32)
    return shares


@lru_cache(maxsize=1)
def _taper() -> NDArray[np.float32]:
    taper: NDArray[np.float32] = np.hanning(WINDOW + 2)[1:-1].astype(np.float32)
    return taper


def _spectrum(signal: NDArray[np.float32]) -> NDArray[np.complex64]:
    """Return the windowed spectra (frames, 513) of a padded signal."""
    from scipy import fft  # NumPy's transform would double the precision and the time

    columns = np.lib.stride_tricks.sliding_window_view(signal, WINDOW)[::HOP]
    spectra: NDArray[np.complex64] = fft.rfft(columns * _taper(), axis=1)
    return spectra


def _signal(spectra: NDArray[np.complex64]) -> NDArray[np.float32]:
    """Return the padded signal whose windowed spectra are nearest in square to `spectra` (frames, 513)."""
    from scipy import fft

    frames = len(spectra)
    columns = fft.irfft(spectra, n=WINDOW, axis=1) * _taper()
    signal: NDArray[np.float32] = _overlapped(columns) / np.maximum(_weight(frames), 1e-3)
    return signal


def _overlapped(columns: NDArray[np.float32]) -> NDArray[np.float32]:
    """Add columns (frames, 1024) at every 200th sample, hop by hop of the window."""
    frames = len(columns)
    parts = -(-WINDOW // HOP)
    padded = np.zeros((frames, parts * HOP), np.float32)
    padded[:, :WINDOW] = columns
    out = np.zeros((frames + parts, HOP), np.float32)
    for part in range(parts):
        out[part : part + frames] += padded[:, part * HOP : (part + 1) * HOP]
    return out.reshape(-1)[: (frames - 1) * HOP + WINDOW]


@lru_cache(maxsize=4)
def _weight(frames: int) -> NDArray[np.float32]:
    weight: NDArray[np.float32] = _overlapped(np.broadcast_to(_taper() ** 2, (frames, WINDOW)))
    return weight
