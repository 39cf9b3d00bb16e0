"""A telephone line as speech meets it: 8 kHz, and eight bits a sample after ITU-T G.711's mu-law.

A mu-law byte is the complement of sign, exponent e (3 bits) and mantissa m (4 bits); it stands for
+-((2 m + 33) 2^(e+2) - 132) at 16-bit scale: eight straight pieces, the steps of each twice as wide as
those of the one before.
"""

import numpy as np
from numpy.typing import NDArray

from components.models.recipes._syllables import Utterance

BIAS, LOUDEST = 132, 32635
PASSED, STOPPED = 3400.0, 4000.0  # Hz: whole up to the first, gone from the second on
RATE = 16_000

Samples = NDArray[np.int16]


def to_mu_law(samples: Samples) -> NDArray[np.uint8]:
    """Return the mu-law bytes (n,) of 16-bit samples (n,)."""
    wide = samples.astype(np.int32)
    size = np.minimum(np.abs(wide), LOUDEST) + BIAS
    exponent = np.frexp(size)[1].astype(np.int32) - 8  # size lies in [2^(e+7), 2^(e+8))
    mantissa = (size >> (exponent + 3)) & 15
    codes: NDArray[np.uint8] = np.invert(((wide < 0) << 7 | exponent << 4 | mantissa).astype(np.uint8))
    return codes


def from_mu_law(codes: NDArray[np.uint8]) -> Samples:
    """Return the 16-bit samples (n,) that mu-law bytes (n,) stand for."""
    plain = np.invert(codes).astype(np.int32)
    size = ((2 * (plain & 15) + 33) << ((plain >> 4 & 7) + 2)) - BIAS
    return np.where(plain & 128, -size, size).astype(np.int16)


def at_half_rate(samples: Samples) -> Samples:
    """Return every second of an even number of samples after all above 4 kHz is taken away; no delay."""
    spectrum = np.fft.rfft(samples.astype(np.float64))
    hertz = np.fft.rfftfreq(len(samples), 1 / RATE)
    spectrum *= np.clip((STOPPED - hertz) / (STOPPED - PASSED), 0, 1)
    half = np.fft.irfft(spectrum[: len(samples) // 4 + 1], len(samples) // 2) / 2
    return half.round().clip(-32768, 32767).astype(np.int16)


def at_double_rate(samples: Samples) -> Samples:
    """Return 8 kHz samples at 16 kHz, with nothing above 4 kHz."""
    full = np.fft.irfft(np.fft.rfft(samples.astype(np.float64)), 2 * len(samples)) * 2
    return full.round().clip(-32768, 32767).astype(np.int16)


def telephoned(utterances: list[Utterance]) -> list[Utterance]:
    """Send utterances at 16 kHz through an 8 kHz mu-law line and back; their marks stay."""
    out = []
    for u in utterances:
        even = u.samples[: len(u.samples) // 4 * 4]
        heard = at_double_rate(from_mu_law(to_mu_law(at_half_rate(even))))
        out.append(Utterance(heard, u.phones, u.syllables, u.source))
    return out
