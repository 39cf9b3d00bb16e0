"""What the Turkish encoders learn from: scores of questions and passages, and a loss that parts them."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from components.models.nets.word_encoder import WordEncoder, recurrence_of


def similarities(
    net: WordEncoder,
    queries: Sequence[Sequence[str]],
    passages: Sequence[Sequence[str]],
    pooled: bool,
    recurrences: Sequence[NDArray[np.float32]] | None = None,
) -> Tensor:
    """Return scores (queries, passages) from -1 to 1: weighted MaxSim / Σw, or the means' cosine.

    Every text has a word. `recurrences` are those of the words in whole passages; without them, in these.
    """
    asked, weights, here = net(queries)
    states, counts, there = net(passages)
    if pooled:
        sums = [(s * w[..., None]).sum(1) for s, w in ((asked, weights), (states, counts))]
        return F.normalize(sums[0], dim=-1) @ F.normalize(sums[1], dim=-1).T
    vectors, rows, owner = F.normalize(asked[here], dim=-1), weights[here], here.nonzero()[:, 0]
    recurrences = recurrences or [recurrence_of(p) for p in passages]
    worth = net.worth(torch.from_numpy(np.concatenate(recurrences)).to(vectors.device))
    cosines = vectors @ F.normalize(states[there], dim=-1).T
    lengths = there.sum(1).tolist()
    best = torch.stack([own.max(1).values for own in torch.split(cosines * worth, lengths, 1)], 1)
    totals = best.new_zeros(len(queries), len(passages)).index_add(0, owner, best * rows[:, None])
    scores: Tensor = totals / weights.sum(1, keepdim=True)
    return scores


def contrast(logits: Tensor, owners: Tensor) -> Tensor:
    """Return InfoNCE both ways of logits (queries, passages), `owners` (queries,) being the right passages.

    Seen from a passage, each of its questions is right: the mean of their log probabilities counts.
    """
    right = F.one_hot(owners, logits.shape[1]).T.to(logits.dtype)
    back = (F.log_softmax(logits.T, 1) * right).sum(1) / right.sum(1)
    return (F.cross_entropy(logits, owners) - back.mean()) / 2
