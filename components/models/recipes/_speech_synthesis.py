"""Speech with exact marks from two synthesisers of the system: espeak-ng (its phoneme events) and flite.

Both are driven through their shared libraries, so that each phone's time is the synthesiser's own.
"""

import ctypes
import ctypes.util
from dataclasses import replace
from math import gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.models.recipes._syllables import Phone, Utterance

RATE = 16_000
_SYNCHRONOUS, _PHONEMES, _IPA, _UTF8 = 2, 1, 2, 1
_WORD, _END, _PHONEME = 1, 5, 7
_SPEED, _PITCH, _RANGE = 1, 3, 4


def to_rate(samples: NDArray[np.int16], rate: int) -> NDArray[np.int16]:
    """Resample mono int16 samples from `rate` to 16 kHz."""
    from scipy.signal import resample_poly

    if rate == RATE:
        return samples
    common = gcd(rate, RATE)
    out = resample_poly(samples.astype(np.float32), RATE // common, rate // common)
    whole: NDArray[np.int16] = np.clip(out, -32767, 32767).astype(np.int16)
    return whole


def without_short_pauses(phones: list[Phone], shortest: float = 0.06) -> list[Phone]:
    """Give pauses under `shortest` seconds, which are closures, to the phone before them."""
    kept: list[Phone] = []
    for phone in phones:
        if kept and not phone.label and kept[-1].label and phone.end - phone.start < shortest:
            kept[-1] = replace(kept[-1], end=phone.end)
        else:
            kept.append(phone)
    return kept


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("text", ctypes.c_char * 8),
    )


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


class Espeak:
    """espeak-ng with phoneme events; one instance a process, because the library holds one state."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(ctypes.util.find_library("espeak-ng") or "libespeak-ng.so.1")
        self.rate = int(self._library.espeak_Initialize(_SYNCHRONOUS, 0, None, _PHONEMES | _IPA))
        if self.rate <= 0:
            raise RuntimeError("espeak-ng could not be started; install its voices.")
        self._audio: list[NDArray[np.int16]] = []
        self._events: list[tuple[int, int, str]] = []
        self._callback = _Callback(self._receive)  # kept, or it would be collected
        self._library.espeak_SetSynthCallback(self._callback)

    def _receive(self, samples: Any, count: int, events: Any) -> int:
        if samples and count > 0:
            self._audio.append(np.ctypeslib.as_array(samples, (count,)).copy())
        index = 0
        while events[index].type != 0:
            event = events[index]
            raw = event.text if event.type == _PHONEME else b""
            self._events.append((event.type, event.sample, raw.decode("utf-8", "ignore")))
            index += 1
        return 0

    def say(
        self, text: str, voice: str, speed: int = 170, pitch: int = 50, spread: int = 50
    ) -> Utterance | None:
        """Speak `text` with `voice` (such as "en-us+f3"); nothing where the voice is unknown or says nothing.

        `speed` is in words a minute; `pitch` and `spread` (its range) are 0 to 100.
        """
        self._audio, self._events = [], []
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            return None
        for what, value in ((_SPEED, speed), (_PITCH, pitch), (_RANGE, spread)):
            self._library.espeak_SetParameter(what, value, 0)
        data = text.encode() + b"\0"
        self._library.espeak_Synth(data, len(data), 0, 1, 0, _UTF8, None, None)
        if not self._audio:
            return None
        samples = np.concatenate(self._audio)
        phones = self._phones(len(samples))
        return Utterance(to_rate(samples, self.rate), phones, source="espeak " + voice) if phones else None

    def _phones(self, length: int) -> tuple[Phone, ...]:
        phones: list[Phone] = []
        word = 0
        marks = [e for e in self._events if e[0] in (_WORD, _PHONEME, _END)]
        for index, (kind, sample, label) in enumerate(marks):
            if kind == _WORD:
                word += 1
            elif kind == _PHONEME:
                end = next((m[1] for m in marks[index + 1 :] if m[0] != _WORD), length)
                name = label.strip("ˈˌː_ ").replace("ˈ", "").replace("ˌ", "")
                if end > sample:
                    phones.append(Phone(name, sample / self.rate, end / self.rate, word))
        return tuple(without_short_pauses(phones))


class _Wave(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_char_p),
        ("sample_rate", ctypes.c_int),
        ("num_samples", ctypes.c_int),
        ("num_channels", ctypes.c_int),
        ("samples", ctypes.POINTER(ctypes.c_short)),
    )


def _address(library: ctypes.CDLL, name: str, *types: Any, returns: Any = ctypes.c_void_p) -> Any:
    function = getattr(library, name)
    function.argtypes, function.restype = types, returns
    return function


class Flite:
    """flite's three statistical English voices, with the times of its own segments and words."""

    VOICES = ("slt", "rms", "awb")

    def __init__(self) -> None:
        pointer, text = ctypes.c_void_p, ctypes.c_char_p
        library = ctypes.CDLL("libflite.so.1", mode=ctypes.RTLD_GLOBAL)
        for name in ("usenglish", "cmulex"):
            ctypes.CDLL(f"libflite_{name}.so.1", mode=ctypes.RTLD_GLOBAL)
        library.flite_init()
        self._synth = _address(library, "flite_synth_text", text, pointer)
        self._wave = _address(library, "utt_wave", pointer, returns=ctypes.POINTER(_Wave))
        self._delete = _address(library, "delete_utterance", pointer, returns=None)
        self._relation = _address(library, "utt_relation", pointer, text)
        self._head = _address(library, "relation_head", pointer)
        self._next = _address(library, "item_next", pointer)
        self._as = _address(library, "item_as", pointer, text)
        self._parent = _address(library, "item_parent", pointer)
        self._number = _address(library, "item_feat_float", pointer, text, returns=ctypes.c_float)
        self._string = _address(library, "item_feat_string", pointer, text, returns=text)
        self._voices: dict[str, int] = {}

    def _voice(self, name: str) -> int:
        if name not in self._voices:
            library = ctypes.CDLL(f"libflite_cmu_us_{name}.so.1", mode=ctypes.RTLD_GLOBAL)
            self._voices[name] = _address(library, f"register_cmu_us_{name}", ctypes.c_void_p)(None)
        return self._voices[name]

    def say(self, text: str, voice: str) -> Utterance | None:
        """Speak `text` with one of `VOICES`; nothing where it says nothing."""
        spoken = self._synth(text.encode("ascii", "ignore"), self._voice(voice))
        if not spoken:
            return None
        try:
            wave = self._wave(spoken).contents
            samples = np.ctypeslib.as_array(wave.samples, (wave.num_samples,)).copy()
            return Utterance(
                to_rate(samples, wave.sample_rate), self._phones(spoken), source="flite " + voice
            )
        finally:
            self._delete(spoken)

    def _phones(self, spoken: int) -> tuple[Phone, ...]:
        phones: list[Phone] = []
        words: dict[int, int] = {}
        start = 0.0
        item = self._head(self._relation(spoken, b"Segment"))
        while item:
            label, end = self._string(item, b"name").decode(), float(self._number(item, b"end"))
            inside = self._as(item, b"SylStructure")
            syllable = self._parent(inside) if inside else None
            word = self._parent(syllable) if syllable else None
            number = words.setdefault(word or 0, len(words))
            phones.append(
                Phone({"pau": "", "y": "j"}.get(label, label), start, end, number)
            )  # IPA y is a vowel
            start = end
            item = self._next(item)
        return tuple(phones)
