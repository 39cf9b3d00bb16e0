"""Train `byte-lm`, a language model over UTF-8 bytes, on novels.

python -m components.models.recipes.byte_lm --data DATA --minutes 20
"""

from pathlib import Path
from typing import Any

from components.models.recipes import _text_lm

NAME = "byte-lm"


def evaluate(model: Any, data: Path, work: Path) -> list[dict[str, Any]]:
    """Measure bits per byte on the held-out books; nothing is made in `work`."""
    return _text_lm.measure(model, _text_lm.read_bytes, _text_lm.folder_of(data))


def main(argv: list[str] | None = None) -> Path:
    """Train, measure and publish; return the folder of the published model."""
    return _text_lm.train(NAME, 256, 256, _text_lm.read_bytes, 1.75, argv)


if __name__ == "__main__":
    main()
