"""What the speech model learns from and is measured on: synthetic speech with exact marks, and real prompts.

Never trained on: `HELD_OUT_VARIANTS` of espeak-ng, `UNSEEN_LANGUAGES`, flite's `awb`, the LJ speaker, the two
held-out books, and the prompts that `prompt_split` puts aside.
"""

import hashlib
import json
import pickle
import random
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from components.models.recipes._speech_synthesis import Espeak, Flite
from components.models.recipes._syllables import Phone, Utterance, legal_onsets, syllabify

VARIANTS = [
    "f1",
    "f2",
    "f4",
    "f5",
    "m1",
    "m2",
    "m3",
    "m5",
    "m6",
    "m7",
    "Alicia",
    "Andy",
    "Annie",
    "Denis",
    "Diogo",
    "Gene",
    "Henrique",
    "Hugo",
    "Jacky",
    "Lee",
    "Marco",
    "Mario",
    "Mike",
    "anika",
    "antonio",
    "aunty",
    "belinda",
    "benjamin",
    "caleb",
    "david",
    "ed",
    "gustave",
    "iven",
    "iven3",
    "john",
    "kaukovalta",
    "klatt",
    "klatt2",
    "klatt4",
    "klatt6",
    "marcelo",
    "max",
    "michel",
    "miguel",
    "norbert",
    "pablo",
    "paul",
    "quincy",
    "rob",
    "robert",
    "sandro",
    "shelby",
    "steph",
    "travis",
    "victor",
    "whisper",
    "zac",
    "grandma",
]
HELD_OUT_VARIANTS = [
    "f3",
    "m4",
    "m8",
    "Andrea",
    "Michael",
    "adam",
    "edward",
    "klatt3",
    "linda",
    "steph2",
    "grandpa",
    "pedro",
]
ENGLISH = [
    "en-us",
    "en-us",
    "en",
    "en-gb-x-rp",
    "en-gb-scotland",
    "en-029",
    "en-us-nyc",
    "en-gb-x-gbcwmd",
    "en-gb-x-gbclan",
]
LANGUAGES = {  # espeak-ng's voice → the text's code in FLORES-200
    "es": "spa_Latn",
    "es-419": "spa_Latn",
    "de": "deu_Latn",
    "it": "ita_Latn",
    "ru": "rus_Cyrl",
    "tr": "tur_Latn",
    "hi": "hin_Deva",
    "pt": "por_Latn",
    "pt-br": "por_Latn",
    "sv": "swe_Latn",
    "nl": "nld_Latn",
    "el": "ell_Grek",
    "cs": "ces_Latn",
    "hu": "hun_Latn",
    "ro": "ron_Latn",
    "da": "dan_Latn",
    "ca": "cat_Latn",
    "et": "est_Latn",
    "hr": "hrv_Latn",
    "af": "afr_Latn",
    "ta": "tam_Taml",
    "is": "isl_Latn",
}
UNSEEN_LANGUAGES = {"fr": "fra_Latn", "pl": "pol_Latn", "fi": "fin_Latn", "sw": "swh_Latn", "id": "ind_Latn"}
HELD_OUT_BOOKS = ("heldout_Burnett_Garden_1911.txt", "heldout_Stevenson_Treasure_1883.txt")
Corpus = dict[str, list[Utterance]]


def english_sentences(path: Path, count: int, seed: int) -> list[str]:
    """Return sentences of 20 to 110 characters out of a book, in a shuffled order."""
    with path.open(encoding="utf-8") as file:
        text = re.sub(r"\s+", " ", file.read(12_000_000))
    found = [s.strip() for s in re.split(r"(?<=[.!?;])\s", text) if 20 <= len(s) <= 110 and s.isascii()]
    random.Random(seed).shuffle(found)
    return found[:count]


def prompt_split(name: str) -> str:
    """Put a real prompt into train (8 of 10), dev or test, by a hash of its name."""
    return (
        ("dev", "test")[bucket] if (bucket := hashlib.sha256(name.encode()).digest()[0] % 10) < 2 else "train"
    )


