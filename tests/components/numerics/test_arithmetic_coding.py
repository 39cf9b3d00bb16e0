"""Arithmetic coding: exact round trips, the length that the probabilities promise, exact fractions."""

import math
from fractions import Fraction

import numpy as np
import pytest

from components.errors import InputError
from components.numerics.arithmetic_coding import TOTAL, decode, edges, encode, own_shares, whole_counts


def predictor(seed, sharpness=3.0):
    """Counts that depend on the last two bytes."""

    def predict(text):
        random = np.random.default_rng((seed, *text[-2:]))
        return whole_counts(np.exp(sharpness * random.normal(size=256)))

    return predict


def texts():
    random = np.random.default_rng(1)
    yield b""
    yield b"a"
    yield bytes(range(256))
    yield b"\0" * 50 + b"\xff" * 50
    yield random.integers(0, 256, 400).astype(np.uint8).tobytes()


def code_of(text, predict):
    counts = np.array([predict(text[:i]) for i in range(len(text))]).reshape(-1, 256)
    return encode(text, own_shares(text, counts))


def test_counts_add_up_and_keep_a_place_for_every_byte():
    random = np.random.default_rng(2)
    odds = random.dirichlet(np.full(256, 0.02), (5, 3))
    odds[0, 0] = np.eye(256)[7]
    counts = whole_counts(odds)
    assert (counts.sum(-1) == TOTAL).all()
    assert counts.min() == 1
    assert counts[0, 0, 7] == TOTAL - 255
    assert np.abs(counts / TOTAL - odds).max() < 256 / TOTAL + 1e-9
    assert (whole_counts(odds * 3.7) == counts).all()
    assert edges(np.array([3, 1, 2])).tolist() == [0, 3, 4, 6]


@pytest.mark.parametrize("sharpness", [0.0, 3.0, 40.0])
def test_every_text_comes_back(sharpness):
    predict = predictor(3, sharpness)
    for text in texts():
        assert decode(code_of(text, predict), len(text), predict) == text


def test_the_code_is_as_long_as_the_information():
    predict = predictor(4)
    for text in texts():
        bits = -sum(math.log2(predict(text[:i])[b] / TOTAL) for i, b in enumerate(text))
        assert bits - 1e-3 <= 8 * len(code_of(text, predict)) <= bits + 16


def test_carries_run_through_bytes_of_255():
    """Almost all mass below the text's symbol keeps the interval just under a power of two."""
    counts = np.ones(256, np.int64)
    counts[0] = TOTAL - 255
    top, sure = counts[::-1].copy(), counts

    def predict(text):
        return top if len(text) % 3 else sure

    for text in (b"\xff" * 60, b"\xff\xfe" * 30, b"\x01\xff\xff" * 20, b"\0\xff\xff" * 40):
        assert decode(code_of(text, predict), len(text), predict) == text


def test_the_point_lies_in_the_interval_of_exact_fractions():
    predict = predictor(5)
    text = bytes(np.random.default_rng(6).integers(97, 123, 40).tolist())
    low, width = Fraction(0), Fraction(1)
    for i, byte in enumerate(text):
        bounds = edges(predict(text[:i]))
        low += width * Fraction(int(bounds[byte]), TOTAL)
        width *= Fraction(int(bounds[byte + 1] - bounds[byte]), TOTAL)
    code = code_of(text, predict)
    point = Fraction(int.from_bytes(code, "big"), 256 ** len(code))
    # Rounding down narrows each step by less than 2**-32 of its width.
    slack = len(text) * Fraction(1, 2**32)
    # In the first steps that moves the point by up to `slack` in all; later ones count for less and less.
    assert abs(point - low) < slack + width
    exact = [tuple(edges(predict(text[:i]))[[b, b + 1]].tolist()) for i, b in enumerate(text[:3])]
    first = encode(text[:3], exact)  # three steps of 16 bits fit in 56: there is no rounding at all
    low, width = Fraction(0), Fraction(1)
    for begin, end in exact:
        low, width = low + width * Fraction(begin, TOTAL), width * Fraction(end - begin, TOTAL)
    point = Fraction(int.from_bytes(first, "big"), 256 ** len(first))
    assert low <= point
    assert point + Fraction(1, 256 ** len(first)) <= low + width


def test_lengths_must_agree():
    with pytest.raises(InputError, match="3 bytes came with 2"):
        own_shares(b"abc", np.ones((2, 256), np.int64))
