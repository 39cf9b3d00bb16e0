import numpy as np
import pytest

from components.plots.palette import hue
from components.plots.retrieval import latency_quality, quality_bars, token_heat_map


def test_heat_map_rings_the_best_matches():
    similarity = np.array([[0.1, 0.9, 0.2], [0.8, 0.3, 0.8], [0.0, 0.0, 0.0]], dtype=np.float32)
    figure = token_heat_map("T", ["a", "<b>", "c"], ["x", "y", "x"], similarity, "cosine")
    heat, rings = figure.data
    np.testing.assert_allclose(heat.z, similarity)
    assert heat.customdata[0][2] == "t:2"
    assert list(zip(rings.x, rings.y, strict=True)) == [(1, 0), (0, 1)]  # a row of zeros matches nothing
    assert list(rings.customdata) == ["t:1", "t:0"]
    assert figure.layout.xaxis.ticktext == ("x", "y", "x")  # equal tokens stay apart
    assert figure.layout.yaxis.ticktext[1] == "&lt;b&gt;"


def test_long_documents_label_only_chosen_tokens():
    similarity = np.eye(2, 200, dtype=np.float32)
    figure = token_heat_map("T", ["a", "b"], [f"w{i}" for i in range(200)], similarity, "cosine")
    assert figure.layout.xaxis.ticktext == ("w0", "w1")


def test_a_document_without_tokens_is_drawn_empty():
    assert len(token_heat_map("T", ["a"], [], np.zeros((1, 0), np.float32), "weight").data[1].x) == 0


def test_bars_keep_each_methods_hue():
    figure = quality_bars(["BM25", "BM25"], {"nDCG@10": [0.5, 0.6], "MAP": [0.4, 0.3]}, 7)
    assert [bar.marker.color for bar in figure.data] == [hue(0), hue(1)]
    assert [bar.name for bar in figure.data] == ["1. BM25", "2. BM25"]
    assert list(figure.data[1].y) == [0.6, 0.3]
    assert "7" in figure.layout.title.text


def test_points_carry_time_and_quality():
    figure = latency_quality(["A", "B"], [1.0, 20.0], [0.5, 0.8], [100, 100_000])
    assert [(p.x[0], p.y[0]) for p in figure.data] == [(1.0, 0.5), (20.0, 0.8)]
    assert figure.data[1].marker.size == pytest.approx(8 + 3 * np.log10(100_001))