def decode(path: Path) -> NDArray[np.int16]:
    """Decode a sound file to mono int16 at 16 kHz."""
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-f", "s16le", "-ac", "1", "-ar", "16000", "-"]
    return np.frombuffer(subprocess.run(command, check=True, capture_output=True).stdout, np.int16)


def with_syllables(
    utterances: list[Utterance], onsets: set[tuple[str, ...]] | None = None
) -> list[Utterance]:
    """Add syllables by maximal onset; the onsets are those that the utterances' own words begin with."""
    legal = onsets or legal_onsets(utterances)
    marked = [Utterance(u.samples, u.phones, syllabify(u.phones, legal), u.source) for u in utterances]
    return [u for u in marked if len(u.syllables)]


def espeak_set(
    espeak: Espeak, lines: list[str], voices: list[str], variants: list[str], seed: int
) -> list[Utterance]:
    """Speak every line once with a random voice, variant, speed and pitch, and mark its syllables."""
    rng = random.Random(seed)
    spoken: dict[str, list[Utterance]] = {}
    for line in lines:
        voice = rng.choice(voices)
        name = f"{voice}+{rng.choice(variants)}"
        utterance = espeak.say(line, name, rng.randint(135, 215), rng.randint(25, 75), rng.randint(30, 80))
        if utterance and len(utterance.samples) < 16_000 * 25:
            spoken.setdefault(voice.split("-")[0], []).append(utterance)
    return [u for group in spoken.values() for u in with_syllables(group)]


def flite_set(flite: Flite, lines: list[str], voices: list[str]) -> list[Utterance]:
    """Speak the lines with flite, the voices in turn, and mark the syllables."""
    spoken = [flite.say(line, voices[i % len(voices)]) for i, line in enumerate(lines)]
    return with_syllables([u for u in spoken if u])


def real_prompts(data: Path) -> Iterator[tuple[str, Utterance]]:
    """Yield (split, utterance) of the transcribed prompts; their syllables come from a forced aligner."""
    for entry in json.loads((data / "syllable_alignments.json").read_text())["asterisk_en_real"]:
        stem = Path(entry["file"]).stem
        path = data / "asterisk_en" / f"{stem}.g722"
        if path.exists() and entry["syllables"]:
            yield prompt_split(stem), aligned(decode(path), entry, "asterisk " + stem)


def aligned(
    samples: NDArray[np.int16], entry: dict[str, list[tuple[float, float, str]]], source: str
) -> Utterance:
    """Wrap a recording and its aligned syllables; it has no phones."""
    bounds = np.asarray([s[:2] for s in entry["syllables"]], np.float32)
    return Utterance(samples, (), tightened(samples, bounds), source)


def tightened(
    samples: NDArray[np.int16], bounds: NDArray[np.float32], floor: float = -40.0
) -> NDArray[np.float32]:
    """Move the first start and the last end past frames under `floor` dB from the loudest.

    The aligner gives a clip's leading silence to its first phone, so that most clips "begin" at exactly zero.
    """
    count = len(samples) // 160
    power = np.square(samples[: count * 160].astype(np.float64).reshape(count, 160)).mean(axis=1)
    loud = np.flatnonzero(power > power.max() * 10 ** (floor / 10))
    out = bounds.copy()
    out[0, 0] = min(max(out[0, 0], loud[0] / 100), out[0, 1] - 0.03)
    out[-1, 1] = max(min(out[-1, 1], (loud[-1] + 1) / 100), out[-1, 0] + 0.03)
    return out


def lj_clips(data: Path) -> list[Utterance]:
    """Return the LJ clips with aligned syllables: only ever measured on."""
    entries = json.loads((data / "syllable_alignments.json").read_text())["lj_real"]
    return [aligned(decode(data / "ljspeech" / e["file"]), e, "lj " + e["file"]) for e in entries]


