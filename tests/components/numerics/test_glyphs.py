"""Characters as pictures: where the ink is, what tells tokens apart, and the axes against another PCA."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from components.errors import InputError
from components.numerics import glyphs


def test_ink_lies_where_the_character_has_it():
    wide, tall, low = glyphs.draw("—"), glyphs.draw("l"), glyphs.draw(".")
    assert wide.shape == (16, 16)
    rows, columns = np.nonzero(wide)
    assert np.ptp(columns) >= 8 and np.ptp(rows) <= 2
    rows, columns = np.nonzero(tall)
    assert np.ptp(rows) >= 8 and np.ptp(columns) <= 3
    assert np.nonzero(low)[0].min() > np.nonzero(tall)[0].mean()
    assert not glyphs.draw(" ").any()


def test_every_letter_has_a_picture_of_its_own():
    tokens = [*map(chr, range(32, 127)), "\n", "\t"]
    assert len(np.unique(glyphs.bits(tokens), axis=0)) == len(tokens)
    assert np.array_equal(glyphs.draw("A"), glyphs.draw("А"))  # Latin and Cyrillic: no eye tells them apart


def test_cells_stand_side_by_side_in_reading_order():
    left, right = glyphs.draw("l "), glyphs.draw(" l")
    assert left[:, :8].any() and not left[:, 8:].any()
    assert right[:, 8:].any() and not right[:, :8].any()
    assert not np.array_equal(glyphs.draw("on"), glyphs.draw("no"))


def test_a_character_the_font_lacks_is_noticed():
    assert glyphs.knows("A") and glyphs.knows(" ")
    assert not glyphs.knows("\U0010fffe")
    with pytest.raises(InputError, match="empty"):
        glyphs.draw("")


def test_a_machine_without_fonts_says_so(monkeypatch):
    monkeypatch.setattr(glyphs, "FONTS", ("no-such-font.ttf",))
    with pytest.raises(InputError, match="DejaVu"):
        glyphs.font.__wrapped__()


def test_axes_agree_with_scikit_learn_and_vectors_have_length_one():
    pictures = np.random.default_rng(0).random((60, 256)) < 0.3
    mean, axes = glyphs.principal_axes(pictures, 12)
    oracle = PCA(12, svd_solver="full").fit(pictures.astype(float))
    assert np.allclose(mean, pictures.mean(0), atol=1e-6)
    assert np.allclose(np.abs(axes.T @ oracle.components_.T), np.eye(12), atol=1e-4)
    assert (axes[np.abs(axes).argmax(0), np.arange(12)] > 0).all()
    found = glyphs.vectors(pictures, mean, axes)
    by_hand = np.abs(oracle.transform(pictures.astype(float)))
    by_hand /= np.linalg.norm(by_hand, axis=1, keepdims=True)
    assert np.allclose(np.abs(found), by_hand, atol=1e-4)
    assert np.array_equal(glyphs.vectors(mean[None], mean, axes), np.zeros((1, 12)))
    with pytest.raises(InputError, match="60 principal axes"):
        glyphs.principal_axes(pictures, 61)
