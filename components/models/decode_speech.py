"""Token to speech: a clip's syllables as one vector each, and the sound of such vectors in one fixed voice.

`tokens` hears, `units` quantises, `mel` and `speak` play. All take and give NumPy arrays.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from components.errors import InputError
from components.models import encode_speech
from components.models.store import ModelStore
from components.numerics.mel_vocoder import HOP, RATE, waveform
from components.numerics.pitch import segment_prosody

if TYPE_CHECKING:
    from components.models.nets.syllable_decoder import SyllableDecoder

NAME = "syllable-decoder"
FRAME = HOP / RATE  # seconds: 12.5 ms
PARTS = 3  # a token is the mean states of a segment's three thirds, in one vector
Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class SpeechTokens:
    """What `speak` needs of a clip: `vectors` (segments, 576), one a syllable, and what words do not hold.

    bounds (segments, 2) in seconds, in order and without overlap; pitch (segments,) in Hz, 0 where unvoiced;
    level (segments,) in dB; seconds: how long the clip is.
    """

    vectors: Array
    bounds: NDArray[np.float64]
    pitch: Array
    level: Array
    seconds: float


def portions(
    states: NDArray[np.floating[Any]], bounds: NDArray[np.floating[Any]], parts: int = PARTS
) -> Array:
    """Return the means of states (frames, width) over equal parts of segments: (segments, parts · width).

    bounds (segments, 2) in seconds; frame `i` covers `i / 50` to `(i + 1) / 50` s. A frame that an edge
    cuts counts by the part of it that lies inside.
    """
    sums = np.concatenate([np.zeros((1, states.shape[1])), np.cumsum(states, axis=0, dtype=np.float64)])
    edges = np.linspace(bounds[:, 0], bounds[:, 1], parts + 1, axis=1) * encode_speech.RATE
    edges = np.clip(edges, 0, len(states))
    low = np.minimum(edges.astype(np.int64), len(states) - 1)
    at = sums[low] + (edges - low)[..., None] * (sums[low + 1] - sums[low])
    means = np.diff(at, axis=1) / np.maximum(np.diff(edges, axis=1), 1e-6)[..., None]
    out: Array = means.reshape(len(bounds), parts * states.shape[1]).astype(np.float32)
    return out


def tokens(
    models: ModelStore, samples: NDArray[np.float32], bounds: NDArray[np.floating[Any]]
) -> SpeechTokens:
    """Hear mono `samples` (samples,) at 16 kHz: one vector a segment of `bounds` (segments, 2) in seconds."""
    wave = encode_speech.levelled(np.ascontiguousarray(samples, np.float32))
    checked = _checked(bounds, len(wave) / RATE)
    pitch, level = segment_prosody(wave, RATE, checked)
    vectors = portions(encode_speech.states(models, wave), checked)
    return SpeechTokens(vectors, checked, pitch, level, len(wave) / RATE)


def _checked(bounds: NDArray[np.floating[Any]], seconds: float) -> NDArray[np.float64]:
    found = np.asarray(bounds, np.float64).reshape(-1, 2)
    flat = found.reshape(-1)
    rising = bool((np.diff(flat) >= -1e-6).all()) and bool((found[:, 1] > found[:, 0]).all())
    if not rising or (len(flat) and (flat[0] < -1e-6 or flat[-1] > seconds + 0.1)):
        raise InputError(
            f"The segments do not lie in order within the clip's {seconds:.2f} s; they must not overlap; "
            "sort them by start and cut what reaches over."
        )
    return np.clip(found, 0.0, seconds)


def timeline(said: SpeechTokens) -> tuple[Array, Array, NDArray[np.int64], Array]:
    """Return a clip without holes: vectors (items, dim), prosody (items, 5), index and position (frames,).

    Items are the segments and the gaps between them that last a frame of 12.5 ms. Prosody holds half
    of one plus the log of the length in frames, 1 where voiced, the octaves from the clip's median pitch, the
    level in 10 dB from its loudest segment's, and 1 for a gap. Positions run from 0 to 1 within an item.
    """
    frames = max(1, int(said.seconds / FRAME + 1e-6))
    edges = np.clip(np.round(said.bounds / FRAME).astype(np.int64), 0, frames)
    pieces: list[tuple[int, int, int]] = []
    at = 0
    for number, (start, end) in enumerate(edges.tolist()):
        if start > at:
            pieces.append((at, start, -1))
        if end > max(start, at):
            pieces.append((max(start, at), end, number))
        at = max(at, end)
    if at < frames:
        pieces.append((at, frames, -1))
    begin, stop, owner = np.array(pieces).T
    length, spoken = stop - begin, owner >= 0
    vectors = np.zeros((len(pieces), said.vectors.shape[1]), np.float32)
    vectors[spoken] = said.vectors[owner[spoken]]
    prosody = np.zeros((len(pieces), 5), np.float32)
    prosody[:, 0] = (1 + np.log(length)) / 2
    prosody[spoken, 1:4] = _relative(said)[owner[spoken]]
    prosody[:, 4] = ~spoken
    index = np.repeat(np.arange(len(pieces)), length)
    position = ((np.arange(frames) - np.repeat(begin, length)) + 0.5) / np.repeat(length, length)
    return vectors, prosody, index, position.astype(np.float32)


def _relative(said: SpeechTokens) -> Array:
    voiced = said.pitch > 0
    middle = float(np.median(said.pitch[voiced])) if voiced.any() else 1.0
    octaves = np.where(voiced, np.log2(np.where(voiced, said.pitch, 1.0) / middle), 0.0)
    loudest = said.level.max(initial=-120.0)
    table = [voiced.astype(np.float32), np.clip(octaves, -1, 1), np.maximum(said.level - loudest, -60) / 10]
    return np.stack(table, axis=1).astype(np.float32)


def units(models: ModelStore, vectors: NDArray[np.floating[Any]]) -> NDArray[np.int64]:
    """Return the number of the nearest unit (segments,) of token vectors (segments, 576)."""
    import torch

    net: SyllableDecoder = models.get(NAME)
    with torch.inference_mode():
        given = torch.from_numpy(np.asarray(vectors, np.float32)).to(net.mean.device)
        found: NDArray[np.int64] = net.units(net.placed(given)).cpu().numpy()
    return found


def mel(models: ModelStore, said: SpeechTokens, *, quantised: bool = False) -> Array:
    """Return the log-mel spectrogram (frames, 80), 80 frames a second; `quantised` by the 1000 units."""
    import torch

    net: SyllableDecoder = models.get(NAME)
    parts = [torch.from_numpy(part)[None].to(net.mean.device) for part in timeline(said)]
    with torch.inference_mode():
        out: Array = net(*parts, quantise=quantised)[0].cpu().numpy()
    return out


def speak(
    models: ModelStore, said: SpeechTokens, *, quantised: bool = False, iterations: int = 48, seed: int = 0
) -> Array:
    """Return the sound (samples,) at 16 kHz of a clip's tokens, in the voice of the training speech."""
    return waveform(mel(models, said, quantised=quantised), iterations, seed=seed)
