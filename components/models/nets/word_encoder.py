"""Turkish words into vectors, out of their first letters: for late interaction or one vector a text.

The encoder of TurkColBERT's hashed family (Ezerceli et al. 2025, arXiv 2511.16528: BERT-Hash puts hash
projections in place of an embedding table), without a transformer. Turkish adds suffixes alone, so the first
letters of a word stand for its stem (first-n stemming: Can et al., JASIST 2008). A word is the mean of the
vectors of its hashed beginnings, as fastText's is that of its n-grams (Bojanowski et al. 2017); a convolution
lets it see two words to each side; a learned weight says how much it counts in a question. In a passage, the
vector of a word is longer where its stem recurs and where the passage is short, as BM25 has it (Robertson and
Zaragoza 2009, section 3.4), since the best cosine alone knows neither.
"""

import math
import re
import unicodedata
import zlib
from collections import Counter
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

LENGTHS = (2, 3, 4, 5, 6, 7)  # letters of a beginning
PARTS = 2  # rows of the table that make one vector: two words rarely share both
FASTER = 5.0  # what counts and recurrences are multiplied by, so that Adam moves them in larger steps
STEM = 5  # first letters that make two words of a passage the same one
TYPICAL = 120  # words of a passage
LONGEST = 1024  # words of a text; the rest is cut
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


def beginnings_of(word: str) -> tuple[str, ...]:
    """Return the first 2 to 7 letters of a word, each after its number; a short word counts whole in all."""
    return tuple(f"{n}{word[:n]}" for n in LENGTHS)


