"""The most probable segmentation under a unigram model (Kudo 2018, section 3.2), by dynamic programming."""

import math
from collections.abc import Mapping


def most_probable(text: str, scores: Mapping[str, float]) -> tuple[tuple[str, ...], float]:
    """Return the tokens that spell `text` with the largest sum of `scores`, and that sum.

    `scores` holds each token's log probability. Where no sequence spells the text, there are no tokens and
    the sum is minus infinity.
    """
    longest = max(map(len, scores), default=0)
    best = [0.0] + [-math.inf] * len(text)
    came = [0] * (len(text) + 1)
    for end in range(1, len(text) + 1):
        for start in range(max(0, end - longest), end):
            score = scores.get(text[start:end])
            if score is not None and best[start] + score > best[end]:
                best[end], came[end] = best[start] + score, start
    if best[-1] == -math.inf:
        return (), -math.inf
    tokens, end = [], len(text)
    while end:
        tokens.append(text[came[end] : end])
        end = came[end]
    return tuple(reversed(tokens)), best[-1]
