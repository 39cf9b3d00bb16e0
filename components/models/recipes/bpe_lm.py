"""Train `bpe-lm`, a language model over the 4,096 tokens of the bundled BPE tokenizer, on novels.

python -m components.models.recipes.bpe_lm --data DATA --minutes 30
"""

from functools import lru_cache
from pathlib import Path
from typing import Any

from components.models.recipes import _text_lm
from components.models.store import BUNDLED
from components.models.vocabularies import Vocabulary, bundled

NAME = "bpe-lm"


@lru_cache(1)
def _vocabulary() -> Vocabulary:
    return bundled(BUNDLED / "text-tokenizers")["bpe"]


def encode(text: str) -> list[int]:
    """Return the token ids of a text."""
    ids: list[int] = _vocabulary().tokenizer.encode(text).ids
    return ids


def evaluate(model: Any, data: Path, work: Path) -> list[dict[str, Any]]:
    """Measure bits per byte on the held-out books; nothing is made in `work`."""
    return _text_lm.measure(model, encode, _text_lm.folder_of(data))


def main(argv: list[str] | None = None) -> Path:
    """Train, measure and publish; return the folder of the published model."""
    return _text_lm.train(NAME, 4096, 256, encode, 1.52, argv)


if __name__ == "__main__":
    main()
