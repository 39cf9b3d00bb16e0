"""Modern English for training: encyclopaedia paragraphs, abstracts, captions and, beside them, novels.

Nothing here comes from a collection that retrieval is measured on: the abstracts are those of `scifact_mini`,
whose queries and judgements are not read.
"""

import csv
import hashlib
import json
import math
import random
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.models.prompted import STOP_WORDS

HELD_OUT = "text/wikitext2_test.txt"
SOURCES = {
    "wikitext": ("text/wikitext2_valid.txt", "CC BY-SA"),
    "abstracts": ("retrieval/scifact_mini/corpus.jsonl", "CC BY 4.0, ODC-BY"),
    "captions": ("retrieval/sts/stsb-en-train.csv", "CC BY-SA 4.0"),
    "novels": ("text/novels_train.txt", "public domain in the US"),
}
NOVELS = 6_000_000  # bytes read of the novels
SHORTEST = 200  # characters of a passage
LONGEST = 1600
_WORD = re.compile(r"[a-z]+(?:-[a-z]+)*")


@dataclass(frozen=True)
class Texts:
    """Training text by source: `raw` whole, as language models read it, `passages` cut at paragraphs."""

    raw: dict[str, str]
    passages: dict[str, list[str]]

    def all_passages(self) -> list[str]:
        """Return the passages of all sources in one list."""
        return [passage for own in self.passages.values() for passage in own]


def read(data: Path, novels: int = NOVELS) -> Texts:
    """Read the four sources under `data`; of the novels the first `novels` bytes."""
    wikitext = (data / SOURCES["wikitext"][0]).read_text(encoding="utf-8")
    with (data / SOURCES["abstracts"][0]).open(encoding="utf-8") as lines:
        abstracts = [json.loads(line)["text"] for line in lines]
    with (data / SOURCES["captions"][0]).open(encoding="utf-8", newline="") as rows:
        captions = list(dict.fromkeys(s for row in csv.reader(rows) for s in row[:2]))
    with (data / SOURCES["novels"][0]).open("rb") as stream:
        prose = stream.read(novels).decode("utf-8", errors="ignore")
    raw = {"wikitext": wikitext, "abstracts": "\n".join(abstracts), "captions": "\n".join(captions),
           "novels": prose}  # fmt: skip
    headless = [line.strip() for line in wikitext.splitlines() if not line.startswith(" =")]
    paragraphs = [" ".join(p.split()) for p in prose.split("\n\n")]
    passages = {"wikitext": cut(headless), "abstracts": cut(abstracts), "captions": captions,
                "novels": cut(_joined(paragraphs))}  # fmt: skip
    return Texts(raw, passages)


def _joined(paragraphs: Iterable[str], enough: int = 600) -> list[str]:
    """Join neighbouring paragraphs until each is `enough` characters long: dialogue comes in short ones."""
    found, current = [], ""
    for paragraph in paragraphs:
        current = f"{current} {paragraph}".strip()
        if len(current) >= enough:
            found.append(current)
            current = ""
    return found


def cut(texts: Iterable[str]) -> list[str]:
    """Return texts as passages of `SHORTEST` to `LONGEST` characters, cut at ends of sentences."""
    found = []
    for text in texts:
        current = ""
        for sentence in re.split(r"(?<=[.!?]) +", text):
            if current and len(current) + len(sentence) > LONGEST:
                found.append(current)
                current = ""
            current = f"{current} {sentence}".strip()
        found.append(current)
    return [passage[:LONGEST] for passage in found if len(passage) >= SHORTEST]


def words(text: str) -> list[str]:
    """Return the lower-case words of a text that are no stop words and have three letters or more."""
    return [w for w in _WORD.findall(text.lower()) if len(w) > 2 and w not in STOP_WORDS]


class KeyWords:
    """The words of a text by tf · idf, idf counted over the training passages."""

    def __init__(self, passages: Sequence[str]) -> None:
        """Count in how many of the passages each word stands."""
        self.holders = Counter(word for passage in passages for word in set(words(passage)))
        self.total = len(passages)

    def idf(self, word: str) -> float:
        """Return log((N + 1) / (df + 1))."""
        return math.log((self.total + 1) / (self.holders[word] + 1))

    def of(self, text: str, most: int = 20) -> dict[str, float]:
        """Return at most `most` words with (1 + log tf) · idf, scaled to the sum 1; empty without any."""
        counts = Counter(words(text))
        weights = {w: (1 + math.log(n)) * self.idf(w) for w, n in counts.items()}
        best = sorted(weights, key=lambda w: (-weights[w], w))[:most]
        total = sum(weights[w] for w in best)
        return {w: weights[w] / total for w in best} if total > 0 else {}


def piece(passage: str, lengths: tuple[int, int], chance: random.Random) -> str:
    """Return a stretch of a passage, `lengths` (least, most) characters long, from the start of a word."""
    length = chance.randint(*lengths)
    if len(passage) <= length:
        return passage
    start = passage.find(" ", chance.randrange(len(passage) - length + 1)) + 1
    return passage[start : start + length]


def stretch(text: str, chance: random.Random) -> str:
    """Return 6 to 20 neighbouring words of a text as a query for it."""
    split = text.split()
    length = chance.randint(6, 20)
    start = chance.randrange(max(1, len(split) - length))
    return " ".join(split[start : start + length])


def key_query(text: str, keys: KeyWords, chance: random.Random) -> str:
    """Return 3 to 7 of a text's key words as a query for it; empty where it has none."""
    known = list(keys.of(text))
    return " ".join(chance.sample(known, min(len(known), chance.randint(3, 7))))


def data_rows(data: Path, names: Iterable[str] = SOURCES) -> list[dict[str, Any]]:
    """Return the rows of a card that name the training files, with their SHA-256 and licence."""
    rows = []
    for path, licence in (SOURCES[name] for name in names):
        sha256 = hashlib.sha256((data / path).read_bytes()).hexdigest()
        rows.append({"name": path, "sha256": sha256, "licence": licence})
    return rows
