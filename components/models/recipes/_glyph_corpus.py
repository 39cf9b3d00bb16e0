"""What the glyph language models read: novels and, for other scripts, the Declaration of Human Rights."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from components.models.nets.glyph_lm import LONGEST, UNKNOWN, alphabet, greedy
from components.models.recipes._lm_training import crops
from components.models.word_units import PATTERN

SCRIPTS = ("Latn", "Grek", "Cyrl")
SHARES = {"novels": 0.75, "Cyrl": 0.125, "Latn": 0.0625, "Grek": 0.0625}  # of the crops
NOVELS = 6_000_000  # bytes of the novels that are used
COUNTED = 1_500_000  # characters of them from which the n-grams are chosen
STRANGE = 0.005  # a translation with more characters outside the vocabulary than this is left out


class Corpus(NamedTuple):
    """The tokens of the vocabulary, a stream of ids a source, how often each token is in a typical crop."""

    tokens: list[str]
    streams: dict[str, NDArray[np.uint16]]
    seen: NDArray[np.int64]


def sources(data: Path, novels: int = NOVELS) -> dict[str, str]:
    """Return the training texts: the novels, and the declaration's translations joined by script."""
    texts = {"novels": (data / "novels_train.txt").read_bytes()[:novels].decode("utf-8", errors="ignore")}
    known = set(alphabet())
    declarations = json.loads((data / "udhr_articles.json").read_text(encoding="utf-8"))
    for script in SCRIPTS:
        found = [_whole(one) for one in declarations.values() if one["script"] == script]
        fit = [text for text in found if sum(c not in known for c in text) <= STRANGE * len(text)]
        texts[script] = "\n\n".join(fit)
    return texts


def _whole(declaration: dict[str, Any]) -> str:
    """Return the preamble and the articles of one translation as one text."""
    parts = [declaration.get("preamble") or "", *_articles(declaration.get("articles"))]
    return "\n".join(part for part in parts if part)


def _articles(articles: Any) -> Iterator[str]:
    for one in articles.values() if isinstance(articles, dict) else articles or ():
        yield one if isinstance(one, str) else str(one.get("text", ""))


def frequent_ngrams(texts: list[str], number: int) -> list[str]:
    """Return the n-grams of 2 to LONGEST characters that save the most tokens in the texts.

    A first choice goes by count times saved characters; those that greedy cutting then uses most stay.
    """
    words: Counter[str] = Counter()
    for text in texts:
        words.update(PATTERN.findall(text))
    grams: Counter[str] = Counter()
    for word, count in words.items():
        for size in range(2, LONGEST + 1):
            for at in range(len(word) - size + 1):
                grams[word[at : at + size]] += count * (size - 1)
    plain = [UNKNOWN, *alphabet()]
    known = set(plain)
    first = [gram for gram, _ in grams.most_common(8 * number) if known.issuperset(gram)][: 3 * number]
    names = plain + first
    ids = {token: i for i, token in enumerate(names)}
    used: Counter[str] = Counter()
    for word, count in words.items():
        for i in greedy(word, ids):
            used[names[i]] += count * (len(names[i]) - 1)
    return [gram for gram, _ in used.most_common(number) if len(gram) > 1]  # no n-gram goes beyond a word


def build(data: Path, ngrams: int, novels: int = NOVELS) -> Corpus:
    """Read the sources, choose the n-grams and cut everything into tokens."""
    texts = sources(data, novels)
    sample = [texts["novels"][:COUNTED], *(texts[script] for script in SCRIPTS)]
    # As much of each script as the crops will hold of it, or all there is.
    sample[1:] = [t[: int(COUNTED * SHARES[s] / SHARES["novels"])]
                  for s, t in zip(SCRIPTS, sample[1:], strict=True)]  # fmt: skip
    tokens = [UNKNOWN, *alphabet(), *frequent_ngrams(sample, ngrams)]
    ids = {token: i for i, token in enumerate(tokens)}

    @lru_cache(1 << 17)
    def cut(word: str) -> list[int]:
        return greedy(word, ids)

    streams = {name: np.array([i for word in PATTERN.findall(text) for i in cut(word)], np.uint16)
               for name, text in texts.items()}  # fmt: skip
    share = sum(SHARES[name] * np.bincount(s, minlength=len(tokens)) / len(s) for name, s in streams.items())
    return Corpus(tokens, streams, np.asarray(share))


def batch(corpus: Corpus, length: int, size: int, seed: int, step: int) -> Tensor:
    """Return crops (size, length) of the sources, each drawn by its share."""
    random = np.random.default_rng((seed, step, 1))
    counts = random.multinomial(size, list(SHARES.values()))
    parts = [crops(corpus.streams[name], length - 1, count, seed, step)
             for name, count in zip(SHARES, counts, strict=True) if count]  # fmt: skip
    return torch.cat(parts)


def data_rows(data: Path) -> list[dict[str, str]]:
    """Return name, hash and licence of the files, for a card."""
    novels, declaration = data / "novels_train.txt", data / "udhr_articles.json"
    licences = {novels: "public domain in the US", declaration: "UN text, freely reusable"}
    return [{"name": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "licence": licence}
            for path, licence in licences.items()]  # fmt: skip
