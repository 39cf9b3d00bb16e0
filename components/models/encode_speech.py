"""Frames of the bundled syllable encoder for a clip of any length: features, boundaries, speech."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from components.models.store import ModelStore

if TYPE_CHECKING:
    from torch import Tensor

    from components.models.nets.syllable_encoder import SyllableEncoder

NAME = "sylber-small"
RATE = 50.0  # frames a second
OFFSET = 0.010  # seconds: the centre of frame 0
HOP = 320  # samples a frame, at 16 kHz
LOUD = 0.1  # the level (RMS of the loudest twentieth of frames) that the encoder was trained around
CORE = 1500  # frames that a window adds to the result: 30 s


@dataclass(frozen=True, eq=False)
class SpeechFrames:
    """What the encoder says of a clip; frame `i` is centred at `i / rate + offset` seconds.

    `features` (frames, dim) have about length 1 in a syllable and 0 in silence; `boundary_probability` and
    `speech_probability` (frames,) are 0 to 1. Frames cover `i / rate` to `(i + 1) / rate`.
    """

    features: NDArray[np.float32]
    boundary_probability: NDArray[np.float32]
    speech_probability: NDArray[np.float32]
    rate: float
    offset: float


def levelled(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale a clip (samples,) so that its loud frames have the level the encoder knows; silence stays.

    The gain is at most 40 dB, and none for a clip that nowhere rises above -66 dB of full scale.
    """
    count = len(samples) // HOP
    if not count:
        return samples
    energy = np.sqrt(np.square(samples[: count * HOP].reshape(count, HOP)).mean(axis=1))
    loud = float(np.percentile(energy, 95))
    return samples * np.float32(min(LOUD / loud, 100.0)) if loud > 5e-4 else samples


def frames(models: ModelStore, samples: NDArray[np.float32]) -> SpeechFrames:
    """Encode mono `samples` (samples,) at 16 kHz in windows of 30 s; time grows linearly with the clip.

    Windows overlap by all that a frame can see, so that the result is the same as in one piece.
    """

    def outputs(net: "SyllableEncoder", wave: "Tensor") -> tuple["Tensor", ...]:
        out = net(wave)
        return out["features"], out["boundary"].sigmoid(), out["speech"].sigmoid()

    features, boundary, speech = _windows(models, samples, outputs)
    return SpeechFrames(features, boundary, speech, RATE, OFFSET)


def states(models: ModelStore, samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the encoder's last states (frames, 192), from which its outputs are read; windows as `frames`.

    They tell the sounds within a syllable apart, which the flat features do not.
    """
    return _windows(models, samples, lambda net, wave: (net.states(wave),))[0]


def _windows(
    models: ModelStore,
    samples: NDArray[np.float32],
    run: Callable[["SyllableEncoder", "Tensor"], tuple["Tensor", ...]],
) -> list[NDArray[np.float32]]:
    """Run the encoder on overlapping windows of a levelled clip and join each of its outputs over time."""
    import torch

    from components.models.nets.syllable_encoder import REACH

    net: SyllableEncoder = models.get(NAME)
    device = next(net.parameters()).device
    wave = levelled(np.ascontiguousarray(samples, dtype=np.float32))
    total = max(1, len(wave) // HOP)
    parts: list[list[NDArray[np.float32]]] = []
    for start in range(0, total, CORE):
        end = min(start + CORE, total)
        low, high = max(0, start - REACH), min(total, end + REACH)
        window = wave[low * HOP : high * HOP + (0 if high < total else HOP)]
        with torch.inference_mode():
            values = run(net, torch.from_numpy(window)[None].to(device))
        kept = slice(start - low, end - low)
        parts.append([v[0, kept].cpu().numpy() for v in values])
    return [np.concatenate(column) for column in zip(*parts, strict=True)]
