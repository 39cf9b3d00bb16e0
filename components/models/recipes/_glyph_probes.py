"""What a character's vector says of it, layer by layer: linear probes that never saw the character."""

import unicodedata
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from components.models.nets.glyph_lm import GlyphLM

FOLDS = 5
SEEN = 20  # a character counts where it stood alone so often in what the model was trained on
STRENGTH = 1.0  # C of the logistic regression on standardised coordinates
VOWELS = set("aeiouyαεηιουωаеиоуыэюяіѣѵәөү")
SCRIPTS = ("LATIN", "GREEK", "CYRILLIC")
Labels = Callable[[str], str | None]


def case(character: str) -> str | None:
    """Return `upper` or `lower` of a letter that has both cases."""
    if character.lower() == character.upper():
        return None
    return "upper" if character.isupper() else "lower"


def vowel(character: str) -> str | None:
    """Return `vowel` or `consonant` of a letter, by what is left of it without its marks."""
    if not character.isalpha() or script(character) is None:
        return None
    base = unicodedata.normalize("NFD", character.lower())[0]
    return "vowel" if base in VOWELS else "consonant"


def script(character: str) -> str | None:
    """Return the script of a Latin, Greek or Cyrillic letter."""
    first = unicodedata.name(character, "").split(" ")[0]
    return first if character.isalpha() and first in SCRIPTS else None


def digit(character: str) -> str | None:
    """Return `digit`, `letter` or `other`."""
    if character.isdigit():
        return "digit"
    return "letter" if character.isalpha() else "other"


PROBES: dict[str, Labels] = {"case": case, "vowel or consonant": vowel, "script": script,
                             "digit, letter or other": digit}  # fmt: skip


def accuracy(vectors: NDArray[np.floating[Any]], labels: list[str], folds: int = FOLDS) -> float:
    """Return the share of rows that a logistic probe fitted on the other folds names rightly."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    order = np.random.default_rng(0).permutation(len(labels))
    known, right = np.array(labels), 0
    for fold in range(folds):
        test = order[fold::folds]
        train = np.setdiff1d(order, test)
        if len(set(known[train])) < 2:
            right += int((known[test] == known[train][0]).sum())
            continue
        scale = StandardScaler().fit(vectors[train])
        probe = LogisticRegression(C=STRENGTH, max_iter=300)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of convergence: the fold is counted as it stands
            probe.fit(scale.transform(vectors[train]), known[train])
        right += int((probe.predict(scale.transform(vectors[test])) == known[test]).sum())
    return right / len(labels)


def measure(net: GlyphLM, probes: tuple[str, ...] = tuple(PROBES)) -> list[dict[str, Any]]:
    """Return each probe's accuracy at the input (layer 0) and after every block, and the baseline.

    A character is given alone, after the start vector, so that its vector alone decides.
    """
    characters = [i for i, token in enumerate(net.tokens) if i and len(token) == 1 and net.seen[i] >= SEEN]
    with torch.inference_mode():
        layers = [x[:, -1].numpy() for x in net.layers(torch.tensor(characters)[:, None])]
    rows = []
    for name in probes:
        label = PROBES[name]
        found = [label(net.tokens[i]) for i in characters]
        kept = [at for at, one in enumerate(found) if one is not None]
        labels = [one for one in found if one is not None]
        if len(labels) < FOLDS:
            continue
        on = "characters the probe was not fitted on"
        most = max(labels.count(one) for one in set(labels)) / len(labels)
        rows.append(_row(f"baseline probe, {name} (largest class)", most, len(labels), on))
        for layer, vectors in enumerate(layers):
            share = accuracy(vectors[kept], labels)
            rows.append(_row(f"probe, {name}, layer {layer}", share, len(labels), on))
    return rows


def _row(name: str, value: float, n: int, on: str) -> dict[str, Any]:
    return {"name": name, "value": round(value, 4), "unit": "", "n": n, "on": on}
