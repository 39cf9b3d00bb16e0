"""Train `lexinvariant-twin`, the normal twin of `lexinvariant-lm`: same body and text, rows of its own.

python -m components.models.recipes.lexinvariant_twin --data DATA --minutes 8
"""

from pathlib import Path
from typing import Any

from components.models.recipes import _lexinvariant_scores as scores
from components.models.recipes._lexinvariant_training import (
    BOOKS,
    finished,
    folder_of,
    prepare,
    read_symbols,
    ship,
)
from components.models.recipes._run import arguments

NAME = "lexinvariant-twin"
WINDOWS, LOOK_UPS = 400, 200
SEED = 7


def evaluate(model: Any, data: Path, work: Path) -> list[dict[str, Any]]:
    """Measure bits per character on two whole books that were not trained on; nothing is made in `work`."""
    books = [read_symbols(folder_of(data) / book) for book in BOOKS]
    tokens = scores.windows(books, WINDOWS, scores.WINDOW)
    made = f"{LOOK_UPS} made texts of 8 letter pairs, fourth round"
    return [
        *scores.bits_rows(model, tokens, f"{WINDOWS} windows of 512 characters of two held-out novels", SEED),
        scores.row("look-up: value named", scores.look_up_accuracy(model, LOOK_UPS, SEED),
                   LOOK_UPS * scores.PAIRS, made),
    ]  # fmt: skip


def main(argv: list[str] | None = None) -> Path:
    """Train, measure and publish; return the folder of the published model."""
    options = arguments("Train lexinvariant-twin on novels.", 8, argv=argv)
    run = prepare(NAME, True, options)
    run.run()
    metrics = evaluate(finished(run), options.data, options.work)
    command = f"python -m components.models.recipes.lexinvariant_twin --minutes {options.minutes:g}"
    return ship(NAME, run, metrics, command, [
        "It knows English by its symbols' identity alone: under a cipher it is worse than knowing nothing.",
        "English of 1839 to 1927 over 32 symbols: case, digits and all other signs are one symbol.",
    ])  # fmt: skip


if __name__ == "__main__":
    main()
