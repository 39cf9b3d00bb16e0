"""Sylber: syllables out of an encoder trained on its own segments (arXiv 2410.07168)."""

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from components.method import Card, Finding, choice, knob
from components.models import ModelStore
from components.models.encode_speech import NAME, SpeechFrames, frames
from components.numerics.boundary_peaks import segments
from components.numerics.syllable_cuts import cut_syllables, segment_means
from components.speech import RATE, Clip, Segmentation, Segmenter, Trace, segmenters
from components.speech._acoustics import frames_of, seconds_of
from components.speech._examples import example, names
from components.speech._quality import clips_described, described, on_examples
from components.speech.energy_valleys import EnergyValleys

HEAD, PAPER = "boundary head", "norm and cosine (paper)"
# The recipe chose the thresholds on its dev clips; they belong to the weights, so the card brings them
DECODE: dict[str, float] = ModelStore().card(NAME)["decode"]


@segmenters.add
@dataclass(frozen=True)
class Sylber(Segmenter):
    """Frame features are near one vector within a syllable and near zero outside speech: cutting is linear.

    The paper's decoder: a frame h_t is speech where |h_t| >= `norm_threshold`; it joins the open segment
    with running mean m where cos(m, h_t) >= `merge_threshold`, else opens the next; then each boundary
    inside speech is visited once: its neighbours are merged where their means are alike, else the boundary
    moves to the split with the largest summed cosines. The boundary head (the idea of Sylber 2.0, arXiv
    2601.22306) cuts at the peaks of a boundary probability instead.
    """

    card = Card(
        title="Sylber",
        authors="Cho et al.",
        year=2025,
        url="https://arxiv.org/abs/2410.07168",
        claim="Self-distilled frame features cut speech at its syllables, better than loudness does and "
        "within 10 % of the rate of syllables.",
        figure="F1 72.2 %, R-value 75.9 % at 50 ms; 4.27 tokens a second (LibriSpeech, 73 M parameters)",
        differs="A small convolutional encoder on log-mel energies with unit-norm targets (thresholds "
        "chosen on dev clips, where the paper has 2.6 and 0.8), taught first by the marks of "
        "synthesisers; a boundary head as in Sylber 2.0; no token to speech.",
        system=1,
    )

    decoder: str = choice(HEAD, (HEAD, PAPER), "Decoder", help="What turns frames into segments.")
    norm_threshold: float = knob(DECODE["norm_threshold"], 0.05, 1.5, 0.01, "Norm threshold (paper)")
    merge_threshold: float = knob(DECODE["merge_threshold"], 0.3, 0.99, 0.01, "Merge cosine (paper)")
    peak_threshold: float = knob(DECODE["peak_threshold"], 0.05, 0.95, 0.01, "Boundary threshold (head)")
    speech_threshold: float = knob(DECODE["speech_threshold"], 0.05, 0.95, 0.01, "Speech threshold (head)")

    def __call__(self, clip: Clip, models: ModelStore) -> Segmentation:
        """Return the syllables; the vectors are the mean features of each segment."""
        heard, encoder_ms = encoded(clip, models)
        started = time.perf_counter()
        traces: tuple[Trace, ...]
        if self.decoder == PAPER:
            cuts = cut_syllables(heard.features, self.norm_threshold, self.merge_threshold)
            ranges, bounds = cuts.bounds, seconds_of(cuts.bounds, heard.rate, heard.offset, clip.seconds)
            traces = (
                Trace("Norm of the features", cuts.norms, self.norm_threshold),
                Trace("Cosine to the running mean", cuts.cosines, self.merge_threshold),
            )
        else:
            bounds = self._head(heard, clip.seconds)
            ranges = frames_of(bounds, heard.rate, heard.offset, len(heard.features))
            traces = (
                Trace("Speech probability", heard.speech_probability, self.speech_threshold),
                Trace("Boundary probability", heard.boundary_probability, self.peak_threshold),
            )
        means = segment_means(heard.features, ranges)
        decoder_ms = 1e3 * (time.perf_counter() - started)
        return Segmentation(
            bounds=bounds,
            rate=heard.rate,
            embeddings=means,
            traces=traces,
            offset=heard.offset,
            features=heard.features,
            milliseconds={"encoder": encoder_ms, "decoder": decoder_ms},
        )

    def _head(self, heard: SpeechFrames, seconds: float) -> NDArray[np.float64]:
        found = segments(
            heard.boundary_probability,
            heard.speech_probability,
            heard.rate,
            heard.offset,
            threshold=self.peak_threshold,
            distance=DECODE["min_distance_s"],
            speech_threshold=self.speech_threshold,
        )
        inside = np.clip(found, 0.0, seconds)
        return inside[inside[:, 1] > inside[:, 0]]

    @classmethod
    def check(cls, models: ModelStore) -> Finding:
        """Score the boundaries on the built-in clips beside those of loudness, and count tokens a second."""
        ours, theirs = on_examples(cls(), models), on_examples(EnergyValleys(), models)
        paper = on_examples(cls(decoder=PAPER), models)
        tokens, syllables, seconds = 0, 0, 0.0
        for name in names():
            known = example(name)
            tokens += len(cls()(known.clip, models).bounds)
            syllables += len(known.bounds)
            seconds += known.clip.seconds
        return Finding(
            measured=f"head {described(ours)}; norm and cosine {described(paper)}; energy valleys "
            f"{described(theirs)}; {tokens / seconds:.2f} tokens a second, {syllables / seconds:.2f} marked",
            paper=cls.card.figure,
            holds=ours.f1 > theirs.f1 and abs(tokens / syllables - 1) <= 0.1,
            on=clips_described(),
            model=NAME,
        )


def encoded(clip: Clip, models: ModelStore) -> tuple[SpeechFrames, float]:
    """Return the encoder's frames of `clip` and the milliseconds they took, computed once a clip."""

    def make() -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], float, float, float]:
        frames(models, clip.samples[:RATE])  # a net's first run pays for its set-up, which is not encoding
        started = time.perf_counter()
        heard = frames(models, clip.samples)
        milliseconds = 1e3 * (time.perf_counter() - started)
        boundary, speech = heard.boundary_probability, heard.speech_probability
        return heard.features, boundary, speech, heard.rate, heard.offset, milliseconds

    features, boundary, speech, rate, offset, milliseconds = models.remember(
        ("speech-frames", NAME, clip.digest), make
    )
    return SpeechFrames(features, boundary, speech, rate, offset), milliseconds
