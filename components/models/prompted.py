"""A causal language model asked for one word about a text: dense and sparse vectors (PromptReps, 2404.18424).

The text stands in `PROMPT`; the last state of the prompt is the dense vector, the logits of the next token
the sparse one.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from components.models.encode import batches, unit
from components.models.progress import report

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from components.models.vocabularies import Vocabulary

PROMPT = ('Passage: "', '" One word for this passage is')
MOST_WORDS = 128  # of a text, those with the largest weights
BATCH_TOKENS = 4096
_STOP = """
    a about above after again against all also although am among an and any are as at be because been
    before being below between both but by can cannot could did do does doing done down during each either
    else etc ever every few for from further had has have having he her here hers herself him himself his
    how however i if in into is it its itself just least less let may me might mine more most much must my
    myself neither no nor not now of off often on once one only onto or other others our ours ourselves out
    over own per quite rather s same shall she should since so some still such t than that the their theirs
    them themselves then there therefore these they this those though through thus to together too toward
    under until unto up upon us use used using very via was we well were what when where whereas whether
    which while who whom whose why will with within without would yet you your yours yourself"""
STOP_WORDS = frozenset(_STOP.split())
_WORD = re.compile(r"[^\W_]+(?:-[^\W_]+)*")


@dataclass(frozen=True, eq=False)
class Prompted:
    """`dense` (texts, width), L2-normalised, and `sparse` (texts, vocabulary), log(1 + ReLU(logit)) ≥ 0."""

    dense: NDArray[np.float32]
    sparse: "csr_matrix"


def own_words(text: str) -> list[str]:
    """Return the text's distinct lower-case words in order, without stop words."""
    return list(dict.fromkeys(w for w in _WORD.findall(text.lower()) if w not in STOP_WORDS))


class PromptReader:
    """A `CausalLM` and its byte-level BPE vocabulary, asked for one word about a text."""

    def __init__(self, net: Any, vocabulary: "Vocabulary") -> None:
        """`net` is a `CausalLM` with rows of its own."""
        self.net, self.vocabulary = net, vocabulary
        self._tokenizer = vocabulary.tokenizer
        self.before, self.after = (self._tokenizer.encode(part).ids for part in PROMPT)

    def ids(self, text: str) -> list[int]:
        """Return the token ids of a text in the prompt, the text cut to what the context leaves."""
        room = self.net.context - 1 - len(self.before) - len(self.after)
        return [*self.before, *self._tokenizer.encode(text).ids[:room], *self.after]

    def first_tokens(self, words: Sequence[str]) -> list[int]:
        """Return the first token of each word as it stands after a space."""
        return [e.ids[0] for e in self._tokenizer.encode_batch([f" {word}" for word in words])]

    def encode(self, texts: Sequence[str], own: bool = True) -> Prompted:
        """Return both vectors of texts; `own` keeps only the tokens that the text's own words begin with.

        At most `MOST_WORDS` tokens of a text have a weight. Reports progress.
        """
        from scipy.sparse import csr_matrix

        dense = np.zeros((len(texts), self.net.width), np.float32)
        kept: list[tuple[NDArray[np.int64], NDArray[np.float32]]] = [_NOTHING] * len(texts)
        ids = [self.ids(text) for text in texts]
        done = 0
        for batch in batches(np.array([len(one) for one in ids]), BATCH_TOKENS):
            states, logits = self._last([ids[i] for i in batch])
            dense[batch] = unit(states)
            for row, i in zip(logits, batch, strict=True):
                among = sorted(set(self.first_tokens(own_words(texts[i])))) if own else range(len(row))
                kept[i] = _heaviest(row, np.array(among, np.int64))
            done += len(batch)
            report(done, len(texts), "texts read")
        ends = np.concatenate([[0], np.cumsum([len(columns) for columns, _ in kept])])
        columns, weights = (np.concatenate([pair[k] for pair in kept]) for k in (0, 1))
        shape = (len(texts), self.net.vocabulary)
        return Prompted(dense, csr_matrix((weights, columns, ends), shape))

    def _last(self, ids: list[list[int]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the last states (texts, width) and next-token logits (texts, vocabulary) of prompts."""
        import torch

        longest = max(map(len, ids))
        device = next(self.net.parameters()).device
        padded = torch.zeros((len(ids), longest), dtype=torch.long, device=device)
        for row, one in enumerate(ids):
            padded[row, : len(one)] = torch.tensor(one)
        last = torch.tensor([len(one) for one in ids], device=device)  # the start vector is at 0
        with torch.inference_mode():
            # Padding stands behind the last token, where a causal model does not look.
            vectors = torch.cat([self.net.begin(len(ids)), self.net.embed(padded)], 1)
            states, _ = self.net.states(vectors)
            states = states[torch.arange(len(ids), device=device), last]
            logits = self.net.read(states)
        return states.float().cpu().numpy(), logits.float().cpu().numpy()


_NOTHING = (np.zeros(0, np.int64), np.zeros(0, np.float32))


def _heaviest(
    logits: NDArray[np.float32], among: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the ids of `among` with the `MOST_WORDS` largest logits above 0, and log(1 + logit) of each."""
    if not len(among):
        return _NOTHING
    positive = among[logits[among] > 0]
    best = np.sort(positive[np.argsort(-logits[positive], kind="stable")[:MOST_WORDS]])
    return best, np.log1p(logits[best])


def min_max(scores: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Return scores (queries, documents) moved and scaled to 0..1 row by row; a constant row becomes 0."""
    low, high = scores.min(axis=1, keepdims=True), scores.max(axis=1, keepdims=True)
    spread = np.asarray(high - low, np.float64)
    scaled: NDArray[np.float64] = np.divide(
        scores - low, spread, out=np.zeros(scores.shape), where=spread > 0
    )
    return scaled
