import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.numerics.byte_ngrams import WIDTH, ngram_vectors


def test_one_byte_by_hand():
    """Of one byte there are three 1-grams, two 2-grams and one 3-gram, with the marks around it."""
    expected = np.zeros(WIDTH)
    for gram in (b"\x02", b"a", b"\x03", b"\x02a", b"a\x03", b"\x02a\x03"):
        code = zlib.crc32(gram)
        expected[code % WIDTH] += 1 if code >= 2**31 else -1
    assert ngram_vectors([b"a"])[0] == pytest.approx(expected / np.linalg.norm(expected))


@given(st.lists(st.binary(max_size=20), max_size=8))
def test_vectors_are_unit_and_the_same_for_the_same_bytes(pieces):
    vectors = ngram_vectors([*pieces, *pieces])
    assert vectors.shape == (2 * len(pieces), WIDTH)
    assert np.array_equal(vectors[: len(pieces)], vectors[len(pieces) :])
    norms = np.linalg.norm(vectors, axis=1)
    assert np.all((np.abs(norms - 1) < 1e-5) | (norms == 0))


def test_alike_in_spelling_is_near():
    harbour, harbours, clock = ngram_vectors([b" harbour", b" harbours", b" clock"])
    assert harbour @ harbours > 0.6 > harbour @ clock
