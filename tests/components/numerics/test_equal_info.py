"""Equal-Info windows against exact fractions and brute force; round trips; the written-out book."""

from fractions import Fraction
from functools import lru_cache

import numpy as np
import pytest

from components.errors import InputError
from components.numerics.arithmetic_coding import TOTAL, edges, whole_counts
from components.numerics.equal_info import VERBATIM, CodeBook, Windows, code_book


def predictor(seed=1, sharpness=2.5):
    """Counts over four letters mostly, by the last byte."""

    @lru_cache(None)
    def after(last):
        random = np.random.default_rng((seed, last))
        odds = np.full(256, 1e-4)
        odds[97:101] = np.exp(sharpness * random.normal(size=4))
        return whole_counts(odds)

    return lambda text: after(text[-1] if text else 0)


def letters(count, seed=2):
    return bytes(np.random.default_rng(seed).choice(list(b"abcd"), count, p=[0.4, 0.3, 0.2, 0.1]).tolist())


def exact_codes(text, predict, bits):
    """The codes inside the text's interval, in fractions without any rounding."""
    low, width = Fraction(0), 1 - Fraction(VERBATIM, 1 << bits)
    for i, byte in enumerate(text):
        bounds = edges(predict(text[:i]))
        low += width * Fraction(int(bounds[byte]), TOTAL)
        width *= Fraction(int(bounds[byte + 1] - bounds[byte]), TOTAL)
    first = -((-low * (1 << bits)).__floor__())
    return set(range(first, ((low + width) * (1 << bits)).__floor__()))


def exact_window(text, predict, bits):
    """The longest beginning with a code that no longer text holds, from the definition."""
    found = (1 << bits) - VERBATIM + text[0], 1
    for length in range(1, len(text) + 1):
        own = exact_codes(text[:length], predict, bits)
        if not own:
            break
        for byte in range(256):
            own -= exact_codes(text[:length] + bytes([byte]), predict, bits)
        if own:
            found = min(own), length
    return found


@pytest.mark.parametrize("bits", [12, 16, 20])
def test_windows_equal_the_definition_in_fractions(bits):
    predict = predictor()
    windows = Windows(predict, bits)
    text, at = letters(14), 0
    for code, length in windows.encode(text):
        assert (code, length) == exact_window(text[at:], predict, bits)
        assert windows.decode_window(code) == text[at : at + length]
        at += length
    assert at == len(text)


@pytest.mark.parametrize("bits", [12, 16, 17, 64])
def test_every_text_comes_back(bits):
    windows = Windows(predictor(3), bits)
    strange = bytes(range(256)) + b"\xff" * 20
    for text in (b"", b"a", letters(400), strange, letters(5) + b"\0" + letters(5)):
        coded = windows.encode(text)
        assert windows.decode([code for code, _ in coded]) == text
        assert all(0 <= code < 1 << bits for code, _ in coded)
        assert sum(length for _, length in coded) == len(text)


def test_a_changed_code_damages_its_own_window_alone():
    windows = Windows(predictor(), 16)
    text = letters(300)
    coded = windows.encode(text)
    codes = [code for code, _ in coded]
    before = sum(length for _, length in coded[:7])
    after = sum(length for _, length in coded[8:])
    codes[7] ^= 1 << 13
    damaged = windows.decode(codes)
    assert damaged[:before] == text[:before]
    assert damaged[-after:] == text[-after:]
    assert damaged != text


def test_windows_hold_as_much_as_their_bits_promise():
    """The mean information of a window comes near its bits and never passes them by more than rounding."""
    predict = predictor()
    text = letters(1500)
    for bits in (16, 64):
        coded = Windows(predict, bits).encode(text)
        total = sum(-np.log2(predict(text[max(0, i - 1) : i])[b] / TOTAL) for i, b in enumerate(text))
        assert 0.75 * bits < total / len(coded) < bits + 1


def test_the_book_says_what_the_coder_says():
    predict = predictor(4)

    def many(texts):
        assert len(set(map(len, texts))) == 1
        return np.stack([predict(text) for text in texts])

    windows = Windows(predict, 12, 6)
    book = code_book(many, 12, 6, batch=7)
    for code in range(0, 1 << 12, 5):
        assert book.texts[code] == windows.decode_window(code)
    for text in (letters(500, 5), bytes(range(256)), b"a" * 40):
        codes = book.encode(text)
        assert codes == [code for code, _ in windows.encode(text)]
        assert book.decode(codes) == text
    assert max(map(len, book.texts)) == 6


def test_a_book_without_a_byte_still_spells_it_verbatim():
    texts = [b"ab", b"a", b""] + [bytes([i]) for i in range(256)]
    book = CodeBook(texts)
    assert book.encode(b"abba") == [0, 3 + 98, 1]
    assert book.decode(book.encode(b"abba")) == b"abba"


def test_bits_and_codes_out_of_range_are_refused():
    with pytest.raises(InputError, match="Windows of 8 bits"):
        Windows(predictor(), 8)
    with pytest.raises(InputError, match="no code of 12 bits"):
        Windows(predictor(), 12).decode_window(4096)
