"""The index engine: collections of dense, sparse and multi-vectors in Qdrant, in process or on a server.

The calls are the same for both. One thing differs: Qdrant's in-process engine scores multi-vectors in
Python and over the whole collection, so there a collection keeps the token matrix beside Qdrant and scores
the candidates itself.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.models.progress import report
from components.numerics.late_interaction import max_sim, max_sim_of

IN_PROCESS = ":memory:"
BATCH = 256  # points a call
Vectors = NDArray[np.float32]
Hits = tuple[NDArray[np.int64], NDArray[np.float64]]  # positions, scores: both (hits,), best first


@dataclass(frozen=True, eq=False)
class Ragged:
    """Multi-vectors: document j owns the rows `starts[j]` to `starts[j + 1]` of `states` (rows, dim)."""

    states: Vectors
    starts: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Sparse:
    """Sparse vectors: document j weighs the dimensions `indices[j]` by `values[j]`."""

    indices: Sequence[Sequence[int]]
    values: Sequence[Sequence[float]]


_Given = tuple[Vectors | None, Sparse | None, Ragged | None]


@dataclass(eq=False)
class Collection:
    """The vectors of one corpus, numbered by position; safe to search from several threads."""

    client: Any
    name: str
    size: int
    in_process: bool
    nbytes: int
    multi: Ragged | None = None  # in process only
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def search_dense(self, vector: Vectors, k: int) -> Hits:
        """Return the `k` documents of largest inner product with `vector` (dim,)."""
        return self._query({"query": _plain(vector), "using": "dense", "limit": k})

    def search_sparse(self, indices: Sequence[int], values: Sequence[float], k: int) -> Hits:
        """Return the `k` documents of largest inner product with a sparse vector, those above zero."""
        from qdrant_client import models

        vector = models.SparseVector(indices=list(indices), values=list(values))
        return self._query({"query": vector, "using": "sparse", "limit": k})

    def search_multi(self, query: Vectors, k: int, first: Vectors | None = None, candidates: int = 0) -> Hits:
        """Return the `k` documents of largest MaxSim with `query` (query tokens, dim).

        With `candidates`, only so many documents are scored: those nearest to the dense vector `first`
        (dim,).
        """
        narrowed = first is not None and 0 < candidates < self.size
        if self.multi is not None:
            return self._max_sim(self.multi, query, k, first if narrowed else None, candidates)
        from qdrant_client import models

        search: dict[str, Any] = {"query": [_plain(row) for row in query], "using": "multi", "limit": k}
        if narrowed and first is not None:
            search["prefetch"] = models.Prefetch(query=_plain(first), using="dense", limit=candidates)
        return self._query(search)

    def drop(self) -> None:
        """Delete the collection."""
        self.client.delete_collection(self.name)

    def _max_sim(self, multi: Ragged, query: Vectors, k: int, first: Vectors | None, candidates: int) -> Hits:
        if first is None:
            positions = np.arange(self.size)
            scores = max_sim(query, multi.states, multi.starts)
        else:
            positions = np.sort(self.search_dense(first, candidates)[0])
            scores = max_sim_of(query, multi.states, multi.starts, positions)
        best = np.lexsort((positions, -scores))[:k]
        return positions[best], scores[best].astype(np.float64)

    def _query(self, search: dict[str, Any]) -> Hits:
        with self._lock:  # the in-process engine is not made for threads
            points = self.client.query_points(self.name, with_payload=False, **search).points
        found = sorted((-p.score, int(p.id)) for p in points)
        return np.array([i for _, i in found], dtype=np.int64), np.array(
            [-s for s, _ in found], dtype=np.float64
        )


def connect(url: str = "") -> Any:
    """Return a client of the server at `url`, or of a fresh engine in this process."""
    from qdrant_client import QdrantClient

    return QdrantClient(url=url, check_compatibility=False) if url else QdrantClient(IN_PROCESS)


def collect(
    name: str,
    *,
    dense: Vectors | None = None,
    sparse: Sparse | None = None,
    multi: Ragged | None = None,
    url: str = "",
    client: Any = None,
) -> Collection:
    """Return the collection `name` with these vectors; documents are numbered by their place in them.

    On a server, a collection of that name and size is taken as it stands: `name` must tell what is in it (a
    digest).
    """
    size = _size(dense, sparse, multi)
    client = client or connect(url)
    in_process = not url
    kept = multi if in_process else None
    stored = None if in_process else multi
    if in_process or not _stands(client, name, size):
        client.create_collection(name, **_configuration(dense, sparse, stored))
        _upload(client, name, size, (dense, sparse, stored))
    return Collection(client, name, size, in_process, _bytes(dense, sparse, multi), kept)


def _size(dense: Vectors | None, sparse: Sparse | None, multi: Ragged | None) -> int:
    sizes = {len(dense)} if dense is not None else set()
    sizes |= {len(sparse.indices)} if sparse else set()
    sizes |= {len(multi.starts) - 1} if multi else set()
    if len(sizes) != 1:
        raise ValueError(f"Vectors of one number of documents are needed, not of {sorted(sizes) or 'none'}.")
    return sizes.pop()


def _stands(client: Any, name: str, size: int) -> bool:
    if not client.collection_exists(name):
        return False
    if client.count(name, exact=True).count == size:
        return True
    client.delete_collection(name)  # an upload that was cut off
    return False


def _configuration(dense: Vectors | None, sparse: Sparse | None, multi: Ragged | None) -> dict[str, Any]:
    from qdrant_client import models

    vectors = {}
    if dense is not None:
        vectors["dense"] = models.VectorParams(size=dense.shape[1], distance=models.Distance.DOT)
    if multi is not None:
        vectors["multi"] = models.VectorParams(
            size=multi.states.shape[1],
            distance=models.Distance.DOT,
            multivector_config=models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM),
            hnsw_config=models.HnswConfigDiff(m=0),  # scored exactly after the prefetch, so no graph is built
        )
    found: dict[str, Any] = {"vectors_config": vectors}
    if sparse is not None:
        found["sparse_vectors_config"] = {"sparse": models.SparseVectorParams()}
    return found


def _upload(client: Any, name: str, size: int, given: _Given) -> None:
    from qdrant_client import models

    dense, sparse, multi = given
    for start in range(0, size, BATCH):
        places = range(start, min(start + BATCH, size))
        vectors: dict[str, Any] = {}
        if dense is not None:
            vectors["dense"] = dense[start : start + BATCH].tolist()
        if sparse is not None:
            vectors["sparse"] = [
                models.SparseVector(indices=list(sparse.indices[j]), values=list(sparse.values[j]))
                for j in places
            ]
        if multi is not None:
            vectors["multi"] = [multi.states[multi.starts[j] : multi.starts[j + 1]].tolist() for j in places]
        client.upsert(name, points=models.Batch(ids=list(places), vectors=vectors), wait=True)
        report(places.stop, size, "documents indexed")


def _bytes(dense: Vectors | None, sparse: Sparse | None, multi: Ragged | None) -> int:
    total = dense.nbytes if dense is not None else 0
    total += multi.states.nbytes + multi.starts.nbytes if multi else 0
    return total + (sum(8 * len(row) for row in sparse.indices) if sparse else 0)  # index, value


def _plain(vector: Vectors) -> list[float]:
    return [float(x) for x in vector]
