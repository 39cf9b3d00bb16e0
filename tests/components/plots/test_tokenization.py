import math

import numpy as np

from components.plots.palette import HUES
from components.plots.tokenization import premiums, shared_boundaries, token_counts, token_lengths


def test_bars_take_the_slots_hues():
    figure = token_counts({"A": 10, "B": 4})
    assert list(figure.data[0].y) == [10, 4]
    assert list(figure.data[0].marker.color) == list(HUES[:2])
    assert figure.layout.yaxis.title.text == "tokens"


def test_premiums_stand_side_by_side():
    figure = premiums(
        {"A": {"English": 1.0, "Thai": 3.0}, "B": {"English": 1.0, "Thai": math.nan}}, "English"
    )
    assert [bar.name for bar in figure.data] == ["A", "B"]
    assert list(figure.data[0].y) == [1.0, 3.0] and "English" in figure.layout.yaxis.title.text


def test_lengths_are_shares_of_each_methods_tokens():
    figure = token_lengths({"A": {1: 3, 4: 1}, "nothing": {}})
    assert list(figure.data[0].x) == [1, 4] and list(figure.data[0].y) == [75.0, 25.0]
    assert list(figure.data[1].y or []) == []


def test_the_matrix_keeps_its_order():
    figure = shared_boundaries(["A", "B"], np.array([[1, 0.25], [0.25, 1]]))
    assert figure.data[0].z[0][1] == 0.25 and figure.layout.yaxis.autorange == "reversed"
