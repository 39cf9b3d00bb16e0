"""Train `turkish-dense`, the twin of `turkish-late` that makes one vector a text.

    python -m components.models.recipes.turkish_dense --data DATA --work training/turkish

DATA holds retrieval/tquad_train, retrieval/tquad_dev and retrieval/enelpi_train in BEIR's layout, and the
Turkish STS benchmark's retrieval/sts/stsb_tr_train.tsv. A run that was stopped goes on with --resume.
"""

from pathlib import Path
from typing import Any

from components.models.recipes import _turkish
from components.models.recipes._turkish_course import Kind

KIND = Kind("turkish-dense", pooled=True, steps=1200, rate=5e-3, table=1.0, left_out=0.3, neighbours=4)
LIMITS = [
    "It is there to be compared with turkish-late, which has the same parameters and data: one vector of 128 "
    "numbers cannot hold a passage's words, and BM25 is far ahead of it.",
    "Three questions a passage and the sentences were chosen for turkish-late; they were not tried one by "
    "one here.",
]


def evaluate(model: Any, data: Path, work: Path) -> list[dict[str, Any]]:
    """Measure on TQuAD's development file and on the Turkish sample corpus; `work` is not used."""
    return _turkish.evaluate(KIND, model, data)


def main(argv: list[str] | None = None) -> Path:
    """Train, measure and publish; return the folder of the published model."""
    return _turkish.make(KIND, LIMITS, argv)


if __name__ == "__main__":
    main()
