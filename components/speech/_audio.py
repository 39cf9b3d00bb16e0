"""Audio files to clips: probed before they are decoded, then read, mixed and resampled block by block.

The memory needed does not depend on what a header says, and grows with the length at 16 kHz only.
"""

from collections.abc import Iterator
from math import ceil, gcd
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.errors import InputError
from components.speech import LONGEST, RATE, SHORTEST, Clip

_KNOWN = "WAV, FLAC, OGG, MP3 or AIFF"
_RATES = (4_000, 192_000)
_CHANNELS = 16
_BLOCK = 1 << 18  # samples read at once
Mono = NDArray[np.float32]


def read_clip(path: str | Path) -> Clip:
    """Read the audio file at `path` as a clip: channels averaged, 16 kHz, scaled down where it exceeds 1."""
    import soundfile

    path = Path(path)
    if not path.is_file() or path.stat().st_size == 0:
        raise InputError(f"The file is empty or gone; give a {_KNOWN} file with some speech in it.")
    try:
        with soundfile.SoundFile(path) as file:
            _probe(file.frames, file.samplerate, file.channels)
            blocks = _mono(file)
            samples = np.concatenate(list(resampled(blocks, file.samplerate)))
    except soundfile.LibsndfileError:
        raise InputError(
            f"This file ({path.suffix or 'no extension'}) cannot be read as audio; give {_KNOWN}."
        ) from None
    peak = float(np.abs(samples).max(initial=0.0))
    if np.isfinite(peak) and peak > 1:
        samples = samples / np.float32(peak)
    return Clip(samples, title=path.stem)


def _probe(frames: int, rate: int, channels: int) -> None:
    """Refuse by the header alone what is too long, too short or too odd to decode."""
    if not _RATES[0] <= rate <= _RATES[1] or channels > _CHANNELS:
        raise InputError(
            f"The file has {channels} channels at {rate} Hz; up to {_CHANNELS} channels at "
            f"{_RATES[0]} to {_RATES[1]} Hz fit: convert it."
        )
    seconds = frames / rate
    if seconds > LONGEST:
        raise InputError(
            f"The file lasts {seconds / 3600:.1f} h by its header; up to {LONGEST / 60:.0f} min fit: "
            "cut it into parts."
        )
    if seconds < SHORTEST:
        raise InputError(f"The file lasts {seconds:.2f} s; give {SHORTEST} s or more of speech.")


def _mono(file: Any) -> Iterator[Mono]:
    """Yield the mean of a SoundFile's channels in blocks; refuse one longer than its header said."""
    read, most = 0, int(LONGEST * file.samplerate)
    while len(block := file.read(_BLOCK // file.channels, dtype="float32", always_2d=True)):
        read += len(block)
        if read > most:
            raise InputError(f"The file lasts longer than {LONGEST / 60:.0f} min; cut it into parts.")
        yield block.mean(axis=1, dtype=np.float32)


def resampled(blocks: Iterator[Mono], rate: int) -> Iterator[Mono]:
    """Yield `blocks` of a signal at `rate` Hz as blocks at 16 kHz, the same as resampled at once."""
    from scipy.signal import resample_poly

    common = gcd(rate, RATE)
    up, down = RATE // common, rate // common
    if up == down:
        yield from blocks
        return
    # the filter reaches 10 * max(up, down) / up samples to each side: a piece takes that along
    context = down * ceil((10 * max(up, down) / up + 1) / down)
    held = np.zeros(context, np.float32)
    total = given = 0
    for block in blocks:
        total += len(block)
        held = np.concatenate([held, block])
        core = (len(held) - 2 * context) // down * down
        if core > 0:
            piece = resample_poly(held[: core + 2 * context], up, down).astype(np.float32)
            yield piece[context // down * up : (context + core) // down * up]
            given += core // down * up
            held = held[core:]
    rest = resample_poly(np.concatenate([held, np.zeros(context, np.float32)]), up, down)
    yield rest[context // down * up :][: ceil(total * up / down) - given].astype(np.float32)
