"""Syllables as the stretches between valleys of loudness, without any network."""

import time
from dataclasses import dataclass

import numpy as np

from components.method import Card, Finding, knob
from components.models import ModelStore
from components.numerics.sonority import loudness_syllables
from components.numerics.spectra import band_level
from components.speech import RATE, Clip, Segmentation, Segmenter, Trace, segmenters
from components.speech._acoustics import mel_features, mel_means, seconds_of
from components.speech._examples import example, names

HOP = 160  # samples a frame: 100 frames a second


@segmenters.add
@dataclass(frozen=True)
class EnergyValleys(Segmenter):
    """Cut where the smoothed level of the sonorant band has a valley between two peaks.

    Vowels are the loudest sounds of a syllable and its edges the softest, so a valley of `dip` dB between two
    peaks is a boundary; below `silence` dB under the clip's loudest per cent lies no speech.
    """

    card = Card(
        title="Energy valleys",
        authors="Mermelstein; de Jong & Wempe",
        year=1975,
        url="https://doi.org/10.1121/1.380738",
        claim="Valleys of loudness alone miss fewer than 10 % of the syllables and add fewer than 10 %.",
        figure="6.9 % missed and 2.6 % extra, about 400 syllables of read English (Mermelstein 1975)",
        differs="Valleys of the smoothed level, with de Jong and Wempe's dip in dB, not of a convex hull; "
        "unvoiced peaks are not sorted out.",
    )

    dip: float = knob(2.0, 0.5, 12.0, 0.1, "Dip between syllables (dB)")
    silence: float = knob(25.0, 10.0, 60.0, 1.0, "Silence below the loudest (dB)")
    smoothing: int = knob(70, 10, 200, 10, "Smoothing window (ms)")
    pause: int = knob(100, 20, 500, 10, "Shortest pause (ms)")

    def __call__(self, clip: Clip, models: ModelStore) -> Segmentation:
        """Return the stretches between valleys; the vectors are mean log-mel spectra."""
        started = time.perf_counter()
        level = band_level(clip.samples, RATE, HOP, 250, 3500, width=self.smoothing // 10 | 1)
        listened = time.perf_counter()
        cuts = loudness_syllables(level, self.dip, self.silence, max(1, self.pause // 10))
        bounds = seconds_of(cuts, RATE / HOP, HOP / RATE / 2, clip.seconds)
        cut = time.perf_counter()
        mel = mel_features(clip, HOP, models)
        gate = max(float(np.percentile(level, 99)) - self.silence, -75.0)
        return Segmentation(
            bounds=bounds,
            rate=RATE / HOP,
            embeddings=mel_means(mel, bounds, HOP),
            traces=(Trace("Level, 250–3500 Hz (dB)", level, gate),),
            offset=HOP / RATE / 2,
            features=mel,
            milliseconds={"encoder": 1e3 * (listened - started), "decoder": 1e3 * (cut - listened)},
        )

    @classmethod
    def check(cls, models: ModelStore) -> Finding:
        """Count the marked syllables whose middle shares a segment with another's, or lies in none."""
        syllables = missed = extra = 0
        for name in names():
            known = example(name)
            bounds = cls()(known.clip, models).bounds
            middles = known.bounds.mean(1)
            held = ((bounds[:, :1] <= middles) & (middles < bounds[:, 1:])).sum(1)
            syllables += len(middles)
            missed += len(middles) - int(np.minimum(held, 1).sum())
            extra += int((held == 0).sum())
        return Finding(
            measured=f"{100 * missed / syllables:.1f} % missed, {100 * extra / syllables:.1f} % extra",
            paper=cls.card.figure,
            holds=missed < 0.1 * syllables and extra < 0.1 * syllables,
            on=f"{len(names())} bundled synthetic clips, {syllables} syllables with exact marks",
            model="none",
        )
