"""Tokenizers to train a hypernetwork on, a fresh one for every number: Unigram and BPE of random sizes."""

import json
import math
from collections import Counter
from functools import lru_cache
from typing import Any

import numpy as np

from components.models.tokenizer_training import stretches, train, untrained
from components.models.vocabularies import Vocabulary

COUNTED = 4_000_000  # characters whose words are counted
WORDS = 30_000  # the most frequent words give the pieces
LONGEST = 16  # characters of a piece
POOL = 60_000  # pieces to choose from
SLICE = 300_000  # characters that a BPE or a Unigram model is trained on
SMALLEST, LARGEST = 800, 9_000  # tokens
TRAINED_UNIGRAMS = 12  # they take long to train, so that only a few are, and used again and again


class TokenizerSampler:
    """Draws byte-level tokenizers from a text: pieces by frequency and length with noise, or trained."""

    def __init__(self, text: str, seed: int) -> None:
        """Count the words of the first `COUNTED` characters and all pieces of the frequent ones."""
        self.text, self.seed = text, seed
        tokenizer, trainer = untrained("unigram", 256)
        self.alphabet: list[str] = sorted(trainer.initial_alphabet)
        words: Counter[str] = Counter()
        for part in stretches(text[:COUNTED]):
            words.update(word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(part))
        counts: Counter[str] = Counter()
        for word, count in words.most_common(WORDS):
            for start in range(len(word)):
                for end in range(start + 1, min(start + LONGEST, len(word)) + 1):
                    counts[word[start:end]] += count
        self.single = np.array([counts.pop(letter, 0) + 1.0 for letter in self.alphabet])
        best = sorted(counts, key=lambda piece: -counts[piece] * len(piece))[:POOL]
        self.pieces, self.counts = best, np.array([counts[p] for p in best], np.float64)
        self.lengths = np.array([len(p) for p in best], np.float64)

    def sample(self, number: int) -> Vocabulary:
        """Return tokenizer `number`: drawn Unigram, trained BPE or trained Unigram models, a third each."""
        random = np.random.default_rng((self.seed, number, 3))
        size = round(math.exp(random.uniform(math.log(SMALLEST), math.log(LARGEST))))
        kind = random.random()
        if kind < 0.3:
            return self.drawn(size, random)
        if kind < 0.65:
            return self._trained("bpe", size, int(random.integers(0, max(1, len(self.text) - SLICE))))
        return self._pooled(int(random.integers(0, TRAINED_UNIGRAMS)))

    def drawn(self, size: int, random: np.random.Generator) -> Vocabulary:
        """Return a Unigram model of the pieces with the best frequency times length, with noise on both."""
        noise = random.normal(0, random.uniform(0, 1), len(self.pieces))
        score = np.log(self.counts) + random.uniform(0.3, 1.5) * np.log(self.lengths) + noise
        kept = np.argsort(-score)[: max(0, size - len(self.alphabet))]
        counts = np.concatenate([self.single, self.counts[kept] * np.exp(noise[kept] / 2)])
        logs = np.log(counts / counts.sum()).tolist()
        return unigram([*self.alphabet, *(self.pieces[i] for i in kept)], logs)

    def _trained(self, algorithm: str, size: int, start: int) -> Vocabulary:
        part = self.text[start : start + SLICE]
        return Vocabulary(train(algorithm, size, stretches(part)))

    @lru_cache(TRAINED_UNIGRAMS)  # noqa: B019 - one sampler lives as long as its run
    def _pooled(self, number: int) -> Vocabulary:
        """Return one of the few Unigram models that are trained, of sizes from small to large."""
        share = number / max(1, TRAINED_UNIGRAMS - 1)
        size = round(SMALLEST * (LARGEST / SMALLEST) ** share)
        random = np.random.default_rng((self.seed, number, 4))
        return self._trained("unigram", size, int(random.integers(0, max(1, len(self.text) - SLICE))))


def unigram(pieces: list[str], logs: list[float]) -> Vocabulary:
    """Return a byte-level Unigram model with these pieces and log probabilities."""
    from tokenizers import Tokenizer

    tokenizer, _ = untrained("unigram", len(pieces))
    facts: dict[str, Any] = json.loads(tokenizer.to_str())
    facts["model"] = {"type": "Unigram", "unk_id": None, "vocab": list(zip(pieces, logs, strict=True)),
                      "byte_fallback": False}  # fmt: skip
    return Vocabulary(Tokenizer.from_str(json.dumps(facts)))
