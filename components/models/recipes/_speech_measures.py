"""The numbers on the speech model's card: decoding thresholds chosen on dev, scores of every set, limits."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from components.models.encode import unit
from components.models.nets.syllable_encoder import build
from components.models.recipes._speech_batches import simple
from components.models.recipes._speech_corpus import UNSEEN_LANGUAGES, Corpus
from components.models.recipes._speech_scores import (
    RATE,
    Bounds,
    Curves,
    at_level,
    baselines,
    best_shift,
    curves,
    fixed_rate,
    greedy_segments,
    head_segments,
    nuclei_in,
    pooled,
)
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
HEAD_F1 = "head: boundary F1 @50 ms"
REAL = ("asterisk", "lj")  # their reference is a forced aligner's: the dev shift applies
Metric = dict[str, Any]
Decode = dict[str, float]


def choose(net: nn.Module, corpus: Corpus) -> Decode:
    """Choose the decoding thresholds on the dev sets: the highest R-value, averaged over the sets."""
    dev = {name: corpus[name] for name in DEV if corpus.get(name)}
    out = {name: curves(net, us) for name, us in dev.items()}

    def mean_r_value(decode: Any) -> float:
        return float(np.mean([pooled(dev[n], decode(out[n])).r_value for n in dev]))

    heads = {
        (t, d, s): mean_r_value(lambda c, t=t, d=d, s=s: head_segments(c, t, d, s))
        for t in (0.3, 0.35, 0.4, 0.45, 0.5)
        for d in (0.06, 0.08, 0.1)
        for s in (0.4, 0.5, 0.6)
    }
    peak, distance, speech = max(heads, key=lambda k: heads[k])
    greedy = {
        (n, m): mean_r_value(lambda c, n=n, m=m: [greedy_segments(x.features, n, m) for x in c])
        for n in (0.3, 0.4, 0.5, 0.6)
        for m in (0.6, 0.65, 0.7, 0.75, 0.8, 0.85)
    }
    norm, merge = max(greedy, key=lambda k: greedy[k])
    real = next((n for n in ("dev_asterisk",) if n in dev), None)
    shift = best_shift(dev[real], head_segments(out[real], peak, distance, speech)) if real else 0.0
    greedy_out = [greedy_segments(c.features, norm, merge) for c in out[real]] if real else []
    lag = best_shift(dev[real], greedy_out) if real else 0.0
    return {
        "peak_threshold": peak,
        "min_distance_s": distance,
        "speech_threshold": speech,
        "norm_threshold": norm,
        "merge_threshold": merge,
        "real_shift_s": round(shift, 3),
        "greedy_real_shift_s": round(lag, 3),
    }


def row(name: str, value: float, unit: str, n: int, on: str) -> Metric:
    """Return one metric of the card."""
    return {"name": name, "value": round(float(value), 4), "unit": unit, "n": n, "on": on}


def boundary_rows(label: str, scores: BoundaryScores, on: str, *, short: bool = False) -> list[Metric]:
    """Return F1, and unless `short` also precision, recall and R-value, in percent."""
    values = {
        "F1": scores.f1,
        "precision": scores.precision,
        "recall": scores.recall,
        "R-value": scores.r_value,
    }
    kept = ("F1", "R-value") if short else values
    return [
        row(f"{label} boundary {k} @50 ms", round(100 * values[k], 2), "%", scores.reference, on)
        for k in kept
    ]


def decode_all(out: list[Curves], decode: Decode) -> tuple[list[Bounds], list[Bounds]]:
    """Return the segments of the boundary head and of the greedy decoder."""
    heads = head_segments(out, decode["peak_threshold"], decode["min_distance_s"], decode["speech_threshold"])
    return heads, [
        greedy_segments(c.features, decode["norm_threshold"], decode["merge_threshold"]) for c in out
    ]


def set_rows(net: nn.Module, name: str, utterances: list[Utterance], decode: Decode) -> list[Metric]:
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
        rows += boundary_rows(
            f"{label}:", pooled(utterances, [method(u) for u in utterances]), on, short=True
        )
    seconds = sum(len(u.samples) for u in utterances) / 16_000
    marks = sum(len(u.syllables) for u in utterances)
    covered, single, nuclei = nuclei_in(utterances, heads)
    if nuclei:
        rows.append(row("vowels inside one segment, two at most", covered, "1", nuclei, on))
        rows.append(row("segments with one vowel's middle", single, "1", sum(map(len, heads)), on))
        even = [fixed_rate(u) for u in utterances]
        single = nuclei_in(utterances, even)[1]
        rows.append(row("fixed rate 4.3 Hz: segments with one vowel's middle", single, "1",
                        sum(map(len, even)), on))  # fmt: skip
    rows.append(row("tokens per second", sum(map(len, heads)) / seconds, "1/s", len(utterances), on))
    rows.append(row("reference syllables per second", marks / seconds, "1/s", len(utterances), on))
    return rows


@torch.no_grad()
def silence_rows(net: nn.Module, decode: Decode) -> list[Metric]:
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


def flatness_rows(net: nn.Module, corpus: Corpus) -> list[Metric]:
    """Measure how flat segments are: the cosine of near frames inside a syllable and across its border."""
    inside, across, norms = [], [], []
    for utterance, c in zip(corpus["espeak_unseen"], curves(net, corpus["espeak_unseen"]), strict=True):
        length = np.linalg.norm(c.features, axis=1)
        normed = c.features / np.maximum(length, 1e-9)[:, None]
        centres = (np.arange(len(normed)) + 0.5) * 0.02
        index = np.searchsorted(utterance.syllables[:, 0], centres, "right") - 1
        spoken = (index >= 0) & (centres < utterance.syllables[np.maximum(index, 0), 1])
        gap = 4  # frames: 80 ms apart
        cosine = (normed[gap:] * normed[:-gap]).sum(1)
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
        row(
            "mean feature norm in speech", table[table[:, 1] == 1, 0].mean(), "1", int(table[:, 1].sum()), on
        ),
        row(
            "mean feature norm in pauses",
            table[table[:, 1] == 0, 0].mean(),
            "1",
            int((1 - table[:, 1]).sum()),
            on,
        ),
    ]


def margin_rows(net: nn.Module, utterances: list[Utterance]) -> list[Metric]:
    """Measure how much more a frame is like its own syllable's mean than like the next and all others'."""
    own, following, others = [], [], []
    for utterance, c in zip(utterances, curves(net, utterances), strict=True):
        centres = (np.arange(len(c.features)) + 0.5) / RATE
        inside = [(centres >= start) & (centres < end) for start, end in utterance.syllables]
        spoken = [c.features[i] for i in inside if i.any()]
        means = np.stack([unit(frames.mean(0)) for frames in spoken])
        for at, frames in enumerate(spoken):
            cosines = unit(frames) @ means.T
            own.append(cosines[:, at])
            following.append(cosines[:, at + 1 : at + 2].ravel())
            others.append(np.delete(cosines, at, axis=1).ravel())
    return [
        row(f"cosine of a frame to the mean of {what}", np.concatenate(values).mean(), "1",
            sum(map(len, values)), SETS["espeak_unseen"])
        for what, values in (("its syllable", own), ("the next syllable", following),
                             ("another syllable of the utterance", others))
    ]  # fmt: skip


def unit_rows(net: nn.Module, utterances: list[Utterance]) -> list[Metric]:
    """Measure identity across voices: how often the nearest syllable of another voice has the same phones.

    Beside the mean feature of each syllable stands its mean log-mel spectrum; both compare by cosine.
    """
    names: list[str] = []
    voices: list[str] = []
    vectors: dict[str, list[NDArray[np.floating]]] = {"features": [], "log-mel": []}
    for utterance, c in zip(utterances, curves(net, utterances), strict=True):
        mel = net.front(torch.from_numpy(at_level(utterance.samples))[None])[0].numpy()  # type: ignore[operator]
        for start, end in utterance.syllables:
            inside = slice(int(start * RATE), max(int(start * RATE) + 1, round(float(end) * RATE)))
            if len(c.features[inside]):
                phones = [p for p in utterance.phones if p.start > start - 1e-3 and p.end < end + 1e-3]
                names.append(" ".join(simple(p.label) for p in phones))
                voices.append(utterance.source)
                vectors["features"].append(c.features[inside].mean(0))
                vectors["log-mel"].append(mel[inside].mean(0))
    label, voice = np.array(names), np.array(voices)
    other = voice[:, None] != voice
    findable = ((label[:, None] == label) & other).any(1)
    rows = []
    for kind, values in vectors.items():
        table = np.stack(values)
        table = table - table.mean(0)
        table /= np.linalg.norm(table, axis=1, keepdims=True) + 1e-9
        nearest = np.where(other, table @ table.T, -2.0).argmax(1)
        share = float((label[nearest] == label)[findable].mean())
        rows.append(
            row(
                f"same syllable in another voice by {kind}",
                share,
                "1",
                int(findable.sum()),
                SETS["espeak_unseen"],
            )
        )
    return rows


def ablation(arguments: dict[str, int], work: Path, corpus: Corpus, decode: Decode) -> list[Metric]:
    """Score the snapshots that training left after its first two stages."""
    rows: list[Metric] = []
    for stage in (1, 2):
        path = work / f"after_stage_{stage}.pt"
        if not path.exists():
            continue
        net = build(**arguments)
        net.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        for name in ("espeak_unseen", "flite_awb", "lj"):
            if not corpus.get(name):
                continue
            heads, greedy = decode_all(curves(net.eval(), corpus[name]), decode)
            shifts = (decode["real_shift_s"], decode["greedy_real_shift_s"]) if name in REAL else (0.0, 0.0)
            rows += boundary_rows(
                f"after stage {stage}, head:", pooled(corpus[name], heads, shifts[0]), SETS[name]
            )[:1]
            if stage > 1:  # before the distillation the features are untrained
                scores = pooled(corpus[name], greedy, shifts[1])
                rows += boundary_rows(f"after stage {stage}, greedy:", scores, SETS[name])[:1]
    return rows


def measure(net: nn.Module, corpus: Corpus, decode: Decode) -> list[Metric]:
    """Return every metric of the card."""
    rows: list[Metric] = []
    for name in SETS:
        if corpus.get(name):
            rows += set_rows(net, name, corpus[name], decode)
    heard = [m["value"] for m in rows if m["name"] == HEAD_F1 and m["on"].startswith("unseen language")]
    if heard:
        on = f"the {len(heard)} unseen languages"
        rows.append(row(f"mean of head: {HEAD_F1[6:]}", float(np.mean(heard)), "%", len(heard), on))
        rows.append(row(f"worst of head: {HEAD_F1[6:]}", min(heard), "%", len(heard), on))
    if corpus.get("espeak_unseen"):
        rows += flatness_rows(net, corpus) + margin_rows(net, corpus["espeak_unseen"])
        rows += unit_rows(net, corpus["espeak_unseen"])
    return rows + silence_rows(net, decode)
