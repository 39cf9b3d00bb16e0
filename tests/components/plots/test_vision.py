import base64
from dataclasses import dataclass, field
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from components.plots import vision as plots

SIDE, SIZE = 4, 32
rng = np.random.default_rng(0)
IMAGE = rng.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)


@dataclass
class Answer:
    segmentation: np.ndarray = field(default_factory=lambda: rng.integers(0, 8, (SIZE, SIZE)))
    disparity: np.ndarray = field(default_factory=lambda: rng.random((SIZE, SIZE), dtype=np.float32))


@dataclass
class Reduced:
    kept: np.ndarray
    regions: np.ndarray
    order: tuple = ()
    image: np.ndarray = field(default_factory=lambda: IMAGE)
    side: int = SIDE
    prediction: Answer = field(default_factory=Answer)


def pruned():
    kept = np.array([1, 6, 11])
    return Reduced(kept, np.array([1 + i % 3 for i in range(16)]), (6, 1, 11))


def merged():
    return Reduced(np.arange(16), np.array([1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 3, 3, 4, 5, 6, 7]))


def everything():
    return Reduced(np.arange(16), np.arange(1, 17))


def pixels(figure, place):
    source = figure.layout.images[place].source
    return np.asarray(Image.open(BytesIO(base64.b64decode(source.split(",")[1]))))


def test_kept_patches_keep_their_pixels_and_dropped_ones_lose_their_colour():
    shown = plots.overlay(pruned()).astype(int)
    large = IMAGE.repeat(plots.ZOOM, axis=0).repeat(plots.ZOOM, axis=1).astype(int)
    step = SIZE // SIDE * plots.ZOOM
    for i in range(16):
        cell = np.s_[i // 4 * step : (i // 4 + 1) * step, i % 4 * step : (i % 4 + 1) * step]
        if i in (1, 6, 11):
            assert np.array_equal(shown[cell], large[cell])
        else:
            assert np.ptp(shown[cell], axis=2).max() <= np.ptp(large[cell], axis=2).max() / 4 + 1


def test_merged_regions_take_their_mean_colour_between_dark_edges():
    shown = plots.overlay(merged())
    step = SIZE // SIDE * plots.ZOOM
    region = shown[1 : 2 * step, 1 : 2 * step]
    assert (region == region[0, 0]).all()
    mean = IMAGE[: SIZE // 2, : SIZE // 2].reshape(-1, 3).mean(axis=0)
    assert np.abs(region[0, 0] - mean).max() <= 1
    assert shown[3, 2 * step].sum() < 0.5 * shown[3, 2 * step + 1].sum()


def test_without_reduction_the_overlay_is_the_image():
    assert np.array_equal(plots.overlay(everything()), IMAGE.repeat(3, axis=0).repeat(3, axis=1))


@pytest.mark.parametrize("result", [pruned(), merged(), everything()])
@pytest.mark.parametrize("known", [True, False])
def test_a_column_shows_five_pictures_whose_patches_can_be_chosen(result, known):
    before, truth = Answer(), Answer() if known else None
    figure = plots.workings(result, 1, "A method", before, truth)
    assert len(figure.layout.images) == 5
    grids = [t for t in figure.data if t.type == "heatmap"]
    assert len(grids) == 5
    for grid in grids:
        assert [c for row in grid.customdata for c in row] == [f"patch:{i}" for i in range(16)]
    right = truth or before
    wrong = result.prediction.segmentation != right.segmentation
    assert np.array_equal((pixels(figure, 2) == plots.WRONG).all(axis=2), wrong)
    texts = " ".join(a.text for a in figure.layout.annotations)
    assert f"{100 * wrong.mean():.1f} % {'wrong' if known else 'changed'}" in texts
    assert np.array_equal(pixels(figure, 1), plots.class_picture(result.prediction.segmentation))
    assert len(figure.to_json()) < 400_000


def test_the_order_of_choice_is_drawn_where_there_is_one():
    figure = plots.workings(pruned(), 0, "A method", Answer(), None)
    (marks,) = [t for t in figure.data if t.type == "scatter"]
    assert list(marks.customdata) == ["patch:6", "patch:1", "patch:11"]
    assert (list(marks.x), list(marks.y)) == ([2, 1, 3], [1, 0, 2])
    assert list(marks.marker.color) == [1, 2, 3]
    assert "3 of 16 kept" in figure.layout.annotations[0].text
    assert not [t for t in plots.workings(merged(), 0, "", Answer(), None).data if t.type == "scatter"]


def test_the_reference_shows_the_truth_only_where_it_is_known():
    assert len(plots.reference(IMAGE, SIDE, Answer(), Answer()).layout.images) == 5
    unknown = plots.reference(IMAGE, SIDE, Answer(), None)
    assert len(unknown.layout.images) == 3
    assert "Truth" not in " ".join(a.text for a in unknown.layout.annotations)


def test_errors_are_white_at_zero_red_too_near_and_blue_too_far():
    zero, near, far = (plots.difference_picture(np.full((1, 1), e))[0, 0].astype(int) for e in (0, 0.3, -0.3))
    assert zero.min() > 240
    assert near[0] > near[2] + 50
    assert far[2] > far[0] + 50


def test_disparity_grows_from_dark_to_bright():
    ramp = plots.disparity_picture(np.linspace(-1, 2, 20)[None])
    assert (np.diff(ramp[0].astype(int).sum(axis=1)) >= 0).all()


def test_classes_differ_in_colour():
    colours = plots.class_picture(np.arange(8)[None])[0].astype(int)
    apart = np.abs(colours[:, None] - colours[None]).sum(axis=2) + 999 * np.eye(8, dtype=int)
    assert apart.min() > 60


def test_the_stairs_have_a_step_a_layer():
    figure = plots.token_stairs([(0, "a", (257, 257, 65)), (2, "a", (257, 129, 33))])
    assert [list(t.y) for t in figure.data] == [[257, 257, 65], [257, 129, 33]]
    assert figure.data[0].line.shape == "hv"
    assert figure.data[0].line.color != figure.data[1].line.color


def test_the_matrix_has_a_mark_an_entry():
    figure = plots.matrix(np.array([0, 1, 1]), np.array([0, 2, 5]), np.array([1, 0.5, 0.5]), (2, 6), "W")
    (trace,) = figure.data
    assert list(trace.customdata) == ["cls", "patch:1", "patch:4"]
    assert list(trace.marker.color) == [1, 0.5, 0.5]
