"""Words as the word-pooled language model reads them: cut from a text, at most `CANVAS` bytes each.

A word is letters, a digit, or a run of punctuation, with the space or line feed before it; other white space
stands alone. Whether two characters are of one word depends on the two alone. A word of more than `CANVAS`
bytes goes on as further words: no cut is marked, so that joined bytes are always the text again.
"""

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from components.models.nets.word_pooled import WordPooledLM

CANVAS = 16  # bytes a word
END = 256  # ends a word that is shorter than the canvas, and fills the rest of it
PATTERN = re.compile(r"[ \n]?[^\W\d_]+|[ \n]?\d|[ \n]?(?:[^\w\s]|_)+|\s|\w")


@lru_cache(1 << 17)
def pieces(word: str, canvas: int = CANVAS) -> tuple[bytes, ...]:
    """Return the bytes of one word, cut at every `canvas` of them."""
    data = word.encode(errors="replace")
    return tuple(data[at : at + canvas] for at in range(0, len(data), canvas))


def split(text: str) -> list[bytes]:
    """Return the words of a text; joined, they are its UTF-8 bytes."""
    return [piece for word in PATTERN.findall(text) for piece in pieces(word)]


def padded(words: list[bytes], canvas: int = CANVAS) -> "Tensor":
    """Return words as ids (words, canvas), filled up with `END`."""
    import torch

    return torch.tensor([[*word, *[END] * (canvas - len(word))] for word in words]).view(-1, canvas)


def states_after(net: "WordPooledLM", text: str) -> "Tensor":
    """Return the main states (words + 1, width) of a text's last words; the last expects the next word."""
    import torch

    words = split(text)[-(net.context - 1) :]
    with torch.inference_mode():
        return net.states(padded(words)[None])[0]


def next_words(net: "WordPooledLM", text: str, number: int = 5, beam: int = 64) -> list[tuple[str, float]]:
    """Return the likeliest next words of a text and their probabilities, by a beam search over bytes.

    The probabilities are exact; a likelier word is missed only where `beam` other beginnings were likelier
    than its own.
    """
    found = net.beam(states_after(net, text)[-1], number, beam)
    return [(bytes(word).decode(errors="replace"), share) for word, share in found]


def greedy_word(net: "WordPooledLM", text: str) -> str:
    """Return the next word of a text when the likeliest byte is taken each time."""
    word = net.greedy(states_after(net, text)[-1:])[0].tolist()
    return bytes(byte for byte in word if byte != END).decode(errors="replace")
