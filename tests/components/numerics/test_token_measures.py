import itertools
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.numerics.token_measures import (
    agreement,
    bit_compression,
    continued_words,
    cut_characters,
    jaccard,
    lengths,
    measure,
    premium,
    renyi_efficiency,
    renyi_entropy,
)


def test_a_small_text_by_hand():
    text = "ab cd é"  # 8 bytes, 7 characters, 3 words
    pieces = [b"ab", b" c", b"d", b" ", b"\xc3", b"\xa9"]
    found = measure(text, pieces, [0, 1, 2, 3, 4, 4], 16, decoded=text, unknown=3)
    assert found.tokens == 6 and found.unique == 5
    assert found.characters_per_token == pytest.approx(7 / 6)
    assert found.bytes_per_token == pytest.approx(8 / 6)
    assert found.fertility == pytest.approx(2)
    assert found.continued_words == pytest.approx(2 / 3)  # cd and é, not ab
    assert found.cut_characters == pytest.approx(1 / 7)
    assert found.unknown_share == 0.5
    assert found.round_trip
    assert found.bit_compression == pytest.approx(8 * 8 / (6 * 4))


def test_a_boundary_at_a_words_edge_does_not_cut_it():
    assert continued_words("ab cd", [b"ab", b" ", b"cd"]) == 0
    assert continued_words("ab cd", [b"ab ", b"c", b"d"]) == 0.5


def test_the_empty_text_has_no_ratios():
    found = measure("", [], [], 256, decoded="")
    assert found.tokens == 0 and found.round_trip
    for value in (found.characters_per_token, found.fertility, found.renyi_efficiency, found.continued_words):
        assert math.isnan(value)


def test_renyi_by_hand():
    assert renyi_entropy([1, 1, 1, 1]) == pytest.approx(2)
    assert renyi_entropy([3, 1], alpha=2) == pytest.approx(-math.log2(10 / 16))
    assert renyi_entropy([2, 1, 1], alpha=1) == pytest.approx(1.5)
    assert renyi_efficiency([0, 1, 2, 3], 16) == pytest.approx(0.5)
    assert math.isnan(renyi_efficiency([], 16))


@given(st.lists(st.integers(0, 20), min_size=1))
def test_renyi_is_the_direct_sum_and_below_shannon(ids):
    counts = list(Counter(ids).values())
    direct = math.log2(sum((c / len(ids)) ** 2.5 for c in counts)) / (1 - 2.5)
    assert renyi_entropy(counts) == pytest.approx(direct, abs=1e-9)
    assert renyi_entropy(counts) <= renyi_entropy(counts, 1) + 1e-9
    assert renyi_entropy(counts) <= math.log2(len(counts)) + 1e-9


def test_bit_compression_by_hand():
    assert bit_compression(100, 100, 256) == 1  # bytes compress nothing
    assert bit_compression(100, 50, 257) == pytest.approx(16 / 9)


def cut(text, edges):
    raw = text.encode()
    edges = sorted({0, len(raw), *(e for e in edges if e <= len(raw))})
    return [raw[a:b] for a, b in itertools.pairwise(edges)]


TEXTS = st.text(st.sampled_from("ab é€\n👍"), max_size=20)
EDGES = st.lists(st.integers(0, 60), max_size=8)


@given(TEXTS, EDGES)
def test_continued_words_and_cut_characters_agree_with_a_slow_count(text, edges):
    pieces = cut(text, edges)
    inside, at = set(), 0
    for piece in pieces[:-1]:
        at += len(piece)
        inside.add(at)
    words, broken, start = 0, 0, None
    for i in range(len(text) + 1):
        blank = i == len(text) or text[i].isspace()
        if start is None and not blank:
            start = i
        elif start is not None and blank:
            span = range(len(text[:start].encode()) + 1, len(text[:i].encode()))
            words, broken, start = words + 1, broken + any(p in inside for p in span), None
    if words:
        assert continued_words(text, pieces) == pytest.approx(broken / words)
    chars = sum(
        any(len(text[:i].encode()) < p < len(text[: i + 1].encode()) for p in inside)
        for i in range(len(text))
    )
    if text:
        assert cut_characters(text, pieces) == pytest.approx(chars / len(text))


@given(TEXTS, EDGES, EDGES)
def test_jaccard_is_the_set_formula(text, a, b):
    first, second = cut(text, a), cut(text, b)
    inner = range(1, len(text.encode()))
    x, y = {e for e in a if e in inner}, {e for e in b if e in inner}
    assert jaccard(first, second) == pytest.approx(len(x & y) / len(x | y) if x | y else 1)
    table = agreement([first, second])
    assert np.array_equal(table, table.T) and table[0, 0] == 1 and table[0, 1] == jaccard(second, first)


def test_premium_and_lengths():
    assert premium(30, 10) == 3
    assert math.isnan(premium(3, 0))
    assert lengths([b"a", b"abc", b"b", b""]) == {0: 1, 1: 2, 3: 1}
