"""Substitution ciphers: the alphabet, keys, frequency analysis and the assignment."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.numerics import substitution as sub


def test_symbols_and_back():
    assert sub.spell(sub.symbols("It’s 5\nO.K., ä😀")) == "it's ·\no.k., ··"
    assert sub.symbols("az \n.,'?").tolist() == [0, 25, 26, 27, 28, 29, 30, 31]
    assert len(sub.ALPHABET) + 1 == sub.SIZE == len(sub.FREQUENCIES)
    assert sub.symbols("").shape == (0,)


def test_frequencies_are_those_of_english():
    shares = dict(zip(sub.ALPHABET, sub.FREQUENCIES, strict=False))
    assert sum(sub.FREQUENCIES) == pytest.approx(100_000, abs=20)
    assert "".join(sorted(shares, key=lambda c: -shares[c])[:10]) == " etaonihsr"


@given(st.integers(0, 2**32), st.text())
def test_a_key_is_undone_by_its_reading(seed, text):
    key, plain = sub.fresh_key(seed), sub.symbols(text)
    assert sorted(key.tolist()) == list(range(32))
    cipher = sub.encipher(plain, key)
    assert np.array_equal(sub.true_reading(key)[cipher], plain)
    assert sub.key_accuracy(cipher, sub.true_reading(key), key) == (1 if text else 0)


def test_frequency_guess_reads_a_text_of_exactly_english_frequencies():
    plain = np.repeat(np.arange(32), sub.FREQUENCIES)
    key = sub.fresh_key(4)
    cipher = sub.encipher(plain, key)
    reading = sub.frequency_guess(cipher)
    assert sub.key_accuracy(cipher, reading, key) == 1
    assert sorted(reading.tolist()) == list(range(32))
    # Two symbols whose counts swap are confused, and weigh what they are in the text.
    counts = np.array(sub.FREQUENCIES)
    counts[[0, 8]] = 5212, 6280 - 200
    swapped = sub.encipher(np.repeat(np.arange(32), counts), key)
    wrong = (sub.frequency_guess(swapped) != sub.true_reading(key))[swapped].mean()
    assert sub.key_accuracy(swapped, sub.frequency_guess(swapped), key) == pytest.approx(1 - wrong)
    assert wrong > 0.1


def test_gather_is_the_mean_over_occurrences():
    cipher = np.array([3, 5, 3])
    beliefs = np.random.default_rng(0).normal(size=(3, 32))
    found = sub.gather(cipher, beliefs)
    assert np.allclose(found[3], (beliefs[0] + beliefs[2]) / 2)
    assert np.allclose(found[5], beliefs[1])
    assert not found[[i for i in range(32) if i not in (3, 5)]].any()


def test_one_to_one_is_the_best_of_all_permutations(monkeypatch):
    chance = np.random.default_rng(1)
    evidence, counts = chance.normal(size=(6, 6)), chance.integers(1, 9, 6)
    best = max(itertools.permutations(range(6)), key=lambda p: (counts * evidence[range(6), p]).sum())
    assert sub.one_to_one(evidence, counts).tolist() == list(best)
    weighted = np.array([[1.0, 0.9], [0.9, 0.0]])
    assert sub.one_to_one(weighted, np.array([1, 1])).tolist() == [1, 0]
    assert sub.one_to_one(weighted, np.array([100, 1])).tolist() == [0, 1]
