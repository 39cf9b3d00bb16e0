"""How much of resynthesised speech an off-the-shelf recogniser understands: word error rates.

The recogniser is pocketsphinx with its own English model, which only this measurement needs.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.models.recipes._resynthesis_corpus import spelled

LOUD = 0.1  # the level (RMS) given to the recogniser


def recogniser() -> Any:
    """Return pocketsphinx's decoder with the English model that it brings; one search, narrowed."""
    try:
        from pocketsphinx import Decoder  # type: ignore[import-untyped,import-not-found,unused-ignore]
    except ModuleNotFoundError as error:
        message = "Word error rates need the package pocketsphinx; install it to measure."
        raise RuntimeError(message) from error
    return Decoder(samprate=16000, fwdflat=False, maxhmmpf=3000, loglevel="FATAL")


def dictionary(decoder: Any, words: Iterable[str]) -> set[str]:
    """Return those words that the recogniser can write."""
    return {w for w in words if decoder.lookup_word(w)}


def heard(decoder: Any, wave: NDArray[np.floating[Any]]) -> list[str]:
    """Return the words that the recogniser writes for a wave (samples,) at 16 kHz, in a bit of silence."""
    level = float(np.sqrt(np.mean(np.square(wave)))) or 1.0
    pad = np.zeros(4000, np.int16)
    samples = np.clip(wave * (LOUD / level) * 32767, -32767, 32767).astype(np.int16)
    decoder.start_utt()
    decoder.process_raw(np.concatenate([pad, samples, pad]).tobytes(), no_search=False, full_utt=True)
    decoder.end_utt()
    hypothesis = decoder.hyp()
    return spelled(hypothesis.hypstr) if hypothesis else []


def word_errors(said: list[str], written: list[str]) -> int:
    """Return the fewest substitutions, deletions and insertions that turn one row of words into the other."""
    row = list(range(len(written) + 1))
    for i, word in enumerate(said, 1):
        above, row[0] = row[0], i
        for j, other in enumerate(written, 1):
            best = min(above + (word != other), row[j] + 1, row[j - 1] + 1)
            above, row[j] = row[j], best
    return row[-1]


def error_rate(decoder: Any, texts: list[str], waves: list[NDArray[np.floating[Any]]]) -> float:
    """Return the word error rate over clips in percent: all errors by all words said."""
    errors, total = 0, 0
    for text, wave in zip(texts, waves, strict=True):
        said = spelled(text)
        errors += word_errors(said, heard(decoder, wave))
        total += len(said)
    return 100 * errors / max(1, total)
