import numpy as np
import pytest

from components.method import HeatMap, Table
from components.vision import labs, reducers


def test_every_reducer_has_its_matrix_with_rows_that_sum_to_one(untrained, picture):
    table, *maps = labs.create("as_a_matrix", keep=0.25, layer=2)(picture, untrained)
    assert isinstance(table, Table)
    assert len(table.rows) == len(maps) == len(reducers.names())
    by_title = {row[0]: row for row in table.rows}
    assert by_title[reducers["todre"].card.title] == (reducers["todre"].card.title, 65, 1.0, 192, 1)
    assert by_title[reducers["none"].card.title][1] == 257
    merged = by_title[reducers["tome"].card.title]
    assert merged[1] == 65
    assert merged[3] == 0
    for shown in maps:
        assert isinstance(shown, HeatMap)
        assert shown.values.shape[1] == 257
        assert shown.values.sum(axis=1) == pytest.approx(1, abs=1e-6)
        assert (np.diff(shown.values.argmax(axis=1)) >= 0).all()  # rows run down the diagonal


def test_the_claim_holds(bundled):
    finding = labs["as_a_matrix"].check(bundled)
    assert finding.holds, finding.measured
