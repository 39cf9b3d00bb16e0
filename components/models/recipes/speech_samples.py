"""Makes the built-in clips of the speech tab and their syllable marks with espeak-ng and flite.

    python -m components.models.recipes.speech_samples assets/samples/speech

Every clip is a FLAC (mono, 16 kHz, 16 bit) with a JSON of the same name: what is said, by which voice,
and the syllables as [start, end, label] in seconds, taken from the synthesiser's own phone times.
"""

import argparse
import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from components.models.recipes._speech_synthesis import RATE, Espeak, Flite
from components.models.recipes._syllables import Phone, Utterance, legal_onsets, syllabify

# words that begin with the clusters of their language: they teach which onsets are legal
ONSETS = {
    "en": "play pray tray clay cry blue brew dry glue grow fly fry three shrub spin stay sky split "
    "spray string scream square slow small snow swim twin queen cube music few view huge beauty",
    "es": "plato prado tren claro crema blusa brazo drama globo grande flor fruta pie bien tiene nuevo bueno "
    "cuando guante suave",
    "tr": "tren kral plan spor",
    "sw": "mbwa ndege ngoma njia nyama nchi mwana bwana blanketi kwa swali twende",
}
ARPABET = (
    "aa:ɑ ae:æ ah:ʌ ao:ɔ aw:aʊ ax:ə axr:ɚ ay:aɪ ch:tʃ dh:ð eh:ɛ er:ɝ ey:eɪ g:ɡ hh:h ih:ɪ iy:i jh:dʒ ng:ŋ "
    "ow:oʊ oy:ɔɪ r:ɹ sh:ʃ th:θ uh:ʊ uw:u y:j zh:ʒ"
)
IPA = {pair.partition(":")[0]: pair.partition(":")[2] for pair in ARPABET.split(" ")}


@dataclass(frozen=True)
class Script:
    """One clip to make: `parts` are spoken after one another with pauses of `pauses` seconds between them."""

    name: str
    title: str
    language: str
    engine: str
    voice: str
    parts: tuple[str, ...]
    pauses: tuple[float, ...] = ()
    speed: int = 160


SCRIPTS = (
    Script(
        "english", "English, a sentence", "en", "flite", "slt",
        ("A syllable is easy to hear and hard to define, yet every child can clap one.",),
    ),
    Script(
        "english_pauses", "English with pauses", "en", "flite", "rms",
        ("Listen.", "The water is cold,", "the harbour is empty,", "and nobody answers."), (0.7, 0.45, 0.9),
    ),
    Script(
        "english_fast", "English, fast", "en", "espeak", "en",
        ("Seven hungry sailors carried all the copper kettles over to the other window.",), speed=230,
    ),
    Script(
        "turkish", "Turkish", "tr", "espeak", "tr",
        ("Bahçedeki küçük kediler akşam olunca mutfağın kapısında bekliyorlardı.",), speed=150,
    ),
    Script(
        "spanish", "Spanish", "es", "espeak", "es",
        ("Mañana por la mañana caminaremos despacio hasta la playa con los perros.",), speed=155,
    ),
    Script(
        "swahili", "Swahili", "sw", "espeak", "sw+f3",
        ("Watoto wanacheza karibu na mto kabla ya jua kuzama.",), speed=140,
    ),
)


def in_ipa(script: Script, said: Utterance) -> Utterance:
    """Rename the phones of flite, which are ARPABET; espeak-ng's are IPA already."""
    if script.engine != "flite":
        return said
    return replace(said, phones=tuple(replace(p, label=IPA.get(p.label, p.label)) for p in said.phones))


def speak(script: Script, espeak: Espeak, flite: Flite) -> Utterance:
    """Speak a script's parts with pauses of faint room noise between them, so that times run on."""
    noise = np.random.default_rng(7)
    samples = [noise.normal(0, 6, RATE // 5).astype(np.int16)]
    phones: list[Phone] = []
    at = len(samples[0]) / RATE
    for k, text in enumerate(script.parts):
        if script.engine == "flite":
            said = flite.say(text, script.voice)
        else:
            said = espeak.say(text, script.voice, speed=script.speed)
        if said is None:
            raise RuntimeError(f"{script.engine} has no voice {script.voice}.")
        for p in in_ipa(script, said).phones:
            phones.append(replace(p, start=p.start + at, end=p.end + at, word=p.word + 1000 * k))
        pause = (*script.pauses, 0.2)[k]
        hush = noise.normal(0, 6, int(RATE * pause)).astype(np.int16)
        samples += [said.samples, hush]
        at += (len(said.samples) + len(hush)) / RATE
    return Utterance(np.concatenate(samples), tuple(phones), source=f"{script.engine} {script.voice}")


def onsets_of(script: Script, spoken: Utterance, espeak: Espeak, flite: Flite) -> set[tuple[str, ...]]:
    """Return the legal onsets: those of the taught words, and every single consonant but ŋ."""
    taught = ONSETS[script.language].split(" ")
    if script.engine == "flite":
        said = [flite.say(word, script.voice) for word in taught]
    else:
        said = [espeak.say(word, script.voice) for word in taught]
    taught_onsets = legal_onsets([in_ipa(script, u) for u in said if u is not None], at_least=1)
    return taught_onsets | {(p.label,) for p in spoken.phones if p.label != "ŋ"} | {()}


def marks(spoken: Utterance, onsets: set[tuple[str, ...]]) -> list[tuple[float, float, str]]:
    """Return the syllables as (start, end, label in IPA), times in seconds to the millisecond."""
    rows = []
    for start, end in syllabify(spoken.phones, onsets).astype(float):
        inside = [p for p in spoken.phones if p.label and p.start >= start - 1e-4 and p.end <= end + 1e-4]
        rows.append((round(start, 3), round(end, 3), "".join(p.label for p in inside)))
    return rows


def main() -> None:
    """Write all clips and marks into the folder given."""
    import soundfile

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    espeak, flite = Espeak(), Flite()
    for script in SCRIPTS:
        spoken = speak(script, espeak, flite)
        peak = max(int(np.abs(spoken.samples.astype(np.int32)).max()), 1)
        samples = (spoken.samples.astype(np.float32) * (0.7 / peak)).astype(np.float32)
        soundfile.write(folder / f"{script.name}.flac", samples, RATE, subtype="PCM_16")
        facts = {
            "title": script.title,
            "language": script.language,
            "voice": spoken.source,
            "text": " ".join(script.parts),
            "syllables": marks(spoken, onsets_of(script, spoken, espeak, flite)),
        }
        text = json.dumps(facts, ensure_ascii=False)
        (folder / f"{script.name}.json").write_text(text + "\n", encoding="utf-8")
        print(f"{script.name}: {len(samples) / RATE:.1f} s, {len(facts['syllables'])} syllables")


if __name__ == "__main__":
    main()
