import pytest

from components.errors import InputError
from components.method import Curves, Table, TokenStrip
from components.tokenization import Text
from components.tokenization._samples import sample
from components.tokenization.labs.merge_replay import SHOWN, MergeReplay, words


def test_words_join_to_the_text():
    for content in (sample("Emoji and marks"), sample("Python code")):
        assert b"".join(words(content)) == content.encode()


def test_the_curve_falls_and_the_strips_grow_coarser(models):
    curve, *strips, table = MergeReplay(merges=50)(Text(sample("English prose")), models)
    assert isinstance(curve, Curves) and isinstance(table, Table)
    _, tokens = curve.lines["tokens"]
    assert len(tokens) == 51 and (tokens[1:] < tokens[:-1]).all()
    assert tokens[0] == len(sample("English prose").encode())
    assert [strip.title for strip in strips] == [f"After {n} merges" for n in (0, 5, 25, 50)]
    assert len(strips[0].pieces) == SHOWN
    lengths = [len(strip.pieces) for strip in strips if isinstance(strip, TokenStrip)]
    assert lengths == sorted(lengths, reverse=True) and lengths[0] > lengths[-1]
    assert table.rows[0][0] == 1 and int(table.rows[0][3]) == tokens[0] - tokens[1]


def test_a_text_without_repeats_learns_nothing(models):
    _curve, *strips, table = MergeReplay()(Text("abc"), models)
    assert table.rows == () and len(strips) == 1 and strips[0].pieces == ("a", "b", "c")


def test_an_empty_text_is_refused(models):
    with pytest.raises(InputError, match="give some words"):
        MergeReplay()(Text("  "), models)


def test_the_claim_holds(models):
    finding = MergeReplay.check(models)
    assert finding.holds, finding
