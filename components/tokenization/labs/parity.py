"""How many tokens the same sentence takes in each language."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from components.method import Bars, Card, Finding, HeatMap, Table, choice
from components.models import ModelStore
from components.tokenization import Text, TokenizationLab, labs, tokenizers
from components.tokenization._samples import parallel

PEERS = (
    "byte_values",
    "characters",
    "bpe",
    "unigram",
    "wordpiece",
    "bert",
    "sentencepiece_mistral",
    "tekken",
)
TOLERATED = 0.1  # above this share of unknown tokens a count says nothing
Sentences = Mapping[str, tuple[str, ...]]


@labs.add
@dataclass(frozen=True)
class Parity(TokenizationLab):
    """Premium: the tokens of a language over those of the base language, on sentences of the same meaning."""

    card: ClassVar[Card] = Card(
        title="Parity of languages",
        authors="Petrov et al.",
        year=2023,
        url="https://arxiv.org/abs/2305.15425",
        claim="The same text can take up to 15 times as many tokens in one language as in another, "
        "and characters "
        "and bytes differ more than 4 times for some pairs.",
        figure="up to 15 times; over 4 times for characters and bytes",
        differs="Three short sentences of our own in 20 languages instead of the FLORES-200 "
        "corpus, and other "
        "vocabularies; the claim holds here from 10 times on.",
    )
    opening: ClassVar[tuple[str, str, str]] = (
        "Petrov and colleagues found that one sentence can cost many times the tokens in another "
        "language, and with "
        "them time, money and context.",
        "Change the base language and the tokenizer; or paste sentences of your own, one a line, "
        "each after its "
        "language and a colon.",
        "Look for the scripts that a vocabulary has never seen: there it pays for every byte, "
        "while a vocabulary "
        "made for many languages stays near 1.",
    )
    base: str = choice("English", tuple(parallel()), "Base language")
    tokenizer: str = choice("tekken", PEERS, "Tokenizer in the bars")

    def __call__(self, text: Text, models: ModelStore) -> tuple[Any, ...]:
        sentences = own_sentences(text.content) or parallel()
        base = self.base if self.base in sentences else next(iter(sentences))
        table = {tokenizers[name].card.title: premiums(name, sentences, base, models) for name in PEERS}
        chosen = table[tokenizers[self.tokenizer].card.title]
        shown = {language: value for language, value in chosen.items() if not math.isnan(value)}
        ranked = dict(sorted(shown.items(), key=lambda item: item[1]))
        return (
            Bars(f"{tokenizers[self.tokenizer].card.title}: tokens, {base} = 1", f"tokens / {base}", ranked),
            HeatMap(
                f"Tokens for the same sentences, {base} = 1 (blank: over 10 % unknown)",
                "tokenizer",
                "language",
                np.array([[row[language] for row in table.values()] for language in sentences]),
                tuple(sentences),
                tuple(table),
                unit=f"tokens / {base}",
            ),
            Table(
                "Deviation from parity",
                ("tokenizer", "mean |ln premium|", "largest", "language"),
                summary(table),
            ),
        )

    @classmethod
    def check(cls, models: ModelStore) -> Finding:
        table = {name: premiums(name, parallel(), "English", models) for name in PEERS}
        widest = {name: pair(row) for name, row in table.items()}
        most = max(widest, key=lambda name: widest[name])
        plain = max(widest["characters"], widest["byte_values"])
        return Finding(
            measured=f"{widest[most]:.1f} times between two languages with {tokenizers[most].card.title}, "
            f"{widest['tekken']:.1f} with Tekken; {widest['characters']:.1f} for characters and "
            f"{widest['byte_values']:.1f} for bytes",
            paper=cls.card.figure,
            holds=widest[most] > 10 and plain > 4,
            on=f"3 sentences in {len(parallel())} languages",
            model="bundled vocabularies, BERT and Mistral's two",
        )


def own_sentences(content: str) -> Sentences:
    """Return sentences by language where every line is `language: sentence`, else nothing."""
    found: dict[str, tuple[str, ...]] = {}
    for line in filter(str.strip, content.splitlines()):
        match = re.fullmatch(r"\s*([^:]{1,40}?)\s*:\s*(\S.*)", line)
        if not match:
            return {}
        found[match[1]] = (*found.get(match[1], ()), match[2])
    return found if len(found) > 1 else {}


def premiums(name: str, sentences: Sentences, base: str, models: ModelStore) -> dict[str, float]:
    """Return each language's premium, nan where over a tenth of its tokens (or the base's) is unknown."""
    method = tokenizers.create(name)
    counts: dict[str, float] = {}
    for language, lines in sentences.items():
        found = [method(Text(line), models) for line in lines]
        tokens = sum(len(f.pieces) for f in found)
        unknown = sum(f.unknown for f in found)
        counts[language] = float(tokens) if unknown <= TOLERATED * tokens else math.nan
    return {language: count / (counts[base] or math.nan) for language, count in counts.items()}


def pair(row: Mapping[str, float]) -> float:
    """Return the largest count over the smallest, of those that are known."""
    known = [value for value in row.values() if not math.isnan(value)]
    return max(known) / min(known) if known else math.nan


def summary(table: Mapping[str, Mapping[str, float]]) -> tuple[tuple[str | float, ...], ...]:
    """Return a row for each tokenizer: mean |ln premium|, the largest premium, and its language."""
    rows: list[tuple[str | float, ...]] = []
    for title, row in table.items():
        known = {language: value for language, value in row.items() if not math.isnan(value)}
        if not known:
            continue
        worst = max(known, key=lambda language: known[language])
        deviation = float(np.mean([abs(math.log(value)) for value in known.values()]))
        rows.append((title, round(deviation, 3), round(known[worst], 2), worst))
    return tuple(rows)
