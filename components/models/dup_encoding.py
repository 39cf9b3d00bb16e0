"""Texts through `DupEncoder` (2211.08769): [CLS] vectors, bags of weights, reconstructions, CLS logits."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from components.errors import InputError
from components.models.encode import batches
from components.models.progress import report

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix
    from torch import Tensor

    from components.models.vocabularies import Vocabulary

TOP = 384  # weights kept of a bag, as in the paper
BATCH_TOKENS = 4096
PAD, CLS, SEP, MASK = 0, 2, 3, 4


@dataclass(frozen=True, eq=False)
class DupEncoding:
    """Both vectors of texts, each of length 1: `dense` (texts, dim) of [CLS], `bags` (texts, vocabulary) ≥ 0.

    The score of two texts is the sum of both inner products.
    """

    dense: NDArray[np.float32]
    bags: "csr_matrix"


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """A text rebuilt from its [CLS] vector: per piece the chance of the true one and the best guess.

    `masked` (pieces,) says which pieces the encoder did not see either.
    """

    pieces: tuple[str, ...]
    masked: NDArray[np.bool_]
    probabilities: NDArray[np.float32]
    guesses: tuple[str, ...]


class DupReader:
    """A `DupEncoder` and its WordPiece vocabulary."""

    def __init__(self, net: Any, vocabulary: "Vocabulary") -> None:
        """`vocabulary` adds [CLS] and [SEP] itself."""
        self.net, self.vocabulary = net, vocabulary
        self._tokenizer = vocabulary.tokenizer

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Return each text's token ids, [CLS] first and [SEP] last, cut to the net's context."""
        most = self.net.context - 1
        return [[*e.ids[:-1][:most], SEP] for e in self._tokenizer.encode_batch(list(texts))]

    def encode(self, texts: Sequence[str], top: int = TOP) -> DupEncoding:
        """Return both vectors of texts, of the bags the `top` largest weights; reports progress."""
        from scipy.sparse import csr_matrix

        dense = np.zeros((len(texts), self.net.dim), np.float32)
        rows: list[tuple[NDArray[np.int64], NDArray[np.float32]]] = [(_NONE, _ZERO)] * len(texts)
        for where, tokens, states in self._states(texts):
            dense[where] = self.net.dense(states).cpu().numpy()
            bags = self.net.bag(self.net.pooled(tokens, states), top).cpu().numpy()
            for i, bag in zip(where, bags, strict=True):
                rows[i] = np.flatnonzero(bag), bag[bag > 0]
        ends = np.concatenate([[0], np.cumsum([len(columns) for columns, _ in rows])])
        columns, weights = (np.concatenate([pair[k] for pair in rows] or [_NONE]) for k in (0, 1))
        return DupEncoding(dense, csr_matrix((weights, columns, ends), (len(texts), self.net.vocabulary)))

    def cls_logits(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the MLM head's logits (texts, vocabulary) at [CLS], which LexSemBridge's CLR reads."""
        found = np.zeros((len(texts), self.net.vocabulary), np.float32)
        for where, _, states in self._states(texts):
            found[where] = self.net.logits(states[:, 0]).float().cpu().numpy()
        return found

    def reconstruct(self, text: str, ratio: float = 0.3, seed: int = 0) -> Reconstruction:
        """Mask a share `ratio` of the pieces, encode, and rebuild every piece from the [CLS] state alone."""
        import torch

        if not 0 <= ratio <= 1:
            raise InputError(f"A mask ratio of {ratio:g} is no share; give one from 0 to 1.")
        ids = self.ids([text])[0]
        if len(ids) < 3:
            raise InputError("The text has no words to mask; give one with some.")
        inner = len(ids) - 2
        masked = np.random.default_rng(seed).permutation(inner) < round(ratio * inner)
        true = torch.tensor([ids], device=self._device)
        seen = true.clone()
        seen[0, 1:-1][torch.from_numpy(masked).to(self._device)] = MASK
        with torch.inference_mode():
            cls = self.net.states(seen)[:, 0]
            nothing = torch.zeros((1, len(ids), len(ids)), dtype=torch.bool, device=self._device)
            odds = self.net.decode(cls, true, nothing)[0, 1:-1].float().softmax(-1)
        chances = odds.gather(1, true[0, 1:-1, None])[:, 0].cpu().numpy()
        guesses = [self._piece(i) for i in odds.argmax(-1).tolist()]
        return Reconstruction(tuple(map(self._piece, ids[1:-1])), masked, chances, tuple(guesses))

    def _piece(self, i: int) -> str:
        return str(self._tokenizer.id_to_token(i))

    @property
    def _device(self) -> Any:
        return next(self.net.parameters()).device

    def _states(self, texts: Sequence[str]) -> "Iterator[tuple[list[int], Tensor, Tensor]]":
        """Yield the places, padded ids and last states of texts, the longest first."""
        import torch

        ids = self.ids(texts)
        done = 0
        for where in batches(np.array([len(one) for one in ids], np.int64), BATCH_TOKENS):
            tokens = padded([ids[i] for i in where]).to(self._device)
            with torch.inference_mode():
                yield where, tokens, self.net.states(tokens)
            done += len(where)
            report(done, len(ids), "texts encoded")


_NONE, _ZERO = np.zeros(0, np.int64), np.zeros(0, np.float32)


def padded(ids: Sequence[Sequence[int]]) -> "Tensor":
    """Return token ids (texts, longest), filled up with padding."""
    import torch

    found = torch.full((len(ids), max(map(len, ids))), PAD)
    for row, one in enumerate(ids):
        found[row, : len(one)] = torch.tensor(one)
    return found
