"""Train `turkish-late`, Turkish word vectors for late interaction.

    python -m components.models.recipes.turkish_late --data DATA --work training/turkish

DATA holds retrieval/tquad_train, retrieval/tquad_dev and retrieval/enelpi_train in BEIR's layout. A run that
was stopped goes on with --resume.
"""

from pathlib import Path
from typing import Any

from components.models.recipes import _turkish

KIND = _turkish.Kind("turkish-late", pooled=False, steps=600, rate=1e-2, left_out=0.1, neighbours=16)
LIMITS = [
    "",
]


def evaluate(model: Any, data: Path, work: Path) -> list[dict[str, Any]]:
    """Measure on TQuAD's development file and on the Turkish sample corpus; `work` is not used."""
    return _turkish.evaluate(KIND, model, data)


def main(argv: list[str] | None = None) -> Path:
    """Train, measure and publish; return the folder of the published model."""
    return _turkish.make(KIND, LIMITS, argv)


if __name__ == "__main__":
    main()
