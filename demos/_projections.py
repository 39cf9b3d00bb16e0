"""The maps' projections: PCA in the answer, UMAP in a process of its own, both kept by content."""

import multiprocessing
import signal
import threading
import time
from collections import OrderedDict
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.numerics.projection import FEWEST, MapPoints, nearest, pca, umap

MOST = 64  # projections kept


def _ignore_interrupt() -> None:
    """Leave Ctrl-C to the server, which ends this process itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@dataclass
class _Entry:
    vectors: NDArray[np.floating[Any]]
    seed: int
    pca: NDArray[np.float64]
    umap: "Future[NDArray[np.float64]] | None" = None
    asked: float = field(default_factory=time.monotonic)


class Projections:
    """Answers the maps of all tabs; a projection is computed once for the same vectors."""

    def __init__(self) -> None:
        """Start nothing yet: the process for UMAP comes with the first request for one."""
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._lock = threading.Lock()
        self._pool: ProcessPoolExecutor | None = None

    def enter(self, points: MapPoints) -> NDArray[np.float64]:
        """Remember the vectors under their digest and return their PCA (pieces, 2)."""
        with self._lock:
            if points.digest not in self._entries:
                self._entries[points.digest] = _Entry(points.vectors, points.seed, pca(points.vectors))
            self._entries.move_to_end(points.digest)
            while len(self._entries) > MOST:
                self._entries.popitem(last=False)
            return self._entries[points.digest].pca

    def nearest(self, key: str, index: int) -> list[tuple[int, float]]:
        """Return the five nearest neighbours of a piece; none where the map is no longer held."""
        entry = self._entries.get(key)
        if entry is None or not isinstance(index, int) or not 0 <= index < len(entry.vectors):
            return []
        return nearest(entry.vectors, index)

    def umap(self, key: str) -> dict[str, Any]:
        """Return the UMAP points if they are ready, and in any case a note that says how it stands."""
        entry = self._entries.get(key)
        if entry is None:
            return {"points": None, "note": "This map is no longer held; run again.", "over": True}
        if len(entry.vectors) < FEWEST:
            return {"points": None, "note": f"UMAP needs {FEWEST} pieces or more.", "over": True}
        if entry.umap is None:
            entry.umap = self._submit(entry)
        seconds = time.monotonic() - entry.asked
        if not entry.umap.done():
            doing = "starting" if not entry.umap.running() else "computing"
            note = f"UMAP of {len(entry.vectors)} pieces: {doing}, {seconds:.0f} s so far."
            return {"points": None, "note": note, "over": False}
        try:
            found = entry.umap.result()
        except (ValueError, BrokenProcessPool) as error:
            entry.umap = None
            return {"points": None, "note": f"UMAP failed ({type(error).__name__}); PCA stays.", "over": True}
        note = f"seed {entry.seed}, cosine, up to 15 neighbours."
        return {"points": np.round(found, 3).tolist(), "note": note, "over": True}

    def close(self) -> None:
        """End the process at once, whatever it computes."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            workers = list((pool._processes or {}).values())
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in workers:
                worker.terminate()

    def _submit(self, entry: _Entry) -> "Future[NDArray[np.float64]]":
        entry.asked = time.monotonic()
        with self._lock:
            if self._pool is None or getattr(self._pool, "_broken", False):
                self._pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _ignore_interrupt)
            return self._pool.submit(umap, np.asarray(entry.vectors, np.float32), entry.seed)


PROJECTIONS = Projections()
