"""Train `kv-lm-rotary`, the twin of `kv-lm` with rotary positions, to see what positions do to threads.

    python -m components.models.recipes.kv_lm_rotary --minutes 1 --work training/kv

Lessons and options are those of `kv_lm`.
"""

from pathlib import Path
from typing import Any

from components.models.recipes import _kv_measures as measures
from components.models.recipes import kv_lm
from components.models.recipes._run import arguments

NAME = "kv-lm-rotary"
NET: dict[str, Any] = {**kv_lm.NET, "rotary": True}
LIMITS = (
    *kv_lm.LIMITS,
    "Angles beyond the trained length were never seen in training: that its accuracy falls there is what it "
    "is for. What decides is how far back a pair lies: the first hops of a forward thread, early in the "
    "haystack, are lost long before those of a backward one; whole threads are lost in both directions. This "
    "is an effect of positions in a toy, not the finding about language models.",
)


def evaluate(model: Any, data: Path | None = None, work: Path | None = None) -> list[dict[str, Any]]:
    """Measure threads by length, depth and direction and threads in turns; `data` and `work` are not used."""
    return [*measures.heat_map(model), *measures.together(model, 128), measures.guessing(128)]


def main(argv: list[str] | None = None) -> Path:
    """Train, measure and publish; return the folder of the published model."""
    options = arguments("Train kv-lm-rotary on generated haystacks.", 1, argv=argv)
    return kv_lm.published(kv_lm.trained(options, NAME, NET), NAME, NET, LIMITS)


if __name__ == "__main__":
    main()
