"""The numbers on the token-to-speech model's card: word error rates beside their floors and controls."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from components.models.decode_speech import SpeechTokens, timeline
from components.models.nets.syllable_decoder import SyllableDecoder
from components.models.recipes import _recogniser as ear
from components.models.recipes._resynthesis_corpus import Clip, spelled
from components.numerics.mel_vocoder import FLOOR, waveform

Metric = dict[str, Any]
Mel = NDArray[np.float32]
Player = Callable[[Clip], Mel]
ON = {
    "test": "flite slt, sentences of a book never trained on",
    "unseen": "flite awb, a speaker never trained on, the same sentences; played as slt",
}
DECIBEL = 20 / np.log(10)  # of a natural logarithm of magnitudes
CONTROLS = (
    "recording", "recording through mel and Griffin-Lim", "control: one mel frame a syllable",
    "baseline: typical patch of each unit",
)  # fmt: skip
REAL_TIME = 0.15  # aim: processor time by a second of speech
AIMS = {"continuous tokens": 40, "1000 units": 60}  # WER in percent


@torch.inference_mode()
def decoded(net: SyllableDecoder, said: SpeechTokens, quantise: bool) -> Mel:
    """Return the net's log-mel (frames, 80)."""
    device = net.mean.device
    out: Mel = net(*(torch.from_numpy(p)[None].to(device) for p in timeline(said)), quantise)[0].cpu().numpy()
    return out


def flat(clip: Clip) -> Mel:
    """Return the control: each item's mean log-mel held through it: all that a flat vector says."""
    _, _, index, _ = timeline(clip.said)
    mel = clip.mel.astype(np.float32)
    counts = np.bincount(index)[:, None]
    sums = np.zeros((len(counts), mel.shape[1]), np.float32)
    np.add.at(sums, index, mel[: len(index)])
    return np.asarray((sums / np.maximum(counts, 1))[index], np.float32)


class Patches:
    """Unit selection: each unit is played as the mel of its most typical training segment, warped in time."""

    def __init__(self, net: SyllableDecoder, clips: list[Clip]) -> None:
        self.net = net
        self.patches: dict[int, Mel] = {}
        nearest: dict[int, float] = {}
        for clip in clips:
            unit, vectors = self._units(clip.said)
            away = np.square(vectors - net.centroids.cpu().numpy()[unit]).sum(1)
            for i, (u, d) in enumerate(zip(unit.tolist(), away.tolist(), strict=True)):
                low, high = np.round(clip.said.bounds[i] * 80).astype(int)
                if d < nearest.get(u, np.inf) and high - low >= 2:
                    nearest[u], self.patches[u] = d, clip.mel[low:high].astype(np.float32)

    @torch.inference_mode()
    def _units(self, said: SpeechTokens) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        vectors = self.net.placed(torch.from_numpy(said.vectors).to(self.net.mean.device))
        return self.net.units(vectors).cpu().numpy(), vectors.cpu().numpy()

    def __call__(self, clip: Clip) -> Mel:
        """Return the log-mel of a clip; gaps, and units without a patch, are silent."""
        unit, _ = self._units(clip.said)
        out = np.full(clip.mel.shape, np.log(FLOOR), np.float32)
        for u, (start, end) in zip(unit.tolist(), np.round(clip.said.bounds * 80).astype(int), strict=True):
            patch = self.patches.get(u)
            if patch is not None and end > start:
                rows = np.round(np.linspace(0, len(patch) - 1, end - start)).astype(int)
                out[start:end] = patch[rows][: len(out) - start]
        return out


def row(name: str, value: float, unit: str, n: int, on: str) -> Metric:
    """Return one metric of the card."""
    return {"name": name, "value": round(float(value), 3), "unit": unit, "n": n, "on": on}


def level_apart(found: Mel, wanted: NDArray[np.floating[Any]]) -> float:
    """Return the mean distance of two log-mels in dB."""
    count = min(len(found), len(wanted))
    return float(DECIBEL * np.abs(found[:count] - wanted[:count].astype(np.float32)).mean())


def told_apart(written: list[list[str]], texts: list[list[str]]) -> float:
    """Return the share of clips whose sentence is the one of all sentences with the fewest word errors."""
    right = 0
    for i, words in enumerate(written):
        errors = np.array([ear.word_errors(t, words) / len(t) for t in texts])
        right += int(errors.argmin() == i and (errors == errors.min()).sum() == 1)
    return right / max(1, len(texts))


def set_rows(decoder: Any, clips: list[Clip], players: dict[str, Player | None], on: str) -> list[Metric]:
    """Return word errors of each way to play clips; no player stands for the recording itself."""
    rows: list[Metric] = []
    texts = [spelled(c.text) for c in clips]
    total = sum(map(len, texts))
    for name, player in players.items():
        mels = [None if player is None else player(c) for c in clips]
        waves = [c.wave if m is None else waveform(m) for c, m in zip(clips, mels, strict=True)]
        written = [ear.heard(decoder, w) for w in waves if w is not None]
        errors = sum(ear.word_errors(t, w) for t, w in zip(texts, written, strict=True))
        aim = f" (aim: at most {AIMS[name]})" if name in AIMS else ""
        rows.append(row(f"word error rate, {name}{aim}", 100 * errors / max(1, total), "%", total, on))
        print(rows[-1], flush=True)
        rows.append(row(f"sentence told apart, {name}", told_apart(written, texts), "1", len(clips), on))
        if player is not None and name != "recording through mel and Griffin-Lim":
            apart = [level_apart(m, c.mel) for m, c in zip(mels, clips, strict=True) if m is not None]
            rows.append(row(f"log-mel distance, {name}", float(np.mean(apart)), "dB", len(clips), on))
    return rows


def real_time_factor(net: SyllableDecoder, clips: list[Clip]) -> Metric:
    """Return the processor time of decoder and vocoder by the length of the speech, without the encoder."""
    begun = time.process_time()
    for clip in clips:
        waveform(decoded(net, clip.said, False))
    spent, seconds = time.process_time() - begun, sum(c.said.seconds for c in clips)
    of = f"processor time, decoder and vocoder on one thread, {seconds:.0f} s of speech"
    return {"value": round(spent / seconds, 3), "of": of, "aim": REAL_TIME}


def measure(net: SyllableDecoder, groups: dict[str, list[Clip]], training: list[Clip]) -> list[Metric]:
    """Return every metric of the card; `training` gives the patches of the unit-selection baseline."""
    decoder = ear.recogniser()
    ours: dict[str, Player | None] = {
        "continuous tokens": lambda c: decoded(net, c.said, False),
        "1000 units": lambda c: decoded(net, c.said, True),
    }
    real: Player = lambda c: c.mel.astype(np.float32)  # noqa: E731
    beside = (None, real, flat, Patches(net, training))
    controls: dict[str, Player | None] = dict(zip(CONTROLS, beside, strict=True))
    rows = set_rows(decoder, groups["test"], {**ours, **controls}, ON["test"])
    return rows + set_rows(decoder, groups["unseen"], {"recording": None, **ours}, ON["unseen"])
