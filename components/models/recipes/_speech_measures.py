"""The numbers on the speech model's card: decoding thresholds chosen on dev, scores of every set, limits."""

from typing import Any

import numpy as np
import torch

from components.models.nets.syllable_encoder import SyllableEncoder
from components.models.recipes._speech_corpus import UNSEEN_LANGUAGES, Corpus
from components.models.recipes._speech_scores import (
    Bounds, Curves, at_level, baselines, best_shift, curves, greedy_segments, head_segments, pooled,
)  # fmt: skip
from components.models.recipes._syllables import Utterance
from components.numerics.boundary_scores import BoundaryScores

DEV = ("dev_espeak", "dev_flite", "dev_asterisk")
SETS = {
    "espeak_unseen": "unseen espeak-ng voices and texts, English",
    **{code: f"unseen language {code}, unseen espeak-ng voices" for code in UNSEEN_LANGUAGES},
    "flite_awb": "unseen speaker flite awb",
    "asterisk": "held-out Asterisk prompts, a speaker seen in training",
    "lj": "LJ clips, a real unseen speaker",
}
REAL = ("asterisk", "lj")  # their reference is a forced aligner's: the dev shift applies
Metric = dict[str, Any]
Decode = dict[str, float]


def choose(net: SyllableEncoder, corpus: Corpus) -> Decode:
    """Choose the decoding thresholds on the dev sets: the highest F1, averaged over the sets."""
    dev = {name: corpus[name] for name in DEV if corpus.get(name)}
    out = {name: curves(net, us) for name, us in dev.items()}

    def mean_f1(decode: Any) -> float:
        return float(np.mean([pooled(dev[n], decode(out[n])).f1 for n in dev]))

    heads = {
        (t, d, s): mean_f1(lambda c, t=t, d=d, s=s: head_segments(c, t, d, s))
        for t in (0.3, 0.35, 0.4, 0.45, 0.5) for d in (0.06, 0.08, 0.1) for s in (0.4, 0.5, 0.6)
    }  # fmt: skip
    peak, distance, speech = max(heads, key=lambda k: heads[k])
    greedy = {
        (n, m): mean_f1(lambda c, n=n, m=m: [greedy_segments(x.features, n, m) for x in c])
        for n in (0.3, 0.4, 0.5, 0.6) for m in (0.6, 0.65, 0.7, 0.75, 0.8, 0.85)
    }  # fmt: skip
    norm, merge = max(greedy, key=lambda k: greedy[k])
    real = next((n for n in ("dev_asterisk",) if n in dev), None)
    shift = best_shift(dev[real], head_segments(out[real], peak, distance, speech)) if real else 0.0
    greedy_out = [greedy_segments(c.features, norm, merge) for c in out[real]] if real else []
    lag = best_shift(dev[real], greedy_out) if real else 0.0
    return {
        "peak_threshold": peak, "min_distance_s": distance, "speech_threshold": speech, "norm_threshold": norm,
        "merge_threshold": merge, "real_shift_s": round(shift, 3), "greedy_real_shift_s": round(lag, 3),
    }  # fmt: skip


def row(name: str, value: float, unit: str, n: int, on: str) -> Metric:
    """Return one metric of the card."""
    return {"name": name, "value": round(float(value), 4), "unit": unit, "n": n, "on": on}


def boundary_rows(label: str, scores: BoundaryScores, on: str, *, short: bool = False) -> list[Metric]:
    """Return F1, and unless `short` also precision, recall and R-value, in percent."""
    values = {"F1": scores.f1, "precision": scores.precision, "recall": scores.recall, "R-value": scores.r_value}
    kept = ("F1", "R-value") if short else values
    return [row(f"{label} boundary {k} @50 ms", round(100 * values[k], 2), "%", scores.reference, on) for k in kept]


def decode_all(out: list[Curves], decode: Decode) -> tuple[list[Bounds], list[Bounds]]:
    """Return the segments of the boundary head and of the greedy decoder."""
    heads = head_segments(out, decode["peak_threshold"], decode["min_distance_s"], decode["speech_threshold"])
    return heads, [greedy_segments(c.features, decode["norm_threshold"], decode["merge_threshold"]) for c in out]


