"""What the checks of several segmenters measure on the built-in clips."""

from components.models import ModelStore
from components.numerics.boundary_scores import BoundaryScores, edges, score
from components.speech import Segmenter
from components.speech._examples import example, names


def on_examples(segmenter: Segmenter, models: ModelStore, tolerance: float = 0.05) -> BoundaryScores:
    """Return the pooled counts on all built-in clips: starts and ends, within `tolerance` seconds."""
    total = BoundaryScores(0, 0, 0)
    for name in names():
        known = example(name)
        found = segmenter(known.clip, models)
        total += score(edges(known.bounds), edges(found.bounds), tolerance)
    return total


def described(counts: BoundaryScores) -> str:
    """Return F1 and R-value in percent as words."""
    return f"F1 {100 * counts.f1:.1f} %, R-value {100 * counts.r_value:.1f} %"


def clips_described() -> str:
    """Return what the checks run on."""
    syllables = sum(len(example(n).bounds) for n in names())
    return (
        f"{len(names())} bundled synthetic clips, {syllables} syllables with exact marks, 50 ms tolerance; "
        "the encoder learned from the same synthesisers, but not from these sentences nor from Swahili"
    )
