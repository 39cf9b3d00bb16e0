"""Train `unigram-lm`, a language model over the 4,096 tokens of the bundled Unigram tokenizer, on novels.

python -m components.models.recipes.unigram_lm --data DATA --minutes 40
"""

from pathlib import Path
from typing import Any

from components.models.recipes import _text_lm

NAME, TOKENIZER = "unigram-lm", "unigram"


def evaluate(model: Any, data: Path, work: Path) -> list[dict[str, Any]]:
    """Measure bits per byte on the held-out books; nothing is made in `work`."""
    return _text_lm.measure(model, _text_lm.reader(TOKENIZER), _text_lm.folder_of(data))


def main(argv: list[str] | None = None) -> Path:
    """Train, measure and publish; return the folder of the published model."""
    return _text_lm.train(NAME, 4096, 256, _text_lm.reader(TOKENIZER), 1.52, argv)


if __name__ == "__main__":
    main()
