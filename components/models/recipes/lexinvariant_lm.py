"""Train `lexinvariant-lm`, a language model without fixed embeddings, on novels.

    python -m components.models.recipes.lexinvariant_lm --data DATA --minutes 22

Train `lexinvariant-twin` first: the card's perplexity ratios need it. `--resume --minutes 0` publishes the
last checkpoint as it stands.
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
from components.models.store import ModelStore
from components.settings import Settings

NAME, TWIN = "lexinvariant-lm", "lexinvariant-twin"
WINDOWS, CIPHERS, LOOK_UPS = 400, 50, 200
SEED = 7


def evaluate(model: Any, data: Path, work: Path, store: ModelStore | None = None) -> list[dict[str, Any]]:
    """Measure on two whole books that were not trained on; nothing is made in `work`.

    The perplexity ratios are left out where the store has no twin.
    """
    store = store or ModelStore(Settings(threads=1))
    books = [read_symbols(folder_of(data) / book) for book in BOOKS]
    tokens = scores.windows(books, WINDOWS, scores.WINDOW)
    on = f"{WINDOWS} windows of 512 characters of two held-out novels"
    rows = scores.bits_rows(model, tokens, on, SEED)
    if TWIN in store.names():
        rows += scores.ratio_rows(model, store.get(TWIN), tokens, on, SEED)
    ciphers = f"{CIPHERS} fresh ciphers over all 32 symbols, held-out novels"
    rows += scores.key_rows(lambda n: scores.key_accuracies(model, books, CIPHERS, n, SEED), CIPHERS, ciphers)
    error = scores.invariance(model, tokens[: scores.BATCH], SEED)
    rows.append(scores.row("largest change of a loss when symbols and rows are permuted together", error,
                           scores.BATCH * scores.WINDOW, on, "nats"))  # fmt: skip
    made = f"{LOOK_UPS} made texts of 8 letter pairs, fourth round"
    return [*rows, scores.row("look-up: value named", scores.look_up_accuracy(model, LOOK_UPS, SEED),
                              LOOK_UPS * scores.PAIRS, made)]  # fmt: skip


def main(argv: list[str] | None = None) -> Path:
    """Train, measure and publish; return the folder of the published model."""
    options = arguments("Train lexinvariant-lm on novels.", 22, argv=argv)
    run = prepare(NAME, False, options)
    run.run()
    store = ModelStore(folder=Path(options.out))
    metrics = evaluate(finished(run), options.data, options.work, store)
    command = f"python -m components.models.recipes.lexinvariant_lm --minutes {options.minutes:g}"
    return ship(NAME, run, metrics, command, LIMITS)


LIMITS = [
    "English of 1839 to 1927 over 32 symbols: case, digits and all other signs are one symbol.",
    "Trained on texts of up to 1,024 characters; how it reads longer ones was not measured.",
    "Rows are random orthonormal vectors, not independent Gaussian ones as in the paper; the first weights "
    "are laid out as copying heads; training adds two losses that name plain letters (so the probe that "
    "reads ciphers was trained with the body, the paper's after it); the paper's model has 150 million "
    "parameters.",
]

if __name__ == "__main__":
    main()