def set_rows(net: SyllableEncoder, name: str, utterances: list[Utterance], decode: Decode) -> list[Metric]:
    """Measure one set: head, greedy decoder and both baselines."""
    on = SETS[name]
    out = curves(net, utterances)
    heads, greedy = decode_all(out, decode)
    real = name in REAL
    shift = decode["real_shift_s"] if real else 0.0
    rows = boundary_rows("head:", pooled(utterances, heads, shift), on)
    rows += boundary_rows("head, 20 ms:", pooled(utterances, heads, shift, tolerance=0.02), on)[:1]
    lag = decode["greedy_real_shift_s"] if real else 0.0
    rows += boundary_rows("greedy:", pooled(utterances, greedy, lag), on, short=True)
    if real:
        rows += boundary_rows("head, no shift:", pooled(utterances, heads), on, short=True)
        starts = pooled(utterances, heads, shift, starts_only=True)
        rows += boundary_rows("head, predicted starts only:", starts, on, short=True)
    for label, method in baselines().items():
        rows += boundary_rows(f"{label}:", pooled(utterances, [method(u) for u in utterances]), on, short=True)
    seconds = sum(len(u.samples) for u in utterances) / 16_000
    marks = sum(len(u.syllables) for u in utterances)
    rows.append(row("tokens per second", sum(map(len, heads)) / seconds, "1/s", len(utterances), on))
    rows.append(row("reference syllables per second", marks / seconds, "1/s", len(utterances), on))
    return rows


@torch.no_grad()
def silence_rows(net: SyllableEncoder, decode: Decode) -> list[Metric]:
    """Measure what the net makes of clips without speech: digital silence and noise at three levels."""
    rng = np.random.default_rng(5)
    kinds = {"digital silence": 0.0, "white noise at -60 dB": 1e-3, "white noise at -30 dB": 0.03}
    rows = []
    for kind, loud in kinds.items():
        wave = at_level((rng.standard_normal(160_000) * loud * 32768).clip(-32767, 32767).astype(np.int16))
        out = net(torch.from_numpy(wave)[None])
        share = (torch.sigmoid(out["speech"]) >= decode["speech_threshold"]).float().mean()
        rows.append(row("share of frames called speech", float(share), "1", 500, kind))
        rows.append(row("mean feature norm", float(out["features"].norm(dim=-1).mean()), "1", 500, kind))
    return rows


def flatness_rows(net: SyllableEncoder, corpus: Corpus) -> list[Metric]:
    """Measure how flat segments are: the cosine of neighbouring frames inside a syllable and across its border."""
    inside, across, norms = [], [], []
    for utterance, c in zip(corpus["espeak_unseen"], curves(net, corpus["espeak_unseen"]), strict=True):
        length = np.linalg.norm(c.features, axis=1)
        unit = c.features / np.maximum(length, 1e-9)[:, None]
        centres = (np.arange(len(unit)) + 0.5) * 0.02
        index = np.searchsorted(utterance.syllables[:, 0], centres, "right") - 1
        spoken = (index >= 0) & (centres < utterance.syllables[np.maximum(index, 0), 1])
        gap = 4  # frames: 80 ms apart
        cosine = (unit[gap:] * unit[:-gap]).sum(1)
        both = spoken[gap:] & spoken[:-gap]
        same = index[gap:] == index[:-gap]
        inside.append(cosine[both & same])
        across.append(cosine[both & ~same])
        norms.append(np.stack([length, spoken], axis=1))
    within, between = np.concatenate(inside), np.concatenate(across)
    table = np.concatenate(norms)
    on = SETS["espeak_unseen"]
    return [
        row("cosine of frames 80 ms apart in one syllable", within.mean(), "1", len(within), on),
        row("cosine of frames 80 ms apart in two syllables", between.mean(), "1", len(between), on),
        row("mean feature norm in speech", table[table[:, 1] == 1, 0].mean(), "1", int(table[:, 1].sum()), on),
        row("mean feature norm in pauses", table[table[:, 1] == 0, 0].mean(), "1", int((1 - table[:, 1]).sum()), on),
    ]


def noisy(utterances: list[Utterance], decibel: float, seed: int = 3) -> list[Utterance]:
    """Add white noise at a signal-to-noise ratio (dB)."""
    rng = np.random.default_rng(seed)
    out = []
    for u in utterances:
        wave = u.samples.astype(np.float64)
        noise = rng.standard_normal(len(wave)) * np.sqrt((wave**2).mean() * 10 ** (-decibel / 10))
        out.append(Utterance((wave + noise).clip(-32767, 32767).astype(np.int16), u.phones, u.syllables, u.source))
    return out


def measure(net: SyllableEncoder, corpus: Corpus, decode: Decode) -> list[Metric]:
    """Return every metric of the card."""
    rows: list[Metric] = []
    for name in SETS:
        if corpus.get(name):
            rows += set_rows(net, name, corpus[name], decode)
    if corpus.get("espeak_unseen"):
        spoiled = noisy(corpus["espeak_unseen"], 10)
        heads, _ = decode_all(curves(net, spoiled), decode)
        rows += boundary_rows("head, white noise at 10 dB:", pooled(spoiled, heads), SETS["espeak_unseen"])[:1]
        rows += flatness_rows(net, corpus)
    return rows + silence_rows(net, decode)
