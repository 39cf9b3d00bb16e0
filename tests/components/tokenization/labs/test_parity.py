import math

import numpy as np
import pytest

from components.method import Bars, HeatMap, Table
from components.tokenization import Text
from components.tokenization._samples import parallel
from components.tokenization.labs.parity import PEERS, Parity, own_sentences, premiums, summary


def test_bytes_are_counted_as_bytes(models):
    found = premiums("byte_values", parallel(), "English", models)
    size = {language: len("".join(lines).encode()) for language, lines in parallel().items()}
    assert found == pytest.approx({language: n / size["English"] for language, n in size.items()})


def test_languages_that_are_mostly_unknown_are_left_blank(models):
    found = premiums("wordpiece", parallel(), "English", models)
    assert math.isnan(found["Thai"]) and found["English"] == 1


def test_panels_and_the_base(models):
    bars, matrix, table = Parity(base="Turkish", tokenizer="byte_values")(Text(""), models)
    assert isinstance(bars, Bars) and isinstance(matrix, HeatMap) and isinstance(table, Table)
    assert bars.values["Turkish"] == 1
    assert matrix.values.shape == (len(parallel()), len(PEERS))
    assert np.nanmin(matrix.values) > 0


def test_sentences_of_ones_own(models):
    assert own_sentences("English: a\nGerman: b: c\n\n") == {"English": ("a",), "German": ("b: c",)}
    assert own_sentences("English: a") == own_sentences("no colon\nEnglish: a") == {}
    bars, *_ = Parity(tokenizer="byte_values")(Text("x: ab\ny: abcd"), models)
    assert bars.values == {"x": 1.0, "y": 2.0}


def test_summary_by_hand():
    ((title, deviation, largest, language),) = summary({"t": {"a": 1.0, "b": 2.0, "c": math.nan}})
    assert (title, largest, language) == ("t", 2.0, "b")
    assert deviation == pytest.approx(math.log(2) / 2, abs=1e-3)


def test_the_claim_holds(models):
    finding = Parity.check(models)
    assert finding.holds, finding