@lru_cache(maxsize=1 << 16)
def rows_of(word: str, buckets: int) -> tuple[tuple[int, ...], ...]:
    """Return the rows (PARTS) of each beginning of a word: digits, to base `buckets`, of its CRC-32.

    That is zlib's, of UTF-8 bytes; the lowest digit comes first.
    """
    sums = [zlib.crc32(start.encode()) for start in beginnings_of(word)]
    return tuple(tuple(own // buckets**part % buckets for part in range(PARTS)) for own in sums)


def recurrence_of(words: Sequence[str]) -> NDArray[np.float32]:
    """Return (words, 2): ln of how often the first `STEM` letters stand in the text and ln(n / `TYPICAL`)."""
    stems = [word[:STEM] for word in words]
    found = Counter(stems)
    length = math.log(max(1, len(words)) / TYPICAL)
    return np.array([(math.log(found[s]), length) for s in stems], dtype=np.float32).reshape(-1, 2)


@dataclass(frozen=True, eq=False)
class WordEncoding(Encoding):
    """Texts as word vectors: `tokens` are lower-case words, `states` and `means` as wide as the net.

    A state is as long as its word is worth in a passage, 0 to 1; in a question (`as_queries`), as its weight.
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
        """Return the same texts with each state as long as its weight, these made 1 on a text's mean.

        MaxSim of such states is Σ w max (worth · cos) / (Σ w / n): at most the number of words n.
        """
        counts = np.diff(self.starts)
        own = np.repeat(np.arange(len(counts)), counts)
        totals = np.bincount(own, weights=self.weights, minlength=len(counts))
        mean_one = self.weights * (counts / np.maximum(totals, 1e-9))[own]
        states = (unit(self.states) * mean_one[:, None]).astype(np.float32)
        return WordEncoding(self.tokens, states, self.starts, self.means, self.spans, self.weights)


class WordEncoder(nn.Module):
    """Hashed beginnings, a grouped convolution over five words, a linear map; and the weight of each word.

    The vector of a beginning is its `PARTS` rows of one table, one behind the other. Its count, another
    table's, is added to the logit of the weight: a word that is rare in all its forms has no neighbours to
    learn that from. `recur` are the three numbers of `worth`.
    """

    def __init__(self, buckets: int, dim: int, kernel: int, groups: int) -> None:
        super().__init__()
        self.buckets, self.dim = buckets, dim
        self.starts = nn.EmbeddingBag(buckets, dim // PARTS, mode="mean")
        self.counts = nn.EmbeddingBag(buckets, 1, mode="mean")
        self.mix = nn.Conv1d(dim, dim, kernel, padding=kernel // 2, groups=groups)
        self.project = nn.Linear(dim, dim)
        self.weigh = nn.Linear(dim, 1)
        self.recur = nn.Parameter(torch.full((3,), 0.5 / FASTER))
        nn.init.normal_(self.starts.weight, std=0.3)
        nn.init.zeros_(self.counts.weight)
        nn.init.orthogonal_(self.project.weight)  # so that an untrained net already matches beginnings
        nn.init.zeros_(self.weigh.weight)
        for bias in (self.mix.bias, self.project.bias, self.weigh.bias):
            if bias is not None:
                nn.init.zeros_(bias)

    def forward(self, texts: Sequence[Sequence[str]]) -> tuple[Tensor, Tensor, Tensor]:
        """Return states (texts, words, dim), not normalised, weights (texts, words) and the mask of words.

        `texts` are lower-case words. What stands beyond a text's end is zero, with weight zero.
        """
        device = self.project.weight.device
        places, distinct = _places(texts)
        rows = torch.tensor([rows_of(word, self.buckets) for word in distinct], device=device)
        bags = [self.starts(rows[..., part]) for part in range(PARTS)]
        where = torch.from_numpy(places).to(device)
        there = where > 0
        words = F.embedding(where, F.pad(torch.cat(bags, 1), (0, 0, 1, 0)))
        mixed = words + F.gelu(self.mix(words.transpose(1, 2)).transpose(1, 2))
        counts = F.embedding(where, F.pad(FASTER * self.counts(rows[..., 0]), (0, 0, 1, 0)))
        weights = F.softplus((self.weigh(mixed) + counts).squeeze(-1)) * there
        return self.project(mixed) * there[..., None], weights, there

    def worth(self, recurrence: Tensor) -> Tensor:
        """Return what words of a passage are worth (...), 0 to 1, by their `recurrence_of` (..., 2).

        σ(a ln tf - b ln(n / TYPICAL) + c), which is BM25's tf / (tf + K) where a is 1, with
        K = (n / TYPICAL)^b / e^c.
        """
        more, longer, base = FASTER * self.recur
        return torch.sigmoid(more * recurrence[..., 0] - longer * recurrence[..., 1] + base)

    def count(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Return the number of words (texts,) of each text in `encode`."""
        return np.array([len(words_of(text)[0]) for text in texts], dtype=np.int64)

    def encode(self, texts: Sequence[str]) -> WordEncoding:
        """Return word states, weights and means of documents; 512 bytes a word at 128 dimensions."""
        cut = [words_of(text) for text in texts]
        starts = np.concatenate([[0], np.cumsum([len(words) for words, _ in cut])]).astype(np.int64)
        states = np.zeros((int(starts[-1]), self.dim), dtype=np.float32)
        weights = np.zeros(int(starts[-1]), dtype=np.float32)
        means = np.zeros((len(cut), self.dim), dtype=np.float32)
        for i, own, counts in self._outputs([words for words, _ in cut]):
            states[starts[i] : starts[i + 1]], weights[starts[i] : starts[i + 1]] = unit(own), counts
            states[starts[i] : starts[i + 1]] *= self._worth_of(cut[i][0])[:, None]
            means[i] = unit(counts @ own)
        spans = np.concatenate([np.zeros((0, 2), dtype=np.int64), *(own for _, own in cut)])
        tokens = tuple(word for words, _ in cut for word in words)
        return WordEncoding(tokens, states, starts, means, spans, weights)

    def encode_queries(self, texts: Sequence[str]) -> WordEncoding:
        """Return the texts as questions: the weights are folded into the states (`as_queries`)."""
        return self.encode(texts).as_queries()

    def token_states(self, texts: Sequence[str]) -> list[tuple[tuple[str, ...], NDArray[np.float32]]]:
        """Return the words and their states (words, dim), as long as they are worth, of each text."""
        found = self.encode(texts)
        return [(found.tokens_of(i), found.states_of(i)) for i in range(len(texts))]

    def mean_vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one L2-normalised vector (texts, dim) a text: the weighted mean of its word states."""
        means = np.zeros((len(texts), self.dim), dtype=np.float32)
        for i, own, counts in self._outputs([words_of(text)[0] for text in texts]):
            means[i] = unit(counts @ own)
        return means

    def _worth_of(self, words: Sequence[str]) -> NDArray[np.float32]:
        """Return what each word (words,) of a passage is worth."""
        with torch.inference_mode():
            recurrence = torch.from_numpy(recurrence_of(words)).to(self.recur.device)
            own: NDArray[np.float32] = self.worth(recurrence).cpu().numpy()
        return own

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


def _places(texts: Sequence[Sequence[str]]) -> tuple[NDArray[np.int64], list[str]]:
    """Return places (texts, words) in the list of distinct words, from 1, 0 where none; and that list."""
    seen: dict[str, int] = {}
    places = np.zeros((len(texts), max(map(len, texts))), dtype=np.int64)
    for i, words in enumerate(texts):
        places[i, : len(words)] = [seen.setdefault(word, len(seen) + 1) for word in words]
    return places, list(seen)


def build(buckets: int = 20_000, dim: int = 128, kernel: int = 5, groups: int = 16) -> WordEncoder:
    """Return an untrained encoder; `dim` is a multiple of `PARTS` and of `groups`."""
    return WordEncoder(buckets, dim, kernel, groups)
