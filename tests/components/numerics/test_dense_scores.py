import numpy as np
import pytest

from components.numerics import dense_scores as ds


def test_mean_iou_by_hand():
    truth = np.array([[0, 0, 1], [1, 2, 2]])
    predicted = np.array([[0, 1, 1], [1, 2, 0]])
    counts = ds.confusion(predicted, truth, 5)
    assert counts.sum() == 6
    # class 0: 1 of {2 true, 2 predicted} -> 1/3; class 1: 2/3; class 2: 1/2; 3 and 4 are not there
    assert ds.mean_iou(counts) == pytest.approx((1 / 3 + 2 / 3 + 1 / 2) / 3)
    assert ds.mean_iou(ds.confusion(truth, truth, 5)) == 1


def test_rmse_and_agreement():
    assert ds.rmse(np.array([1.0, 3.0]), np.array([1.0, 1.0])) == pytest.approx(2**0.5)
    assert ds.agreement(np.array([1, 2, 3, 4]), np.array([1, 2, 0, 4])) == 0.75


def test_object_recall_counts_objects_that_hold_a_kept_patch():
    instances = np.full((8, 8), -1)
    instances[:4, :4] = 0  # covers patches 0, 1, 4, 5 of a 4 x 4 raster
    instances[7, 7] = 1  # one pixel of patch 15: a quarter of it
    assert ds.object_recall(np.array([5]), instances, 4) == (1, 2)
    assert ds.object_recall(np.array([15, 3]), instances, 4) == (1, 2)
    assert ds.object_recall(np.arange(16), instances, 4) == (2, 2)
    assert ds.object_recall(np.array([10]), instances, 4) == (0, 2)


def test_an_object_smaller_than_a_quarter_of_a_patch_is_held_by_its_best_patch():
    instances = np.full((16, 16), -1)
    instances[0, 3:5] = 4
    instances[1, 3] = 4  # two pixels in patch 0, one in patch 1
    assert ds.object_recall(np.array([0]), instances, 4, -1) == (1, 1)
    assert ds.object_recall(np.array([1]), instances, 4, -1) == (0, 1)
