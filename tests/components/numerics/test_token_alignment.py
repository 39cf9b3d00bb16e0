import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.numerics.token_alignment import (
    boundaries,
    byte_letters,
    byte_starts,
    character_spans,
    cut_by_letters,
    cut_by_offsets,
    legible,
)

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@given(TEXTS)
def test_byte_starts_are_those_of_pythons_encoder(text):
    assert byte_starts(text).tolist() == [len(text[:i].encode()) for i in range(len(text) + 1)]


def test_widths_change_where_utf8_says():
    edges = "\x7f\x80\u07ff\u0800\uffff\U00010000"
    assert byte_starts(edges).tolist() == [0, 1, 3, 5, 8, 11, 15]


def test_offsets_cut_by_hand():
    # skipped white space goes to the piece after it, or to the last
    assert cut_by_offsets(" a  b ", [(1, 2), (4, 5)]) == (b" a", b"  b ")
    # two tokens share the ligature's three bytes: one, then the rest
    assert cut_by_offsets("ﬁ", [(0, 1), (0, 1)]) == (b"\xef", b"\xac\x81")
    # the first token also holds a whole letter, and one byte of what both share
    assert cut_by_offsets("aé", [(0, 2), (1, 2)]) == (b"a\xc3", b"\xa9")
    # more tokens than bytes: what is left over is empty
    assert cut_by_offsets("ab", [(0, 1), (0, 1), (1, 2)]) == (b"a", b"", b"b")
    assert cut_by_offsets("abc", []) == ()


@given(TEXTS, st.data())
def test_offsets_in_any_order_lose_nothing(text, data):
    edge = st.integers(0, len(text))
    offsets = sorted(data.draw(st.lists(st.tuples(edge, edge).map(sorted).map(tuple), min_size=1)))
    pieces = cut_by_offsets(text, offsets)
    assert len(pieces) == len(offsets)
    assert b"".join(pieces) == text.encode()


@given(st.binary(max_size=30), st.data())
def test_letters_are_read_back(raw, data):
    spelling = {byte: letter for letter, byte in byte_letters().items()}
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=4)))
    pieces = tuple(raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True))
    assert cut_by_letters(raw, ["".join(spelling[b] for b in piece) for piece in pieces]) == pieces


def test_the_letters_are_those_of_the_tokenizers_library():
    from tokenizers import pre_tokenizers

    assert sorted(byte_letters()) == sorted(pre_tokenizers.ByteLevel.alphabet())
    assert pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str("é \n")[0][
        0
    ] == "".join({byte: letter for letter, byte in byte_letters().items()}[b] for b in "é \n".encode())


def test_letters_that_do_not_spell_the_text_are_not_believed():
    assert cut_by_letters(b"ab", ["a"]) is None
    assert cut_by_letters(b"ab", ["a", "漢"]) is None
    assert cut_by_letters(b"ab", ["Ġa", "b"]) == (b"a", b"b")


def test_boundaries_leave_out_start_end_and_repeats():
    assert boundaries([b"", b"ab", b"", b"c", b""]).tolist() == [2]
    assert boundaries([]).tolist() == []
    assert boundaries([b"abc"]).tolist() == []


def test_character_spans_by_hand():
    # a, the three bytes of €, and b, cut as a+€1 | €2 | €3+b
    spans, cuts = character_spans([b"a\xe2", b"\x82", b"\xacb", b""])
    assert spans.tolist() == [[0, 2], [1, 2], [1, 3], [3, 3]]
    assert cuts.tolist() == [True, True, True, False]


def test_a_piece_without_bytes_cuts_nothing():
    spans, cuts = character_spans([b"", b"\xe2", b"", b"\x82\xac"])
    assert spans.tolist() == [[0, 0], [0, 1], [0, 0], [0, 1]]
    assert cuts.tolist() == [False, True, False, True]


@given(TEXTS, st.data())
def test_character_spans_agree_with_decoding(text, data):
    raw = text.encode()
    edges = sorted({0, len(raw), *data.draw(st.lists(st.integers(0, len(raw)), max_size=6))})
    pieces = [raw[a:b] for a, b in itertools.pairwise(edges)]
    spans, cuts = character_spans(pieces)
    for piece, (start, end), cut in zip(pieces, spans.tolist(), cuts.tolist(), strict=True):
        assert piece in text[start:end].encode()
        if not cut:
            assert piece == text[start:end].encode()
        else:
            with pytest.raises(UnicodeDecodeError):
                piece.decode()
    assert np.all(spans[:, 0] <= spans[:, 1])


def test_nothing_stays_invisible():
    assert legible(b"a b\n") == "a␣b↵"
    assert legible(b"\xe2\x82") == "⟨E2⟩⟨82⟩"
    assert legible("\u200b\u00a0\x7f".encode()) == "⟨U+200B⟩⟨U+00A0⟩⟨U+007F⟩"
    assert legible("\u0301a\u0301".encode()) == "◌\u0301a\u0301"
