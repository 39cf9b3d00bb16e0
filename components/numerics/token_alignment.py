"""Where tokens lie in their text: from a tokenizer's own account of them to stretches of the text's UTF-8.

Characters are Unicode code points. Byte positions count from 0 in the text's UTF-8; a boundary is the byte
position between two pieces.
"""

import unicodedata
from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
INVISIBLE = frozenset({"Cc", "Cf", "Cn", "Co", "Zl", "Zp", "Zs"})
SIGNS = {" ": "␣", "\n": "↵", "\t": "⇥"}
MARKS = frozenset({"Mc", "Me", "Mn"})


def byte_starts(text: str) -> Ints:
    """Return the byte position of each character, and of the text's end: (characters + 1,)."""
    points = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
    widths = 1 + (points > 0x7F).astype(np.int64) + (points > 0x7FF) + (points > 0xFFFF)
    return np.concatenate([[0], np.cumsum(widths)])


def cut_by_offsets(text: str, offsets: Sequence[tuple[int, int]]) -> tuple[bytes, ...]:
    """Cut a text where a tokenizer says that its tokens lie; the pieces join to the text's UTF-8.

    `offsets` are character ranges (start, end) in order. What lies between two ranges (white space that is
    skipped, characters that a normaliser drops) goes to the piece after it, or to the last. Tokens that
    share a character get one of its bytes each and the last of them the rest.
    """
    if not offsets:
        return ()
    utf8, starts = text.encode(), byte_starts(text)
    ends = [int(starts[end]) for _, end in offsets]
    cuts = [0]
    for i, end in enumerate(ends[:-1]):
        following = offsets[i + 1][0]
        shared = following < offsets[i][1]
        cut = min(end, max(cuts[-1], int(starts[following])) + 1) if shared else end
        cuts.append(max(cuts[-1], cut))
    cuts.append(len(utf8))
    return tuple(utf8[a:b] for a, b in pairwise(cuts))


@cache
def byte_letters() -> dict[str, int]:
    """Return the byte behind each letter in which byte-level vocabularies spell their tokens.

    Printable Latin-1 bytes stand for themselves; the 68 others take the code points from 256 on, in order.
    """
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [byte for byte in range(256) if byte not in set(plain)]
    return {chr(b): b for b in plain} | {chr(256 + i): b for i, b in enumerate(rest)}


def cut_by_letters(utf8: bytes, spelled: Sequence[str]) -> tuple[bytes, ...] | None:
    """Return the bytes that byte-level tokens spell, or nothing where they do not join to `utf8`.

    A space that the tokenizer put in front of the text is taken off again.
    """
    letters = byte_letters()
    try:
        pieces = [bytes([letters[letter] for letter in token]) for token in spelled]
    except KeyError:
        return None
    joined = b"".join(pieces)
    if pieces and joined == b" " + utf8:
        first = next(i for i, piece in enumerate(pieces) if piece)
        pieces[first] = pieces[first][1:]
        return tuple(pieces)
    return tuple(pieces) if joined == utf8 else None


def boundaries(pieces: Sequence[bytes]) -> Ints:
    """Return the byte positions of the boundaries inside a text, without its start and end, each once."""
    ends = np.cumsum([len(piece) for piece in pieces], dtype=np.int64)
    return np.unique(ends[(ends > 0) & (ends < ends[-1])]) if len(ends) else ends


def character_spans(pieces: Sequence[bytes]) -> tuple[Ints, NDArray[np.bool_]]:
    """Return the characters that each piece touches, [start, end) (pieces, 2), and whether it cuts one.

    A piece that holds some but not all bytes of a character touches it and cuts it.
    """
    if not pieces:
        return np.zeros((0, 2), np.int64), np.zeros(0, np.bool_)
    joined = np.frombuffer(b"".join(pieces), dtype=np.uint8)
    begins = np.append((joined & 0xC0) != 0x80, True)  # the end of the text begins a character, too
    index = np.cumsum(begins) - 1
    ends = np.cumsum([len(piece) for piece in pieces], dtype=np.int64)
    starts = np.concatenate([[0], ends[:-1]])
    empty = starts == ends
    last = np.where(empty, index[starts], index[np.maximum(ends - 1, 0)] + 1)
    cuts = ~empty & (~begins[starts] | ~begins[ends])
    return np.stack([index[starts], last], axis=1), cuts


def legible(piece: bytes) -> str:
    """Return a piece as it can be read: nothing invisible, bytes of cut characters in hexadecimal.

    A space is ␣, a line feed ↵, a tab ⇥, other invisible characters are ⟨U+200B⟩, a cut character's bytes
    ⟨E2⟩, and a mark with nothing to sit on gets a dotted circle.
    """
    return "".join(_legible(c, i == 0) for i, c in enumerate(piece.decode(errors="surrogateescape")))


def _legible(character: str, first: bool) -> str:
    point = ord(character)
    if 0xDC80 <= point <= 0xDCFF:
        return f"⟨{point - 0xDC00:02X}⟩"
    if character in SIGNS:
        return SIGNS[character]
    category = unicodedata.category(character)
    if category in INVISIBLE:
        return f"⟨U+{point:04X}⟩"
    return "◌" + character if first and category in MARKS else character
