"""Train `glyph-lm-random`, the twin of the frozen glyph model whose rows are frozen noise.

python -m components.models.recipes.glyph_lm_random --data DATA --minutes 3
"""

from pathlib import Path

from components.models.recipes import _glyph_lm
from components.models.recipes._glyph_lm import evaluate

NAME = "glyph-lm-random"

__all__ = ["NAME", "evaluate", "main"]


def main(argv: list[str] | None = None) -> Path:
    """Train, measure and publish; return the folder of the published model."""
    return _glyph_lm.train(NAME, argv)


if __name__ == "__main__":
    main()
