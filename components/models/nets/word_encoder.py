"""Turkish words into vectors, out of the n-grams of their letters: for late interaction or one vector a text.

The encoder of TurkColBERT's hashed family (Ezerceli et al. 2025, arXiv 2511.16528: BERT-Hash puts hash
projections in place of an embedding table), without a transformer: a word is the mean of the vectors of its
hashed character n-grams (fastText, Bojanowski et al. 2017), a convolution lets it see two words to each
side, and a learned weight says how much it counts in a question.
"""

import re
import unicodedata
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from components.models.encode import Encoding, batches, unit
from components.models.progress import report

LENGTHS = (3, 4, 5)  # letters of an n-gram, the signs < and > around the word included
LONGEST = 1024  # words of a text; the rest is cut
LONGEST_WORD = 64  # letters of a word whose n-grams count; more is no word of any language
BATCH_WORDS = 16_384  # words a forward pass, padding included
_WORD = re.compile(r"\w[\w\u0300-\u036f]*")  # letters written with combining signs stay together


def turkish_lower(text: str) -> str:
    """Return lower-case text in NFC: İ becomes i, I becomes ı."""
    return unicodedata.normalize("NFC", text).replace("İ", "i").replace("I", "ı").lower()


def words_of(text: str) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Return the lower-case words of a text, at most `LONGEST`, and their spans (words, 2) in the text.

    An apostrophe ends a word, as before a Turkish suffix.
    """
    found = [m for _, m in zip(range(LONGEST), _WORD.finditer(text), strict=False)]
    spans = np.array([m.span() for m in found], dtype=np.int64).reshape(-1, 2)
    return tuple(turkish_lower(m.group()) for m in found), spans


def ngrams_of(word: str) -> tuple[str, ...]:
    """Return the character n-grams of <word>, of 3 to 5 signs, the shorter ones first."""
    signs = f"<{word[:LONGEST_WORD]}>"
    return tuple(signs[i : i + n] for n in LENGTHS for i in range(len(signs) - n + 1))


@lru_cache(maxsize=1 << 16)
def buckets_of(word: str, buckets: int) -> tuple[int, ...]:
    """Return the row of each n-gram of a word: the CRC-32 (zlib) of its UTF-8 bytes, modulo `buckets`."""
    return tuple(zlib.crc32(gram.encode()) % buckets for gram in ngrams_of(word))


@dataclass(frozen=True, eq=False)
class WordEncoding(Encoding):
    """Texts as word vectors: `tokens` are lower-case words, `states` and `means` as wide as the net.

    `spans` (rows, 2) are the first and the last-but-one character of each word in its own text, `weights`
    (rows,) what it counts in a question. `means` are weighted means of the states before these were
    normalised.
    """

    spans: NDArray[np.int64]
    weights: NDArray[np.float32]

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return super().nbytes + int(self.spans.nbytes + self.weights.nbytes)

    def spans_of(self, i: int) -> NDArray[np.int64]:
        """Return the spans (words, 2) of text `i`."""
        return self.spans[self.starts[i] : self.starts[i + 1]]

    def weights_of(self, i: int) -> NDArray[np.float32]:
        """Return the weights (words,) of text `i`."""
        return self.weights[self.starts[i] : self.starts[i + 1]]

    def as_queries(self) -> "WordEncoding":
        """Return the same texts with each state multiplied by its weight, these made 1 on a text's mean.

        MaxSim of such states is Σ w max cos / (Σ w / n): at most the number of words n, as without weights.
        """
        counts = np.diff(self.starts)
        own = np.repeat(np.arange(len(counts)), counts)
        totals = np.bincount(own, weights=self.weights, minlength=len(counts))
        mean_one = self.weights * (counts / np.maximum(totals, 1e-9))[own]
        states = (self.states * mean_one[:, None]).astype(np.float32)
        return WordEncoding(self.tokens, states, self.starts, self.means, self.spans, self.weights)


class WordEncoder(nn.Module):
    """Hashed n-grams, a grouped convolution over five words, a linear map; and the weight of each word."""

    def __init__(self, buckets: int, dim: int, kernel: int, groups: int) -> None:
        super().__init__()
        self.buckets, self.dim = buckets, dim
        self.grams = nn.EmbeddingBag(buckets, dim, mode="mean")
        self.mix = nn.Conv1d(dim, dim, kernel, padding=kernel // 2, groups=groups)
        self.project = nn.Linear(dim, dim)
        self.weigh = nn.Linear(dim, 1)
        nn.init.normal_(self.grams.weight, std=0.1)
        nn.init.orthogonal_(self.project.weight)  # so that an untrained net already matches n-grams
        nn.init.zeros_(self.weigh.weight)
        for bias in (self.mix.bias, self.project.bias, self.weigh.bias):
            if bias is not None:
                nn.init.zeros_(bias)

    def forward(self, texts: Sequence[Sequence[str]]) -> tuple[Tensor, Tensor, Tensor]:
        """Return states (texts, words, dim), not normalised, weights (texts, words) and the mask of words.

        `texts` are lower-case words. What stands beyond a text's end is zero, with weight zero.
        """
        device = self.project.weight.device
        places, rows, offsets = _places(texts, self.buckets)
        bags = self.grams(torch.tensor(rows, device=device), torch.tensor(offsets, device=device))
        table = torch.cat([bags.new_zeros(1, self.dim), bags])
        where = torch.from_numpy(places).to(device)
        there = where > 0
        words = F.embedding(where, table)
        mixed = words + F.gelu(self.mix(words.transpose(1, 2)).transpose(1, 2))
        weights = F.softplus(self.weigh(mixed).squeeze(-1)) * there
        return self.project(mixed) * there[..., None], weights, there

    def count(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Return the number of words (texts,) of each text in `encode`."""
        return np.array([len(words_of(text)[0]) for text in texts], dtype=np.int64)

    def encode(self, texts: Sequence[str]) -> WordEncoding:
        """Return word states, weights and means of documents; 256 bytes a word at 64 dimensions."""
        cut = [words_of(text) for text in texts]
        starts = np.concatenate([[0], np.cumsum([len(words) for words, _ in cut])]).astype(np.int64)
        states = np.zeros((int(starts[-1]), self.dim), dtype=np.float32)
        weights = np.zeros(int(starts[-1]), dtype=np.float32)
        means = np.zeros((len(cut), self.dim), dtype=np.float32)
        for i, own, counts in self._outputs([words for words, _ in cut]):
            states[starts[i] : starts[i + 1]], weights[starts[i] : starts[i + 1]] = unit(own), counts
            means[i] = unit(counts @ own)
        spans = np.concatenate([np.zeros((0, 2), dtype=np.int64), *(own for _, own in cut)])
        tokens = tuple(word for words, _ in cut for word in words)
        return WordEncoding(tokens, states, starts, means, spans, weights)

    def encode_queries(self, texts: Sequence[str]) -> WordEncoding:
        """Return the texts as questions: the weights are folded into the states (`as_queries`)."""
        return self.encode(texts).as_queries()

    def token_states(self, texts: Sequence[str]) -> list[tuple[tuple[str, ...], NDArray[np.float32]]]:
        """Return the words and their L2-normalised states (words, dim) of each text."""
        found = self.encode(texts)
        return [(found.tokens_of(i), found.states_of(i)) for i in range(len(texts))]

    def mean_vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one L2-normalised vector (texts, dim) a text: the weighted mean of its word states."""
        means = np.zeros((len(texts), self.dim), dtype=np.float32)
        for i, own, counts in self._outputs([words_of(text)[0] for text in texts]):
            means[i] = unit(counts @ own)
        return means

    def _outputs(
        self, texts: Sequence[Sequence[str]]
    ) -> Iterator[tuple[int, NDArray[np.float32], NDArray[np.float32]]]:
        """Yield place, states (words, dim) and weights (words,) of each text that has words."""
        lengths = np.array([len(words) for words in texts], dtype=np.int64)
        done = 0
        for batch in batches(lengths, BATCH_WORDS):
            kept = [i for i in batch if lengths[i]]
            if kept:
                with torch.inference_mode():
                    states, weights, _ = (t.cpu() for t in self([texts[i] for i in kept]))
                for row, i in enumerate(kept):
                    yield i, states[row, : lengths[i]].numpy(), weights[row, : lengths[i]].numpy()
            done += len(batch)
            report(done, len(texts), "texts encoded")


def _places(texts: Sequence[Sequence[str]], buckets: int) -> tuple[NDArray[np.int64], list[int], list[int]]:
    """Return places (texts, words) in a table of distinct words, 0 where none, and those words' n-grams.

    These are the rows of all n-grams and the offset of each word's first, as `nn.EmbeddingBag` takes them.
    """
    seen: dict[str, int] = {}
    places = np.zeros((len(texts), max(map(len, texts))), dtype=np.int64)
    for i, words in enumerate(texts):
        places[i, : len(words)] = [seen.setdefault(word, len(seen) + 1) for word in words]
    rows: list[int] = []
    offsets: list[int] = []
    for word in seen:
        offsets.append(len(rows))
        rows += buckets_of(word, buckets)
    return places, rows, offsets


def build(buckets: int = 20_000, dim: int = 64, kernel: int = 5, groups: int = 8) -> WordEncoder:
    """Return an untrained encoder."""
    return WordEncoder(buckets, dim, kernel, groups)
