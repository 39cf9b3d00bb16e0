"""The numbers of one reduction, and its matrices as a file."""

from typing import Any

import numpy as np

from components.numerics.dense_scores import confusion, mean_iou, rmse
from components.numerics.scenes import CLASSES, Scene
from components.vision import Reduction

COLUMNS = (
    "tokens left", "kept (%)", "MACs (M)", "saved (%)", "time (ms)", "rule (ms)",
    "mIoU", "mIoU to all tokens", "disparity RMSE", "shapes (of 6)",
)  # fmt: skip


def measures(result: Reduction, before: Reduction, scene: Scene | None) -> dict[str, float | int | None]:
    """Return the numbers by COLUMNS: kept is of the patches, saved of the MACs, shapes are recognised ones.

    `before` is the unreduced run on the same picture. Without a scene there is no truth: two numbers are
    missing, and the RMSE is against `before`.
    """
    said, full = result.prediction, before.prediction
    right = full if scene is None else scene
    shapes = None if scene is None else int(((said.presence > 0.5) == scene.presence).sum())
    values = (
        result.tokens[-1], 100 * len(result.kept) / result.side**2, result.macs / 1e6,
        100 * (1 - result.macs / before.macs), result.milliseconds, result.deciding,
        None if scene is None else _overlap(said.segmentation, scene.segmentation),
        _overlap(said.segmentation, full.segmentation), rmse(said.disparity, right.disparity), shapes,
    )  # fmt: skip
    return dict(zip(COLUMNS, values, strict=True))


def _overlap(predicted: np.ndarray[tuple[int, ...], np.dtype[np.uint8]],
             truth: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> float:  # fmt: skip
    return mean_iou(confusion(predicted, truth, len(CLASSES)))


def matrices_file(result: Reduction) -> bytes:
    """Return W of every stage, and W over all, as safetensors: rows, columns, weights and shape of each."""
    from safetensors.numpy import save

    named = {f"after_layer_{stage.layer}": stage.forward for stage in result.stages}
    tensors: dict[str, np.ndarray[Any, Any]] = {}
    for name, matrix in (named | {"all": result.composed[0]}).items():
        tensors[f"{name}.rows"], tensors[f"{name}.columns"] = matrix.rows, matrix.columns
        tensors[f"{name}.weights"], tensors[f"{name}.shape"] = matrix.weights, np.array(matrix.shape)
    return save({name: np.ascontiguousarray(array) for name, array in tensors.items()})
