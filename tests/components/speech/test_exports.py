"""Exports come back as they went, and foreign TextGrids are read or refused."""

import csv
import io
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.errors import InputError
from components.numerics.boundary_scores import edges, score
from components.speech import Segmentation
from components.speech._exports import as_json, contiguous, intervals, read_textgrid, table, textgrid

FOUND = Segmentation(
    np.array([[0.1, 0.25], [0.25, 0.5], [0.9, 1.0]]), 50.0, np.arange(6, dtype=np.float32).reshape(3, 2)
)
LABELS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=8).filter(str.strip)


@given(st.lists(st.tuples(st.floats(0.001, 2), st.floats(0, 1), LABELS), max_size=12), LABELS)
def test_textgrid_round_trip_is_exact(parts, name):
    tier, at = [], 0.0
    for length, gap, label in parts:
        tier.append((at + gap, at + gap + length, label))
        at = tier[-1][1]
    text = textgrid({name: tier}, at + 0.5)
    assert read_textgrid(text.encode()) == {name: tier}
    assert read_textgrid(text.encode("utf-16")) == {name: tier}


def test_quotes_and_apostrophes_survive():
    tier = [(0.0, 0.5, 'he said "don\'t"'), (0.5, 1.0, '""')]
    assert read_textgrid(textgrid({'a "b"': tier}, 1.0).encode())['a "b"'] == tier


def test_tiers_are_contiguous_and_without_empty_lengths():
    filled = contiguous([(0.2, 0.2, "nothing"), (0.3, 0.5, "a"), (0.5, 0.6, "b")], 1.0)
    assert filled == [(0.0, 0.3, ""), (0.3, 0.5, "a"), (0.5, 0.6, "b"), (0.6, 1.0, "")]
    assert contiguous([(0.0, 1.0, "all")], 1.0) == [(0.0, 1.0, "all")]
    assert contiguous([], 2.0) == [(0.0, 2.0, "")]


def test_reads_the_short_form_comments_and_skips_point_tiers():
    short = """File type = "ooTextFile"
"TextGrid"
0
2.5 ! seconds
<exists>
2
"TextTier"
"tones"
0
2.5
1
1.25
"H*"
"IntervalTier"
"syllables"
0
2.5
3
0
0.5
""
0.5
1.5
"ka"
1.5
2.5
"pɯ"
"""
    expected = {"syllables": [(0.5, 1.5, "ka"), (1.5, 2.5, "pɯ")]}
    assert read_textgrid(short.encode()) == expected
    assert read_textgrid(b"\xef\xbb\xbf" + short.replace("\n", "\r\n").encode()) == expected


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"\xff\xfe\x00",
        b'"ooTextFile" "PitchTier" 0 1 <exists> 0',
        b'"ooTextFile" "TextGrid" 0 1 <exists> 1 "IntervalTier" "a" 0 1 5 0 1 "x"',
        b'"ooTextFile" "TextGrid" 0 1 <exists> 1e300',
        b'"ooTextFile" "TextGrid" 0 nan <exists> 0',
        b'"ooTextFile" "TextGrid" 2 1 <exists> 0',
    ],
)
def test_refuses_what_is_no_textgrid(data):
    with pytest.raises(InputError, match="no readable Praat TextGrid"):
        read_textgrid(data)


def test_refuses_a_huge_textgrid():
    with pytest.raises(InputError, match="up to 8,000,000 fit"):
        read_textgrid(b"x" * 8_000_001)


def test_a_reimported_segmentation_scores_perfectly():
    tier = read_textgrid(textgrid({"a": intervals(FOUND.bounds)}, 1.0).encode())["a"]
    times = np.array([[start, end] for start, end, _ in tier])
    counts = score(edges(times), edges(FOUND.bounds), 0.0001)
    assert counts.f1 == counts.r_value == 1.0


def test_table_and_json_hold_the_segments():
    rows = list(csv.DictReader(io.StringIO(table({"A": FOUND}))))
    assert [(row["segment"], row["start_s"], row["duration_s"]) for row in rows] == [
        ("1", "0.1000", "0.1500"),
        ("2", "0.2500", "0.2500"),
        ("3", "0.9000", "0.1000"),
    ]
    data = json.loads(as_json({"A": FOUND}, "clip", 1.0))
    assert data["methods"]["A"]["bounds"] == FOUND.bounds.tolist()
    assert data["methods"]["A"]["vectors"] == [[0, 1], [2, 3], [4, 5]]
