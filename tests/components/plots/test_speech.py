"""The figure shows the segments it was given, where they are, and stays small."""

from itertools import pairwise

import numpy as np
import pytest

from components.plots.palette import ACCENT
from components.plots.speech import Curve, Row, Truth, similarity, timeline

RATE = 16_000


def noise(seconds):
    return np.random.default_rng(0).normal(0, 0.1, int(seconds * RATE)).astype(np.float32)


def row(segments, title="A", curves=()):
    edges = np.linspace(0, 0.2 * segments, segments + 1)
    return Row(title, np.stack([edges[:-1], edges[1:]], axis=1), curves)


def named(figure, name):
    return next(trace for trace in figure.data if trace.name == name)


def test_bars_lie_at_the_bounds_and_carry_ids():
    figure = timeline(noise(2), RATE, [row(5), row(10, "B")])
    bar = named(figure, "B")
    assert bar.customdata == tuple(f"1:{k}" for k in range(10))
    assert list(bar.base) == pytest.approx([0.2 * k for k in range(10)])
    assert list(bar.x) == pytest.approx([0.2] * 10)
    assert len(set(bar.marker.color)) == 2 and bar.marker.color[0] == bar.marker.color[2]
    assert bar.selected.marker.color == ACCENT


def test_a_window_shows_only_what_reaches_into_it_with_the_same_ids():
    truth = Truth("marks", row(20).bounds, [f"s{k}" for k in range(20)])
    curve = Curve("norm", np.arange(200.0), 50.0, 0.01, 3.0)
    figure = timeline(noise(4), RATE, [row(20, curves=(curve,))], truth, start=1.0, stop=2.0)
    assert named(figure, "A").customdata == tuple(f"0:{k}" for k in range(5, 10))
    assert named(figure, "marks").text == tuple(f"s{k}" for k in range(5, 10))
    line = named(figure, "norm")
    assert line.x0 + line.dx * (line.y[0] - 49) == pytest.approx(0.99)  # value 49 lies at 0.99 s
    assert tuple(figure.layout.xaxis.range) == (1.0, 2.0)


def test_the_panels_stack_without_overlap():
    curve = Curve("norm", np.ones(100), 50.0, 0.01, 0.5)
    figure = timeline(noise(2), RATE, [row(3, curves=(curve,)), row(3, "B")])
    domains = [figure.layout[f"yaxis{n}"].domain for n in ("", 2, 3, 4, 5)]
    assert all(above[0] > below[1] for above, below in pairwise(domains))
    assert domains[-1][0] == pytest.approx(0, abs=1e-9)


def test_gaps_in_a_curve_stay_gaps():
    values = np.array([0.1, np.nan, 0.3])
    figure = timeline(noise(1), RATE, [row(1, curves=(Curve("c", values, 50, 0),))])
    assert named(figure, "c").y == (0.1, None, 0.3)


def test_the_figure_of_30_s_is_below_400_kb():
    curves = tuple(Curve(f"c{k}", np.random.default_rng(k).random(3000), 100.0, 0.005, 0.5) for k in range(3))
    figure = timeline(noise(30), RATE, [row(150, n, curves) for n in "ABC"])
    assert len(figure.to_json()) < 400_000


def test_silence_and_no_segments_can_be_drawn():
    figure = timeline(np.zeros(1600, np.float32), RATE, [Row("A", np.zeros((0, 2)))])
    assert named(figure, "A").customdata == ()


def test_similarity_draws_squares_at_the_segments():
    figure = similarity(np.eye(50), 2.0, 3.0, np.array([[2.1, 2.3]]), "A")
    assert figure.data[1].x == (2.1, 2.1, 2.3, 2.3, 2.1, None)
    assert figure.data[0].x0 == pytest.approx(2.01) and figure.data[0].dx == pytest.approx(0.02)
    assert figure.data[0].z.dtype == np.int8
