"""Vectors on a plane: PCA at once, UMAP when there is time; and neighbours in the original space."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.floating[Any]]
NEIGHBOURS = 15
FEWEST = 5  # UMAP of fewer points says nothing


@dataclass(frozen=True, eq=False)
class MapPoints:
    """Pieces on the embedding map.

    ids and labels one a piece; vectors (pieces, dim); series (pieces,) says by which of `names` a piece was
    made; hover is the text shown over a point (the label where left out); note says what the vectors are;
    colours are those of the `names`, the methods' hues where left out.
    """

    ids: tuple[str, ...]
    vectors: Vectors
    labels: tuple[str, ...]
    series: tuple[int, ...]
    names: tuple[str, ...]
    note: str = ""
    hover: tuple[str, ...] = ()
    seed: int = 0
    colours: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """All columns have one entry a piece; anything else is a bug of the caller."""
        lengths = {len(self.ids), len(self.vectors), len(self.labels), len(self.series)}
        if len(lengths) != 1 or (self.hover and len(self.hover) != len(self.ids)):
            raise ValueError(f"ids, vectors, labels and series differ in length: {sorted(lengths)}")
        if len(set(self.ids)) != len(self.ids):
            raise ValueError("ids must be unique")

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the vectors and the seed: the key of the projection."""
        data = np.ascontiguousarray(self.vectors, np.float32)
        return hashlib.sha256(f"{data.shape} {self.seed}".encode() + data.tobytes()).hexdigest()


def pca(vectors: Vectors) -> NDArray[np.float64]:
    """Project (n, dim) on its first two principal axes: (n, 2).

    Each axis points to where its largest loading is positive, so the picture does not flip from run to run;
    axes without variance are zero.

    >>> pca(np.array([[0.0, 0.0], [2.0, 0.0], [4.0, 0.0]]))[:, 0].tolist()
    [-2.0, 0.0, 2.0]
    """
    points = np.zeros((len(vectors), 2))
    if np.size(vectors) == 0:
        return points
    centred = np.asarray(vectors, np.float64) - np.mean(vectors, axis=0, keepdims=True)
    values, axes = np.linalg.eigh(centred.T @ centred)
    for column, index in enumerate(np.argsort(values)[::-1][:2]):
        axis = axes[:, index]
        if values[index] > 1e-12 * max(values.max(), 1e-300):
            points[:, column] = centred @ (axis * np.sign(axis[np.abs(axis).argmax()]))
    return points


def umap(vectors: Vectors, seed: int) -> NDArray[np.float64]:
    """Project (n, dim) by UMAP (cosine, up to 15 neighbours, minimum distance 0.1), seeded: (n, 2)."""
    import warnings

    with warnings.catch_warnings():
        # an optional part needs TensorFlow, and a seeded run has one thread: it warns of both each time
        warnings.simplefilter("ignore")
        import umap as umap_learn

        model = umap_learn.UMAP(
            n_neighbors=min(NEIGHBOURS, len(vectors) - 1), metric="cosine", min_dist=0.1, random_state=seed,
            init="random" if len(vectors) < 4 * NEIGHBOURS else "spectral",
        )
        points = model.fit_transform(np.asarray(vectors, np.float32))
    return np.asarray(points, np.float64)


def nearest(vectors: Vectors, index: int, count: int = 5) -> list[tuple[int, float]]:
    """Return the `count` rows nearest to row `index` by cosine, itself apart; ties by row number.

    >>> nearest(np.array([[1.0, 0.0], [0.0, 1.0], [2.0, 0.1]]), 0, 1)[0][0]
    2
    """
    rows = np.asarray(vectors, np.float32)
    norms = np.linalg.norm(rows, axis=1)
    cosines = rows @ rows[index] / np.maximum(norms * norms[index], 1e-12)
    order = [int(i) for i in np.argsort(-cosines, kind="stable") if i != index][:count]
    return [(i, float(cosines[i])) for i in order]
