"""Cuts at even distances, whatever is said: the control that every segmenter must beat."""

import time
from dataclasses import dataclass

import numpy as np

from components.method import Card, Finding, knob
from components.models import ModelStore
from components.speech import RATE, Clip, Segmentation, Segmenter, segmenters
from components.speech._acoustics import mel_features, mel_means
from components.speech._quality import clips_described, described, on_examples

HOP = 320  # samples a frame of the log-mel vectors


@segmenters.add
@dataclass(frozen=True)
class FixedRate(Segmenter):
    """Cut the whole clip into pieces of `1 / per_second` seconds; the last one is what is left."""

    card = Card(
        title="Fixed rate",
        authors="Räsänen, Laine & Altosaar",
        year=2009,
        url="https://www.isca-archive.org/interspeech_2009/rasanen09b_interspeech.html",
        claim="Blind cutting at twice the syllable rate gains F1, while the R-value tells that it is blind.",
        figure="no figure for syllables; the paper shows it for phone boundaries",
        differs="Even cuts over the whole clip, pauses too; the paper adds cuts at random.",
    )

    per_second: float = knob(4.3, 1.0, 20.0, 0.1, "Pieces per second")

    def __call__(self, clip: Clip, models: ModelStore) -> Segmentation:
        """Return even pieces; the vectors are mean log-mel spectra."""
        started = time.perf_counter()
        starts = np.arange(max(1, int(np.ceil(clip.seconds * self.per_second - 1e-9)))) / self.per_second
        bounds = np.stack([starts, np.append(starts[1:], clip.seconds)], axis=1)
        cut = time.perf_counter()
        mel = mel_features(clip, HOP, models)
        return Segmentation(
            bounds=bounds,
            rate=RATE / HOP,
            embeddings=mel_means(mel, bounds, HOP),
            offset=HOP / RATE / 2,
            features=mel,
            milliseconds={"encoder": 0.0, "decoder": 1e3 * (cut - started)},
        )

    @classmethod
    def check(cls, models: ModelStore) -> Finding:
        """Score blind cuts at about the true rate and at twice it."""
        even, double = on_examples(cls(), models), on_examples(cls(per_second=10.0), models)
        return Finding(
            measured=f"{described(even)} at 4.3 cuts a second; {described(double)} at 10",
            paper=cls.card.figure,
            holds=double.f1 > even.f1 and double.r_value < even.r_value,
            on=clips_described(),
            model="none",
        )
