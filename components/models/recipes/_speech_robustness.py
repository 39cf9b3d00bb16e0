"""Boundary scores of the speech model through bad channels: white noise, babble, the telephone."""

import numpy as np
from numpy.typing import NDArray
from torch import nn

from components.models.recipes._speech_corpus import Corpus
from components.models.recipes._speech_measures import (
    REAL,
    SETS,
    Decode,
    Metric,
    boundary_rows,
    decode_all,
)
from components.models.recipes._speech_scores import curves, pooled
from components.models.recipes._syllables import Utterance
from components.models.recipes._telephone import telephoned

DECIBEL, TALKERS = 10.0, 6
HEARD = ("espeak_unseen", "flite_awb", "asterisk", "lj")


def over(utterance: Utterance, noise: NDArray[np.float64], decibel: float) -> Utterance:
    """Add noise (samples,) of any size at a signal-to-noise ratio (dB)."""
    wave = utterance.samples.astype(np.float64)
    gain = np.sqrt((wave**2).mean() * 10 ** (-decibel / 10) / max((noise**2).mean(), 1e-12))
    heard = (wave + gain * noise).clip(-32767, 32767).astype(np.int16)
    return Utterance(heard, utterance.phones, utterance.syllables, utterance.source)


def noisy(utterances: list[Utterance], decibel: float, seed: int = 3) -> list[Utterance]:
    """Add white noise at a signal-to-noise ratio (dB)."""
    rng = np.random.default_rng(seed)
    return [over(u, rng.standard_normal(len(u.samples)), decibel) for u in utterances]


def babbled(
    utterances: list[Utterance], others: list[Utterance], decibel: float, seed: int = 3
) -> list[Utterance]:
    """Add `TALKERS` of the other utterances, equally loud and each from its own place on, as noise."""
    rng = np.random.default_rng(seed)
    out = []
    for u in utterances:
        noise = np.zeros(len(u.samples))
        for pick in rng.integers(0, len(others), TALKERS):
            voice = others[pick].samples.astype(np.float64)
            turned = np.roll(voice / max(voice.std(), 1e-9), int(rng.integers(len(voice))))
            noise += np.resize(turned, len(noise))
        out.append(over(u, noise, decibel))
    return out


def robustness_rows(net: nn.Module, corpus: Corpus, decode: Decode) -> list[Metric]:
    """Return the head's F1 in noise on unseen voices, and through G.711 on these and on recorded speech."""
    spoiled: list[tuple[str, str, list[Utterance]]] = []
    clean = corpus.get("espeak_unseen", [])
    if clean:
        spoiled.append((f"white noise at {DECIBEL:g} dB", "espeak_unseen", noisy(clean, DECIBEL)))
    if clean and corpus.get("dev_espeak"):
        said = babbled(clean, corpus["dev_espeak"], DECIBEL)
        spoiled.append((f"babble of {TALKERS} at {DECIBEL:g} dB", "espeak_unseen", said))
    spoiled += [("G.711 at 8 kHz", name, telephoned(corpus[name])) for name in HEARD if corpus.get(name)]
    rows: list[Metric] = []
    for channel, name, utterances in spoiled:
        heads, _ = decode_all(curves(net, utterances), decode)
        scores = pooled(utterances, heads, decode["real_shift_s"] if name in REAL else 0.0)
        rows += boundary_rows(f"head, {channel}:", scores, SETS[name])[:1]
    return rows
