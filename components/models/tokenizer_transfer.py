"""A language model under another tokenizer: the pieces of its tokens, and rows for them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from components.errors import InputError
from components.models.vocabularies import Vocabulary

if TYPE_CHECKING:
    from torch import Tensor

    from components.models.nets.hypernetwork import Hypernetwork

PIECES = 6
Pieces = NDArray[np.int64]


def token_strings(vocabulary: Vocabulary) -> list[str]:
    """Return the tokens of a byte-level vocabulary in order of id, in the letters that stand for bytes."""
    if not vocabulary.byte_level:
        raise InputError("This tokenizer does not work on bytes; choose a byte-level one, BPE or Unigram.")
    return [vocabulary.tokenizer.id_to_token(i) or "" for i in range(vocabulary.size)]


class PieceReader:
    """Splits byte-level tokens with a base tokenizer and remembers what it split."""

    def __init__(self, base: Vocabulary) -> None:
        """Take `base`, the tokenizer of the model that gets new rows: it has to know every byte."""
        if not base.byte_level:
            raise InputError("The base tokenizer does not work on bytes; choose a byte-level one.")
        self.model: Any = base.tokenizer.model
        self.known: dict[str, list[int]] = {}

    def read(self, token: str) -> list[int]:
        """Return the ids of the pieces of a token in the letters that stand for bytes."""
        found = self.known.get(token)
        if found is None:
            found = self.known[token] = [piece.id for piece in self.model.tokenize(token)]
        return found

    def table(self, tokens: Sequence[str], most: int = PIECES) -> Pieces:
        """Return the pieces (tokens, k) of several tokens, -1 where there is none, k at most `most`."""
        parts = [self.read(token)[:most] for token in tokens]
        found = np.full((len(parts), max(map(len, parts), default=1)), -1, np.int64)
        for row, part in zip(found, parts, strict=True):
            row[: len(part)] = part
        if (found[:, :1] < 0).any():
            raise InputError("A token has no bytes the model knows; use a byte-level tokenizer.")
        return found


def surroundings(network: "Hypernetwork", table: "Tensor", own: Sequence[str],
                 vocabulary: Vocabulary) -> "Tensor":
    """Return what each token of a new vocabulary opens and closes (tokens, 2, width + 1).

    `own` are the strings of the language model's tokens, whose rows `table` has; those with a byte that the
    new tokenizer lacks are left out.
    """
    import torch

    model: Any = vocabulary.tokenizer.model
    letters = {token for token in token_strings(vocabulary) if len(token) == 1}
    # Unigram models raise on a letter that they lack, BPE models drop it.
    parts = [model.tokenize(token) if letters.issuperset(token) else [] for token in own]
    ends = torch.tensor([(p[0].id, p[-1].id) if p else (-1, -1) for p in parts], device=table.device)
    with torch.no_grad():
        return network.surroundings(table, ends[:, 0], ends[:, 1], vocabulary.size)


def predicted_rows(network: "Hypernetwork", table: "Tensor", pieces: Pieces, batch: int = 1024,
                   around: "Tensor | None" = None) -> "Tensor":
    """Return the hypernetwork's rows (tokens, width) for pieces (tokens, k) of a model with this table.

    `around` are the tokens' `surroundings` in their tokenizer; without them the prediction is cruder.
    """
    import torch

    ids = torch.from_numpy(pieces).to(table.device)
    order = (ids >= 0).sum(1).argsort()  # tokens with few pieces go together and need few places
    rows = torch.empty(len(ids), table.shape[1], device=table.device)
    with torch.inference_mode():
        for at in range(0, len(ids), batch):
            part = order[at : at + batch]
            used = int((ids[part] >= 0).sum(1).max())
            rows[part] = network(ids[part, :used], table, None if around is None else around[part])
    return rows.clone()
