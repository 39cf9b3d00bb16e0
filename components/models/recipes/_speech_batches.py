"""Crops of speech with pauses, noise, rooms, channels and speeds, and their targets a frame."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from components.models.recipes._speech_corpus import Corpus
from components.models.recipes._syllables import Utterance

RATE, HOP = 16_000, 320
Wave = NDArray[np.float32]
ARPABET_TO_IPA = dict(
    pair.split("=")
    for pair in [
        "aa=ɑː",
        "ae=æ",
        "ah=ʌ",
        "ao=ɔː",
        "aw=aʊ",
        "ax=ə",
        "ay=aɪ",
        "b=b",
        "ch=tʃ",
        "d=d",
        "dh=ð",
        "eh=ɛ",
        "er=ɜː",
        "ey=eɪ",
        "f=f",
        "g=ɡ",
        "hh=h",
        "ih=ɪ",
        "iy=iː",
        "jh=dʒ",
        "k=k",
        "l=l",
        "m=m",
        "n=n",
        "ng=ŋ",
        "ow=oʊ",
        "oy=ɔɪ",
        "p=p",
        "r=ɹ",
        "s=s",
        "sh=ʃ",
        "t=t",
        "th=θ",
        "uh=ʊ",
        "uw=uː",
        "v=v",
        "w=w",
        "y=j",
        "z=z",
        "zh=ʒ",
    ]
)
SHARES = {"english": 0.3, "languages": 0.18, "flite": 0.27, "real": 0.25, "unlabelled": 0.0}


@dataclass(frozen=True, eq=False)
class Batch:
    """Waveforms (batch, samples), before (`clean`) and after the channel, and targets (batch, frames).

    `boundary` and `speech` are 0 to 1, or -1 where unknown; `phone` is a class, 0 for silence, or -1;
    `syllable` numbers the syllables of a crop from 0, -1 outside.
    """

    clean: Wave
    wave: Wave
    boundary: Wave
    speech: Wave
    phone: NDArray[np.int64]
    syllable: NDArray[np.int64]


def simple(label: str) -> str:
    """Return the IPA class of a phone: ARPABET translated, length and secondary marks dropped."""
    return ARPABET_TO_IPA.get(label, label).replace("ː", "").replace("ʲ", "").replace("\u0303", "")


def phone_classes(corpus: Corpus, at_least: int = 150) -> dict[str, int]:
    """Return numbers for the phones that occur often enough, from 1; 0 is silence, the last is any other."""
    labels, counts = np.unique(
        [simple(p.label) for us in corpus.values() for u in us for p in u.phones if p.label],
        return_counts=True,
    )
    kept = [str(label) for label, n in zip(labels, counts, strict=True) if n >= at_least and label]
    return {label: i + 1 for i, label in enumerate(kept)} | {"": 0, "*": len(kept) + 1}


def coloured_noises(
    rng: np.random.Generator, corpus: Corpus, count: int = 48, seconds: float = 6.0
) -> list[Wave]:
    """Make noises of deviation one: white to brown, hum, tones, and babble of several voices."""
    size = int(seconds * RATE)
    hertz = np.maximum(fft.rfftfreq(size, 1 / RATE), 40.0)
    voices = [u for us in corpus.values() for u in us]
    noises: list[Wave] = []
    for index in range(count):
        if index % 4 == 3 and voices:
            mix = np.zeros(size, np.float32)
            for pick in rng.integers(0, len(voices), 6):
                mix += np.resize(voices[pick].samples.astype(np.float32), size)
        else:
            spectrum = fft.rfft(rng.standard_normal(size, np.float32)) * (hertz / 1000) ** -rng.uniform(
                0, 1.2
            )
            mix = fft.irfft(spectrum, size).astype(np.float32)
            if index % 4 == 2:
                tone = rng.uniform(50, 2000)
                mix = mix / mix.std() + 2 * np.sin(
                    2 * np.pi * tone * np.arange(size, dtype=np.float32) / RATE
                )
        noises.append((mix / (mix.std() + 1e-9)).astype(np.float32))
    return noises


def level(wave: Wave) -> float:
    """Return the loud level of a wave: the 95th percentile of its frames' RMS."""
    frames = wave[: len(wave) // HOP * HOP].reshape(-1, HOP)
    return float(np.percentile(np.sqrt((frames**2).mean(1) + 1e-12), 95)) if len(frames) else 0.0


def scaled(wave: NDArray[np.floating], gain: float) -> Wave:
    """Return a wave times a gain."""
    out: Wave = np.asarray(wave * gain, np.float32)
    return out


class Mixer:
    """Draws crops of `seconds` from a corpus; `real_shift` is added to the aligner's times of prompts."""

    def __init__(self, corpus: Corpus, seed: int, seconds: float = 4.0, augment: bool = True) -> None:
        self.rng = np.random.default_rng(seed)
        self.corpus = {group: us for group, us in corpus.items() if us}
        self.classes = phone_classes(corpus)
        self.noises = coloured_noises(self.rng, corpus)
        self.size = int(seconds * RATE) // HOP * HOP
        self.shares = dict(SHARES)
        self.real_shift = 0.0
        self.real_boundaries = True
        self.augment = augment

    def batch(self, count: int) -> Batch:
        """Draw `count` crops."""
        crops = [self.crop() for _ in range(count)]
        return Batch(*(np.stack(parts) for parts in zip(*crops, strict=True)))

    def crop(self) -> tuple[Wave, Wave, Wave, Wave, NDArray[np.int64], NDArray[np.int64]]:
        """Compose one crop of one group and its targets."""
        groups = [g for g in self.corpus if self.shares.get(g, 0) > 0]
        weights = np.array([self.shares[g] for g in groups])
        group = groups[self.rng.choice(len(groups), p=weights / weights.sum())]
        wave = np.zeros(self.size, np.float32)
        marks: list[NDArray[np.float64]] = []
        phones: list[tuple[float, float, int]] = []
        at = int(self.rng.uniform(0, 0.8) * RATE) if self.rng.random() < 0.7 else 0
        at = self.size if self.rng.random() < 0.04 else at  # some crops hold no speech at all
        while at < self.size - RATE // 5:
            utterance = self.corpus[group][self.rng.integers(len(self.corpus[group]))]
            at = self._place(wave, at, utterance, marks, phones, first=not marks)
            at += int(self.rng.choice([0.05, 0.3, 1.0]) * self.rng.uniform(0.5, 1.6) * RATE)
        return (wave, self._channel(wave) if self.augment else wave, *self._targets(group, marks, phones))

    def _place(
        self,
        wave: Wave,
        at: int,
        utterance: Utterance,
        marks: list[NDArray[np.float64]],
        phones: list[tuple[float, float, int]],
        first: bool,
    ) -> int:
        samples = utterance.samples
        skip = 0
        if first and len(samples) > 2 * RATE and self.rng.random() < 0.7:
            skip = int(self.rng.integers(0, len(samples) - RATE))
        speed = float(self.rng.uniform(0.84, 1.2)) if self.augment else 1.0
        length = min(int((len(samples) - skip) / speed), self.size - at)
        place = skip + np.arange(length) * speed
        piece = np.interp(place, np.arange(len(samples)), samples.astype(np.float32)).astype(np.float32)
        gain = 0.1 / (level(piece) + 1e-3 * 32768) * 10 ** (self.rng.uniform(-5, 5) / 20)
        fade = min(80, length)
        piece[:fade] *= np.linspace(0, 1, fade, dtype=np.float32)
        wave[at : at + length] += piece * gain
        shift = self.real_shift if not utterance.phones else 0.0

        def time(t: NDArray[np.floating] | float) -> NDArray[np.float64]:
            return np.asarray((np.asarray(t, float) + shift - skip / RATE) / speed + at / RATE)

        bounds = time(utterance.syllables)
        inside = (bounds[:, 1] > at / RATE) & (bounds[:, 0] < (at + length) / RATE)
        marks.append(np.clip(bounds[inside], at / RATE - 1e-3, (at + length) / RATE))
        for p in utterance.phones:
            number = self.classes.get(simple(p.label), self.classes["*"])
            start, end = float(time(p.start)), float(time(p.end))
            if end > at / RATE and start < (at + length) / RATE:
                phones.append((max(start, at / RATE), min(end, (at + length) / RATE), number))
        return at + length

    def _targets(
        self, group: str, marks: list[NDArray[np.float64]], phones: list[tuple[float, float, int]]
    ) -> tuple[Wave, Wave, NDArray[np.int64], NDArray[np.int64]]:
        centres = (np.arange(self.size // HOP) + 0.5) * HOP / RATE
        bounds = np.concatenate(marks) if marks else np.zeros((0, 2))
        syllable = _inside(centres, bounds)
        edges = np.unique(bounds.round(3))
        near = np.abs(centres[:, None] - edges).min(1) if len(edges) else np.full(len(centres), 9.0)
        boundary = np.exp(-0.5 * (near / 0.018) ** 2).astype(np.float32)
        speech = (syllable >= 0).astype(np.float32)
        phone = np.zeros(len(centres), np.int64)
        if phones:
            table = np.array(phones)
            index = _inside(centres, table[:, :2])
            phone = np.where(index >= 0, table[index, 2], 0).astype(np.int64)
            speech = np.maximum(speech, phone > 0).astype(np.float32)
        if group in ("real", "unlabelled") and marks:
            phone[:] = -1
        if group == "unlabelled" and marks:
            boundary[:] = speech[:] = -1
        if group == "real" and marks and not self.real_boundaries:
            boundary[:] = -1
        return boundary, speech, phone, syllable

    def _channel(self, wave: Wave) -> Wave:
        """Filter (equaliser, room, telephone), add noise, and set the level."""
        rng, size = self.rng, len(wave)
        length = int(fft.next_fast_len(size + RATE // 2, real=True))
        hertz = fft.rfftfreq(length, 1 / RATE)
        knots = np.array([0, 200, 500, 1200, 3000, 8000.0])
        response = 10 ** (np.interp(hertz, knots, rng.normal(0, 4, 6)) / 20)
        if rng.random() < 0.2:
            response *= 1 / (1 + (hertz / rng.uniform(2800, 6000)) ** 12)
            response *= 1 / (1 + (rng.uniform(50, 350) / np.maximum(hertz, 1)) ** 8)
        if rng.random() < 0.35:
            response = response * fft.rfft(self._room(), length)
        out = fft.irfft(fft.rfft(wave, length) * response, length)[:size].astype(np.float32)
        loud = level(wave)
        noise = self.noises[rng.integers(len(self.noises))]
        start = rng.integers(0, len(noise) - size)
        floor = 10 ** (-rng.uniform(3, 35) / 20) if rng.random() < 0.6 else 10 ** (-rng.uniform(35, 70) / 20)
        if loud < 1e-3:  # no speech: the noise alone, at any level
            return scaled(noise[start : start + size], 10 ** (-rng.uniform(16, 90) / 20))
        out += noise[start : start + size] * (level(out) * floor)
        if rng.random() < 0.1:  # eight-bit companding
            peak = np.abs(out).max() + 1e-9
            coded = np.round(np.sign(out) * np.log1p(255 * np.abs(out) / peak) / np.log(256) * 127) / 127
            out = (np.sign(coded) * (256 ** np.abs(coded) - 1) / 255 * peak).astype(np.float32)
        return scaled(out, 0.1 / max(level(out), 1e-3) * 10 ** (rng.uniform(-14, 6) / 20))

    def _room(self) -> Wave:
        """Return an impulse response: the direct sound, then decaying noise."""
        decay = self.rng.uniform(0.08, 0.5)
        time = np.arange(int(min(decay, 0.45) * RATE)) / RATE
        tail = (
            self.rng.standard_normal(len(time)) * np.exp(-6.9 * time / decay) * self.rng.uniform(0.01, 0.08)
        )
        tail[: int(0.002 * RATE)] = 0
        tail[0] = 1.0
        return scaled(tail, 1.0)


def _inside(centres: NDArray[np.float64], bounds: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return for each time the number of the interval around it, -1 for none; intervals are in order."""
    if not len(bounds):
        return np.full(len(centres), -1, np.int64)
    index = np.searchsorted(bounds[:, 0], centres, "right") - 1
    return np.where((index >= 0) & (centres < bounds[index, 1]), index, -1).astype(np.int64)