def unlabelled(data: Path) -> list[Utterance]:
    """Return real prompts and digits without marks, of languages that are not kept unseen."""
    paths = [p for lang in ("es", "it", "ru") for p in sorted((data / f"asterisk_{lang}").glob("*.g722"))]
    paths += sorted((data / "fsdd_subset").glob("*.wav"))
    return [Utterance(decode(p), (), source="unlabelled " + p.stem) for p in paths]


def make_training(data: Path, seed: int, scale: float = 1.0) -> Corpus:
    """Make what is trained on: groups `english`, `languages`, `flite`, `real`, `unlabelled`."""
    texts, speech = data / "text", data / "speech"
    flores = json.loads((texts / "flores200_dev60.json").read_text(encoding="utf-8"))
    lines = english_sentences(texts / "novels_train.txt", int(4000 * scale), seed)
    espeak, rng = Espeak(), random.Random(seed)
    corpus: Corpus = {
        "english": espeak_set(espeak, lines[: int(2800 * scale)], ENGLISH, VARIANTS, seed),
        "languages": [],
    }
    for voice, code in LANGUAGES.items():
        said = clauses(flores[code])
        rng.shuffle(said)
        corpus["languages"] += espeak_set(espeak, said[: int(110 * scale)], [voice], VARIANTS, seed)
    corpus["flite"] = flite_set(Flite(), lines[int(2800 * scale) :], ["slt", "rms"])
    corpus["real"] = [u for split, u in real_prompts(speech) if split == "train"]
    corpus["unlabelled"] = unlabelled(speech)
    return corpus


def clauses(sentences: list[str]) -> list[str]:
    """Cut long sentences at commas, so that utterances stay short."""
    return [c.strip() for s in sentences for c in re.split(r"(?<=[,;:.।])\s", s) if len(c.strip()) >= 15]


def make_measuring(data: Path, seed: int = 7) -> Corpus:
    """Make what is measured on: the dev sets (training voices, held-out text) and every unseen set."""
    texts, speech = data / "text", data / "speech"
    flores = json.loads((texts / "flores200_dev60.json").read_text(encoding="utf-8"))
    first, second = (english_sentences(texts / book, 160, seed) for book in HELD_OUT_BOOKS)
    espeak, flite = Espeak(), Flite()
    corpus: Corpus = {
        "dev_espeak": espeak_set(espeak, first[:60], ["en-us", "en"], VARIANTS, seed),
        "dev_flite": flite_set(flite, first[60:100], ["slt", "rms"]),
        "espeak_unseen": espeak_set(espeak, second[:120], ["en-us", "en"], HELD_OUT_VARIANTS, seed),
        "flite_awb": flite_set(flite, second[120:], ["awb"]),
        "lj": lj_clips(speech),
    }
    for voice, code in UNSEEN_LANGUAGES.items():
        corpus[voice] = espeak_set(espeak, clauses(flores[code])[:60], [voice], HELD_OUT_VARIANTS, seed)
    prompts = list(real_prompts(speech))
    corpus["dev_asterisk"] = [u for split, u in prompts if split == "dev"]
    corpus["asterisk"] = [u for split, u in prompts if split == "test"]
    return corpus


def cached(path: Path, corpus: Corpus | None = None) -> Corpus | None:
    """Read a corpus that this recipe made, or write one; the file is ours alone, in the work folder."""
    if corpus is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        plain = {
            group: [
                (u.samples, [(p.label, p.start, p.end, p.word) for p in u.phones], u.syllables, u.source)
                for u in us
            ]
            for group, us in corpus.items()
        }
        path.write_bytes(pickle.dumps(plain))
        return corpus
    if not path.exists():
        return None
    return {
        group: [
            Utterance(w, tuple(Phone(*p) for p in phones), bounds, source) for w, phones, bounds, source in us
        ]
        for group, us in pickle.loads(path.read_bytes()).items()
    }
