"""Train `glyph-lm-trainable`, the twin of the frozen glyph model whose input rows are learned.

python -m components.models.recipes.glyph_lm_trainable --data DATA --minutes 3
"""

from pathlib import Path

from components.models.recipes import _glyph_lm
from components.models.recipes._glyph_lm import evaluate

NAME = "glyph-lm-trainable"

__all__ = ["NAME", "evaluate", "main"]


def main(argv: list[str] | None = None) -> Path:
    """Train, measure and publish; return the folder of the published model."""
    return _glyph_lm.train(NAME, argv)


if __name__ == "__main__":
    main()
