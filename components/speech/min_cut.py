"""The min-cut search that Sylber's linear pass replaces, on the same frames."""

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from components.method import Card, Finding, knob
from components.models import ModelStore
from components.models.encode_speech import NAME
from components.numerics.boundary_peaks import speech_runs
from components.numerics.min_cut import min_cut
from components.numerics.syllable_cuts import segment_means
from components.speech import Clip, Segmentation, Segmenter, Trace, segmenters
from components.speech._acoustics import seconds_of
from components.speech._quality import clips_described, described, on_examples
from components.speech.fixed_rate import FixedRate
from components.speech.sylber import encoded

LONGEST_RUN = 1000  # frames searched at once: the similarity graph is quadratic in them


@segmenters.add
@dataclass(frozen=True)
class MinCut(Segmenter):
    """Cut each stretch of speech into a given number of pieces by the least normalised cut of its frames.

    The number of pieces is not found but set: `per_second` times the stretch's length. Stretches of more than
    20 s are searched in parts, because time and memory grow with the square of their frames.
    """

    card = Card(
        title="Min-cut",
        authors="Cho et al. (SDHuBERT)",
        year=2024,
        url="https://arxiv.org/abs/2310.10803",
        claim="With about the right number of pieces the search finds syllables better than even cuts do.",
        figure="F1 67.5 % at 50 ms on LibriSpeech with SDHuBERT's features; 72.2 % with Sylber's",
        differs="Runs on the bundled encoder's features; pieces are not merged afterwards.",
    )

    per_second: float = knob(4.5, 1.0, 12.0, 0.1, "Pieces per second of speech")
    speech_threshold: float = knob(0.5, 0.05, 0.95, 0.01, "Speech threshold")

    def __call__(self, clip: Clip, models: ModelStore) -> Segmentation:
        """Return the pieces; the vectors are the mean features of each."""
        heard, encoder_ms = encoded(clip, models)
        started = time.perf_counter()
        found: list[NDArray[np.int64]] = [np.zeros((0, 2), np.int64)]
        for start, end in speech_runs(heard.speech_probability, self.speech_threshold, 5, 3):
            for at in range(start, end, LONGEST_RUN):
                part = heard.features[at : min(end, at + LONGEST_RUN)]
                found.append(min_cut(part, max(1, round(len(part) / heard.rate * self.per_second))) + at)
        ranges = np.concatenate(found)
        bounds = seconds_of(ranges, heard.rate, heard.offset, clip.seconds)
        decoder_ms = 1e3 * (time.perf_counter() - started)
        return Segmentation(
            bounds=bounds,
            rate=heard.rate,
            embeddings=segment_means(heard.features, ranges),
            traces=(Trace("Speech probability", heard.speech_probability, self.speech_threshold),),
            offset=heard.offset,
            features=heard.features,
            milliseconds={"encoder": encoder_ms, "decoder": decoder_ms},
        )

    @classmethod
    def check(cls, models: ModelStore) -> Finding:
        """Score the pieces on the built-in clips beside even cuts."""
        ours, even = on_examples(cls(), models), on_examples(FixedRate(), models)
        return Finding(
            measured=f"min-cut {described(ours)}; even cuts {described(even)}",
            paper=cls.card.figure,
            holds=ours.f1 > even.f1,
            on=clips_described(),
            model=NAME,
        )
