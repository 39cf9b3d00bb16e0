"""Untrained tokenizers with their trainers, for the shipped ones and for those trained on a pasted text."""

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokenizers import Tokenizer

ALGORITHMS = ("bpe", "unigram", "wordpiece", "words")
UNKNOWN = "[UNK]"
# Cuts depend on the classes of two neighbouring characters alone: a space or line feed joins the word,
# digit or punctuation after it, digits stand alone, other white space stands alone.
LOCAL = r"[ \n]?[\p{L}\p{M}]+|[ \n]?\p{N}|[ \n]?[^\s\p{L}\p{M}\p{N}]+|\s"


def _byte_level(model: Any) -> "Tokenizer":
    from tokenizers import Regex, Tokenizer, decoders, pre_tokenizers

    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(LOCAL), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def untrained(algorithm: str, size: int) -> tuple["Tokenizer", Any]:
    """Return a tokenizer and its trainer; `size` is the largest vocabulary.

    BPE and Unigram work on bytes and know every text; WordPiece and the closed list of words work on
    characters, skip white space and have a token for what they do not know.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    alphabet = pre_tokenizers.ByteLevel.alphabet()
    quiet: dict[str, Any] = {"vocab_size": size, "show_progress": False}
    if algorithm == "bpe":
        return _byte_level(models.BPE()), trainers.BpeTrainer(initial_alphabet=alphabet, **quiet)
    if algorithm == "unigram":
        return _byte_level(models.Unigram()), trainers.UnigramTrainer(initial_alphabet=alphabet, **quiet)
    if algorithm == "wordpiece":
        tokenizer = Tokenizer(models.WordPiece(unk_token=UNKNOWN))
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.decoder = decoders.WordPiece()
        return tokenizer, trainers.WordPieceTrainer(
            special_tokens=[UNKNOWN], limit_alphabet=size // 2, **quiet
        )
    if algorithm == "words":
        tokenizer = Tokenizer(models.WordLevel(unk_token=UNKNOWN))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        return tokenizer, trainers.WordLevelTrainer(special_tokens=[UNKNOWN], **quiet)
    raise ValueError(f"{algorithm!r} is not one of {', '.join(ALGORITHMS)}")


def train(algorithm: str, size: int, texts: Iterable[str]) -> "Tokenizer":
    """Train a tokenizer of at most `size` tokens on `texts`."""
    tokenizer, trainer = untrained(algorithm, size)
    tokenizer.train_from_iterator(texts, trainer=trainer)
    return tokenizer


def stretches(text: str) -> Iterator[str]:
    """Yield stretches of about 10,000 characters cut at line ends: trainers hold no giant string."""
    start = 0
    while start < len(text):
        end = text.find("\n", start + 10_000) + 1 or len(text)
        yield text[start:end]
        start = end


def short_words(text: str) -> Iterator[str]:
    """Yield the words of a text, each with the white space before it, in parts of at most 64 characters.

    Trainers take time in the square of the longest word, and a pasted text may be one word.
    """
    for found in re.finditer(r"\s{0,64}\S{1,64}|\s{1,64}", text):
        yield found.group()
