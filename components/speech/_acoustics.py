"""Vectors for segments that come from no network: the mean log-mel spectrum."""

import numpy as np
from numpy.typing import NDArray

from components.models import ModelStore
from components.numerics.spectra import log_mel
from components.numerics.syllable_cuts import segment_means
from components.speech import RATE, Clip


def mel_features(clip: Clip, hop: int, models: ModelStore) -> NDArray[np.float32]:
    """Return the log-mel energies (frames, 40) less the clip's own mean, a frame every `hop` samples."""

    def make() -> NDArray[np.float32]:
        mel: NDArray[np.float32] = log_mel(clip.samples, RATE, hop)
        mel -= mel.mean(0)
        return mel

    return models.remember(("log-mel", hop, clip.digest), make)


def mel_means(mel: NDArray[np.float32], bounds: NDArray[np.float64], hop: int) -> NDArray[np.float32]:
    """Return each segment's mean over the rows of `mel_features` (segments, 40)."""
    return segment_means(mel, frames_of(bounds, RATE / hop, hop / RATE / 2, len(mel)))


def frames_of(
    bounds: NDArray[np.float64], rate: float, offset: float, frames: int
) -> NDArray[np.int64]:
    """Return the frames whose centres lie in each segment (segments, 2), half-open, at least one frame each.

    bounds in seconds; frame `i` is centred at `i / rate + offset` seconds.
    """
    edges = np.ceil((bounds - offset) * rate - 1e-6).astype(np.int64)
    starts = np.clip(edges[:, 0], 0, max(frames - 1, 0))
    return np.stack([starts, np.clip(edges[:, 1], starts + 1, frames)], axis=1)


def seconds_of(cuts: NDArray[np.int64], rate: float, offset: float, seconds: float) -> NDArray[np.float64]:
    """Return half-open frame ranges as bounds in seconds, within the clip: a cut lies between two centres."""
    return np.clip((cuts - 0.5) / rate + offset, 0.0, seconds)
