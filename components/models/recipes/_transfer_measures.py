"""Bits per byte of a language model under tokenizers it was not made for, by how their rows were found."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from components.models.nets.causal_lm import CausalLM
from components.models.nets.hypernetwork import Hypernetwork
from components.models.recipes._text_lm import bits_per_byte
from components.models.tokenizer_training import stretches, train
from components.models.tokenizer_transfer import PieceReader, predicted_rows, surroundings, token_strings
from components.models.vocabularies import Vocabulary
from components.numerics.matching_pursuit import pursue
from components.numerics.row_transfer import mean_row, neighbour_means, piece_means, ridge_map

MEASURED = 15_000  # bytes of every held-out book
ATOMS = 8
# Name, algorithm, size, the text each is trained on; none of them is among those trained on.
HELD_OUT = (
    ("BPE 2k of WikiText-2", "bpe", 2048, "wikitext2_valid.txt"),
    ("BPE 8k of Shakespeare", "bpe", 8192, "tinyshakespeare.txt"),
    ("Unigram 1k of WikiText-2", "unigram", 1024, "wikitext2_valid.txt"),
    ("Unigram 8k of Shakespeare", "unigram", 8192, "tinyshakespeare.txt"),
)
BUNDLED_UNIGRAM = "Unigram 4k, the bundled one"
Rows = dict[str, NDArray[np.float64]]


def held_out(folder: Path, bundled: Vocabulary) -> Iterator[tuple[str, Vocabulary]]:
    """Yield the five tokenizers that no run has seen, by name; `folder` holds the texts."""
    for name, algorithm, size, source in HELD_OUT:
        text = (folder / source).read_text(encoding="utf-8")
        yield name, Vocabulary(train(algorithm, size, stretches(text)))
    yield BUNDLED_UNIGRAM, bundled


def heuristics(base: CausalLM, pieces: NDArray[np.int64]) -> Rows:
    """Return the rows of all tokens, the shared ones copied and the others by zero, mean and FVT."""
    table = base.table.detach().numpy()
    every = piece_means(table, pieces)  # the one piece of a shared token is itself
    shared = (pieces >= 0).sum(1) == 1
    return {
        "zero": np.where(shared[:, None], every, 0.0),
        "mean": np.where(shared[:, None], every, mean_row(table, 1)),
        "mean of pieces (FVT)": every,
    }


def from_donor(base: CausalLM, donor: CausalLM, pieces: NDArray[np.int64]) -> Rows:
    """Return the rows of all tokens by what a model that has them says: pursuit, neighbours, a linear map."""
    table, theirs = base.table.detach().numpy(), donor.table.detach().numpy()
    shared = (pieces >= 0).sum(1) == 1
    known, new = theirs[shared], theirs[~shared]
    ours = table[pieces[shared, 0]]
    found = {
        f"OMP, {ATOMS} atoms": pursue(new, known, ATOMS).rebuild(ours),
        "10 nearest (WECHSEL's weights)": neighbour_means(known, ours, new),
        "ridge map": ridge_map(known, ours, new),
    }
    rows = {}
    for name, fresh in found.items():
        rows[name] = np.zeros((len(pieces), table.shape[1]))
        rows[name][shared], rows[name][~shared] = ours, fresh
    return rows


class Transfers:
    """Measures one base model under other tokenizers."""

    def __init__(self, base: CausalLM, own: Vocabulary, texts: dict[str, str],
                 donor: CausalLM | None) -> None:
        """Measure the base under its `own` tokenizer; the `donor` is a model of the bundled Unigram."""
        self.base, self.own, self.donor = base, own, donor
        self.parts = [t.encode()[:MEASURED].decode("utf-8", errors="ignore") for t in texts.values()]
        self.size = sum(len(p.encode()) for p in self.parts)
        self.reader = PieceReader(own)
        self.original = self.bits(own, None)

    def bits(self, vocabulary: Vocabulary, rows: torch.Tensor | None) -> float:
        """Return bits per byte of all texts under a tokenizer and its rows."""
        total = 0.0
        for part in self.parts:
            each = bits_per_byte(self.base, lambda text: vocabulary.tokenizer.encode(text).ids, part, rows)
            total += each * len(part.encode())
        return total / self.size

    def rows_of(self, network: Hypernetwork, name: str, vocabulary: Vocabulary) -> dict[str, torch.Tensor]:
        """Return the tables of every way that there is for one tokenizer."""
        pieces = self.reader.table(token_strings(vocabulary))
        around = surroundings(network, self.base.table, token_strings(self.own), vocabulary)
        found = heuristics(self.base, pieces)
        if name == BUNDLED_UNIGRAM and self.donor is not None:
            found |= from_donor(self.base, self.donor, pieces)
        tables = {way: torch.from_numpy(rows).float() for way, rows in found.items()}
        tables["hypernetwork"] = predicted_rows(network, self.base.table, pieces, around=around)
        return tables

    def measure(self, network: Hypernetwork, name: str, vocabulary: Vocabulary) -> list[dict[str, Any]]:
        """Return the card's rows of one tokenizer."""
        tables = self.rows_of(network, name, vocabulary)
        return [row(f"bits per byte: {way}", self.bits(vocabulary, table), self.size, name)
                for way, table in tables.items()]  # fmt: skip


def row(name: str, value: float, n: int, on: str, unit: str = "bits") -> dict[str, Any]:
    """Return one metric of a card."""
    return {"name": name, "value": round(value, 4), "unit": unit, "n": n, "on": on}


def summary(rows: list[dict[str, Any]], original: float, size: int) -> list[dict[str, Any]]:
    """Return the mean of each way over the tokenizers it was used on, and how far the worst one is off."""
    ways = dict.fromkeys(r["name"] for r in rows if r["name"].startswith("bits per byte: "))
    means = []
    for way in ways:
        values = [r["value"] for r in rows if r["name"] == way]
        on = f"mean of {len(values)} tokenizers never sampled" if len(values) > 1 else BUNDLED_UNIGRAM
        if len(values) > 1:
            means.append(row(way, float(np.mean(values)), size, on))
    worst = max(r["value"] for r in rows if r["name"] == "bits per byte: hypernetwork")
    return [row("bits per byte: its own tokenizer", original, size, "both books' beginnings"), *means,
            row("largest rise of the hypernetwork over the own tokenizer", worst - original, size,
                "5 tokenizers never sampled")]  # fmt: skip


