"""Every frame against every other: syllables are the bright squares on the diagonal."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.errors import InputError
from components.method import Bars, Card, Finding, HeatMap, knob
from components.models import ModelStore
from components.models.encode_speech import NAME
from components.numerics.spectra import group_means
from components.speech import Clip, Segmentation, SpeechLab, labs
from components.speech._acoustics import frames_of, mel_features
from components.speech._examples import example, names
from components.speech.sylber import Sylber, encoded

HOP = 320  # samples a log-mel frame, as the encoder's
MOST = 220  # frames drawn


@labs.add
@dataclass(frozen=True)
class SelfSimilarity(SpeechLab):
    """Cosines between the frames of a stretch, for log-mel energies and for the encoder's features."""

    card = Card(
        title="Frames against frames",
        authors="Cho et al.",
        year=2025,
        url="https://arxiv.org/abs/2410.07168",
        claim="The encoder's frames are alike within a syllable and unlike those of the next: their mean "
        "cosines to the two syllables' means differ by 0.5 or more, and by more than for log-mel energies.",
        figure="shown as a picture of squares on the diagonal; no number is given",
        differs="Both kinds of features are taken less their mean over the clip, or what all frames share "
        "would hide the rest. The lab uses the head's segments, the check the exact marks.",
    )
    opening = (
        "The paper trains each frame towards its segment's mean, so a syllable becomes one flat stretch.",
        "Move the start and the length; compare the encoder's squares with those of log-mel energies.",
        "Look for squares on the diagonal: under it, frames are replaced by their segments' means.",
    )

    start: float = knob(0.0, 0.0, 3600.0, 0.5, "Start (s)")
    length: float = knob(4.0, 0.5, 20.0, 0.5, "Length (s)")

    def __call__(self, clip: Clip, models: ModelStore) -> tuple[Any, ...]:
        """Return both similarity matrices and the contrast of each."""
        found = Sylber()(clip, models)
        if self.start >= clip.seconds:
            raise InputError(
                f"The start, {self.start:g} s, lies behind the clip's end at {clip.seconds:.1f} s; "
                "choose an earlier one."
            )
        kinds = {"log-mel energies": mel_features(clip, HOP, models), "encoder": centred(found.features)}
        panels = []
        for name, features in kinds.items():
            panels.append(self._matrix(f"Similarity of frames, {name}", found, features))
        within, between = {}, {}
        for name, features in kinds.items():
            within[f"{name}, within a syllable"], between[f"{name}, to the next"] = contrast(found, features)
        title = "Mean cosine of a frame to its own syllable's mean and to the next one's"
        return (*panels, Bars(title, "cosine", within | between))

    def _matrix(self, title: str, found: Segmentation, features: Any) -> HeatMap:
        """Draw cosines of frames above the diagonal, of segment means below it."""
        first = int(self.start * found.rate)
        part = slice(first, min(len(features), first + int(self.length * found.rate)))
        smooth = segment_wise(found, features)[part]
        frames, means = (unit(group_means(rows, MOST)) for rows in (features[part], smooth))
        cosines = np.triu(frames @ frames.T) + np.tril(means @ means.T, -1)
        step = (part.stop - part.start) / len(frames) / found.rate
        times = tuple(f"{self.start + (i + 0.5) * step:.2f}" for i in range(len(frames)))
        return HeatMap(title, "time (s)", "time (s)", cosines.astype(np.float32), times, times, unit="cosine")

    @classmethod
    def check(cls, models: ModelStore) -> Finding:
        """Average the contrast over all built-in clips."""
        sums = np.zeros((2, 2))
        for name in names():
            known = example(name)
            heard, _ = encoded(known.clip, models)
            blank = np.zeros((len(known.bounds), 0), np.float32)
            marked = Segmentation(known.bounds, heard.rate, blank, offset=heard.offset)
            mel = mel_features(known.clip, HOP, models)
            sums += [contrast(marked, centred(heard.features)), contrast(marked, mel)]
        (inside, outside), (mel_inside, mel_outside) = (sums / len(names())).tolist()
        margin, mel_margin = inside - outside, mel_inside - mel_outside
        return Finding(
            measured=f"encoder {inside:.2f} within, {outside:.2f} to the next (margin {margin:.2f}); "
            f"log-mel {mel_inside:.2f} and {mel_outside:.2f} (margin {mel_margin:.2f})",
            paper=cls.card.figure,
            holds=margin >= 0.5 and margin > mel_margin,
            on=f"the marked syllables of {len(names())} bundled synthetic clips",
            model=NAME,
        )


def centred(features: Any) -> NDArray[np.float32]:
    """Return the features (frames, dim) less their mean over the clip."""
    return np.asarray(features - features.mean(0), np.float32)


def unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the rows (n, dim) at length one; zero rows stay zero."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, 1e-9), np.float32)


def segment_wise(found: Segmentation, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the features (frames, dim) with every frame of a segment replaced by the segment's mean."""
    flat = features.copy()
    for start, end in frames_of(found.bounds, found.rate, found.offset, len(features)):
        flat[start:end] = features[start:end].mean(0)
    return flat


def contrast(found: Segmentation, features: Any) -> tuple[float, float]:
    """Return the mean cosine of a frame to its own segment's mean, and to the next segment's mean."""
    within, between = [], []
    ranges = frames_of(found.bounds, found.rate, found.offset, len(features))
    means = unit(np.array([features[a:b].mean(0) for a, b in ranges]).reshape(len(ranges), features.shape[1]))
    for k, (start, end) in enumerate(ranges):
        rows = unit(features[start:end])
        within.append(float((rows @ means[k]).mean()))
        if k + 1 < len(ranges):
            between.append(float((rows @ means[k + 1]).mean()))
    return float(np.mean(within or [0.0])), float(np.mean(between or [0.0]))
