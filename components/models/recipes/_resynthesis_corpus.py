"""Speech for token to speech: what the encoder hears in a clip, and the one voice's spectrogram of its words.

The voice is flite's `slt`. So that other speakers can be heard too, some clips are spoken by `rms`; their
target is `slt` saying the same words, moved phone by phone to the times of `rms`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from components.models.decode_speech import SpeechTokens, portions
from components.models.encode_speech import HOP, NAME
from components.models.nets.syllable_encoder import SyllableEncoder
from components.models.recipes._run import load_checkpoint, save_checkpoint
from components.models.recipes._speech_corpus import HELD_OUT_BOOKS, english_sentences
from components.models.recipes._speech_scores import OFFSET, RATE, at_level
from components.models.recipes._speech_synthesis import Flite
from components.models.recipes._syllables import Phone, Utterance
from components.models.store import ModelStore
from components.numerics import mel_vocoder
from components.numerics.boundary_peaks import segments
from components.numerics.pitch import segment_prosody

VOICE, OTHER, UNSEEN = "slt", "rms", "awb"
BATCH = 8  # clips encoded at once
PART = 500  # sentences made and kept at a time
PHONES = (
    "", "aa", "ae", "ah", "ao", "aw", "ax", "ay", "b", "ch", "d", "dh", "eh", "er", "ey", "f", "g", "hh",
    "ih", "iy", "j", "jh", "k", "l", "m", "n", "ng", "ow", "oy", "p", "r", "s", "sh", "t", "th", "uh", "uw",
    "v", "w", "z", "zh",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Clip:
    """A clip's tokens and the log-mel (frames, 80) to learn; `wave` and `text` where it is measured on.

    phones (frames,) are numbers of `PHONES`: what is said in each frame of the mel.
    """

    said: SpeechTokens
    mel: NDArray[np.float16]
    phones: NDArray[np.uint8]
    text: str = ""
    wave: NDArray[np.float32] | None = None


class Listener:
    """The bundled encoder over many clips, padded to a common length; finds segments as the app does."""

    def __init__(self, models: ModelStore, device: str = "cpu") -> None:
        encoder = models.get(NAME)
        if not isinstance(encoder, SyllableEncoder):
            raise TypeError("the tokens are the syllable encoder's")
        self.net, self.device = encoder.to(device), device
        self.decode: dict[str, float] = models.card(NAME)["decode"]

    @torch.inference_mode()
    def hear(self, waves: list[NDArray[np.float32]]) -> list[SpeechTokens]:
        """Return the tokens of levelled waves (samples,)."""
        padded = torch.zeros(len(waves), max(map(len, waves)))
        for row, wave in zip(padded, waves, strict=True):
            row[: len(wave)] = torch.from_numpy(wave)
        states = self.net.states(padded.to(self.device))
        logits = self.net.heads(self.net.norm(states)).sigmoid().float().cpu().numpy()
        found = states.float().cpu().numpy()
        return [
            self._said(wave, found[i, : max(1, len(wave) // HOP)], logits[i, : max(1, len(wave) // HOP)])
            for i, wave in enumerate(waves)
        ]

    def _said(
        self, wave: NDArray[np.float32], states: NDArray[np.float32], heads: NDArray[np.float32]
    ) -> SpeechTokens:
        seconds = len(wave) / mel_vocoder.RATE
        bounds = segments(
            heads[:, 0], heads[:, 1], RATE, OFFSET, threshold=self.decode["peak_threshold"],
            distance=self.decode["min_distance_s"], speech_threshold=self.decode["speech_threshold"],
        )  # fmt: skip
        bounds = np.clip(bounds, 0.0, seconds)
        bounds = bounds[bounds[:, 1] > bounds[:, 0]]
        pitch, level = segment_prosody(wave, mel_vocoder.RATE, bounds)
        return SpeechTokens(portions(states, bounds), bounds, pitch, level, seconds)


def moved(
    mel: NDArray[np.float32], own: tuple[Phone, ...], other: tuple[Phone, ...], frames: int
) -> NDArray[np.float32] | None:
    """Move a spectrogram (frames, bands) from its own phones' times to another speaker's: `frames` long.

    Nothing where the two did not say the same phones.
    """
    if [p.label for p in own] != [p.label for p in other]:
        return None
    there = np.array([0.0, *(p.end for p in own)]) / (mel_vocoder.HOP / mel_vocoder.RATE)
    here = np.array([0.0, *(p.end for p in other)]) / (mel_vocoder.HOP / mel_vocoder.RATE)
    at = np.interp(np.arange(frames) + 0.5, here, there) - 0.5
    at = np.clip(at, 0, len(mel) - 1)
    low = np.minimum(at.astype(np.int64), len(mel) - 2)
    share = (at - low)[:, None]
    out: NDArray[np.float32] = (mel[low] * (1 - share) + mel[low + 1] * share).astype(np.float32)
    return out


def by_frame(phones: tuple[Phone, ...], frames: int) -> NDArray[np.uint8]:
    """Return the number of the phone at the middle of each mel frame (frames,)."""
    middle = (np.arange(frames) + 0.5) * mel_vocoder.HOP / mel_vocoder.RATE
    at = np.searchsorted([p.end for p in phones], middle, side="right")
    numbers = np.array([PHONES.index(p.label) for p in phones], np.uint8)
    found: NDArray[np.uint8] = numbers[np.minimum(at, len(phones) - 1)]
    return found


def clips(
    lines: list[str], voice: str, listener: Listener, keep: bool = False, flite: Flite | None = None
) -> list[Clip]:
    """Speak lines by `voice` and pair what is heard with the mel of `slt`; `keep` the sound and text."""
    speaker = flite or Flite()
    spoken: list[tuple[str, Utterance, NDArray[np.float32]]] = []
    for line in lines:
        said, model = speaker.say(line, voice), speaker.say(line, VOICE) if voice != VOICE else None
        if said is None or len(said.samples) < mel_vocoder.RATE:
            continue
        target = mel_vocoder.mel_spectrogram(at_level((model or said).samples))
        if model is not None:
            frames = len(said.samples) // mel_vocoder.HOP
            warped = moved(target, model.phones, said.phones, frames)
            if warped is None:
                continue
            target = warped
        spoken.append((line, said, target))
    spoken.sort(key=lambda s: len(s[1].samples))
    made: list[Clip] = []
    for first in range(0, len(spoken), BATCH):
        part = spoken[first : first + BATCH]
        waves = [at_level(s[1].samples) for s in part]
        for (line, said, target), wave, heard in zip(part, waves, listener.hear(waves), strict=True):
            if len(heard.bounds):
                phones = by_frame(said.phones, len(target))
                kept = (line, wave) if keep else ("", None)
                made.append(Clip(heard, target.astype(np.float16), phones, *kept))
    return made


def training_lines(data: Path, seed: int, first: int, count: int) -> list[str]:
    """Return `count` sentences of the training novels from number `first` of a shuffled order."""
    return english_sentences(data / "text" / "novels_train.txt", first + count, seed + 20)[first:]


def make_training(data: Path, seed: int, first: int, count: int, listener: Listener) -> dict[str, list[Clip]]:
    """Make a part of what is trained on: three of four sentences by `slt`, the fourth by `rms`."""
    lines = training_lines(data, seed, first, count)
    own = [line for i, line in enumerate(lines) if i % 4 != 3]
    flite = Flite()
    others = clips(lines[3::4], OTHER, listener, flite=flite)
    return {"training": clips(own, VOICE, listener, flite=flite) + others}


def training(data: Path, work: Path, seed: int, count: int, listener: Listener) -> list[Clip]:
    """Return what is trained on; each `PART` of it is made once a work folder, so that it can be stopped."""
    made: list[Clip] = []
    for first in range(0, count, PART):
        size = min(PART, count - first)
        path = work / "spoken" / f"{seed}-{first}-{size}.pt"
        part = partial(make_training, data, seed, first, size, listener)
        made += made_once(path, part, np.float16)["training"]
    return made


def make_measuring(data: Path, listener: Listener, known: set[str], count: int = 40) -> dict[str, list[Clip]]:
    """Make the dev and the test set: sentences of two books never trained on, all words `known`.

    Groups `dev` and `test` are spoken by `slt`; `unseen` is the first quarter of the test by `awb`,
    never heard in training; its target is `slt` at the times of `awb`.
    """
    first, second = (
        [line for line in english_sentences(data / "text" / book, 1000, 9) if speakable(line, known)]
        for book in HELD_OUT_BOOKS
    )
    flite = Flite()
    return {
        "dev": clips(first[: count // 2], VOICE, listener, keep=True, flite=flite),
        "test": clips(second[:count], VOICE, listener, keep=True, flite=flite),
        "unseen": clips(second[: count // 4], UNSEEN, listener, keep=True, flite=flite),
    }


def spelled(line: str) -> list[str]:
    """Return the words of a line as a dictionary spells them: lower case, apostrophes kept."""
    plain = "".join(c if c.isalpha() or c == "'" else " " for c in line.lower())
    return [w.strip("'") for w in plain.split() if w.strip("'")]


def speakable(line: str, known: set[str]) -> bool:
    """Say whether a line has five to fourteen words, all known, and nothing that is read out otherwise."""
    words = spelled(line)
    return 5 <= len(words) <= 14 and not any(c.isdigit() for c in line) and known.issuperset(words)


def packed(made: list[Clip], kind: type[np.floating]) -> list[dict[str, object]]:
    """Return clips as tensors and texts, which a checkpoint can hold; token vectors as `kind`."""
    out: list[dict[str, object]] = []
    for c in made:
        arrays = {"vectors": c.said.vectors.astype(kind), "bounds": c.said.bounds,
                  "pitch": c.said.pitch, "level": c.said.level, "mel": c.mel, "phones": c.phones}  # fmt: skip
        row: dict[str, object] = {k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in arrays.items()}
        out.append({**row, "seconds": c.said.seconds, "text": c.text,
                    "wave": None if c.wave is None else torch.from_numpy(c.wave)})  # fmt: skip
    return out


def unpacked(rows: list[dict[str, torch.Tensor]]) -> list[Clip]:
    """Return the clips of `packed`."""
    made = []
    for r in rows:
        said = SpeechTokens(r["vectors"].float().numpy(), r["bounds"].numpy(), r["pitch"].numpy(),
                            r["level"].numpy(), float(r["seconds"]))  # fmt: skip
        wave = None if r["wave"] is None else r["wave"].numpy()
        made.append(Clip(said, r["mel"].numpy(), r["phones"].numpy(), str(r["text"]), wave))
    return made


def made_once(
    path: Path, make: Callable[[], dict[str, list[Clip]]], kind: type[np.floating]
) -> dict[str, list[Clip]]:
    """Return groups of clips as a file has them, which is written first where it is missing.

    What was just made is read back too: token vectors are kept as `kind`, and the first run shall see what
    every later one does.
    """
    if not path.exists():
        save_checkpoint(path, **{name: packed(made, kind) for name, made in make().items()})
    state = load_checkpoint(path) or {}
    return {name: unpacked(rows) for name, rows in state.items()}
