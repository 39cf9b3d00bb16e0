import json

import numpy as np
import pytest

from components.models.index import Ragged, Sparse, collect, connect
from components.numerics.late_interaction import max_sim

N, DIM = 300, 8


@pytest.fixture
def vectors():
    rng = np.random.default_rng(0)
    dense = rng.normal(size=(N, DIM)).astype(np.float32)
    starts = np.concatenate([[0], np.cumsum(rng.integers(1, 6, N))]).astype(np.int64)
    states = rng.normal(size=(starts[-1], DIM)).astype(np.float32)
    sparse = Sparse([[i % 7, 7 + i % 11] for i in range(N)], [[1.0, 0.5 + i / N] for i in range(N)])
    return dense, Ragged(states, starts), sparse


# A server's code path, run on the in-process engine: it takes the same calls as a server
@pytest.fixture(params=["in process", "as on a server"])
def collection(request, vectors):
    dense, multi, sparse = vectors
    if request.param == "in process":
        return collect("c", dense=dense, multi=multi, sparse=sparse)
    return collect("c", dense=dense, multi=multi, sparse=sparse, url="http://nowhere", client=connect())


def test_dense_search_is_the_inner_product(collection, vectors):
    query = np.linspace(-1, 1, DIM).astype(np.float32)
    scores = vectors[0] @ query
    positions, found = collection.search_dense(query, 10)
    assert list(positions) == list(np.argsort(-scores)[:10])
    np.testing.assert_allclose(found, np.sort(scores)[::-1][:10], rtol=1e-5)


def test_multi_vector_search_is_max_sim(collection, vectors):
    query = np.random.default_rng(1).normal(size=(4, DIM)).astype(np.float32)
    scores = max_sim(query, vectors[1].states, vectors[1].starts)
    positions, found = collection.search_multi(query, 10)
    assert list(positions) == list(np.argsort(-scores)[:10])
    np.testing.assert_allclose(found, np.sort(scores)[::-1][:10], rtol=1e-4)


def test_candidates_come_from_the_dense_vectors(collection, vectors):
    query = np.random.default_rng(1).normal(size=(4, DIM)).astype(np.float32)
    first = query.mean(axis=0)
    near = np.argsort(-(vectors[0] @ first))[:20]
    scores = max_sim(query, vectors[1].states, vectors[1].starts)
    positions, _ = collection.search_multi(query, 10, first, 20)
    assert list(positions) == sorted(near, key=lambda j: -scores[j])[:10]


def test_sparse_search_leaves_out_what_shares_nothing(collection):
    positions, scores = collection.search_sparse([3], [2.0], N)
    assert sorted(positions) == [i for i in range(N) if i % 7 == 3]
    np.testing.assert_allclose(scores, 2.0)


def test_a_server_keeps_what_it_has_and_replaces_half_an_upload(vectors):
    dense = vectors[0]
    server = connect()
    collect("c", dense=dense, url="http://nowhere", client=server)
    again = collect("c", dense=-dense, url="http://nowhere", client=server)
    np.testing.assert_allclose(again.search_dense(dense[0], 1)[1], (dense @ dense[0]).max(), rtol=1e-5)
    shorter = collect("c", dense=dense[:50], url="http://nowhere", client=server)
    assert len(shorter.search_dense(dense[0], N)[0]) == 50


def test_vectors_of_different_numbers_are_refused(vectors):
    with pytest.raises(ValueError, match="one number"):
        collect("c", dense=vectors[0][:5], multi=vectors[1])
    with pytest.raises(ValueError, match="none"):
        collect("c")


def test_an_address_means_http_calls(vectors):
    """The requests that leave for a server, against answers of its shape; no real server is run."""
    import threading
    from http.server import BaseHTTPRequestHandler, HTTPServer

    seen = []

    class Server(BaseHTTPRequestHandler):
        def answer(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            seen.append((self.command, self.path.split("?")[0], json.loads(body) if body else None))
            path = self.path.split("?")[0]
            done = {"operation_id": 0, "status": "completed"}
            hits = {"points": [{"id": 2, "version": 0, "score": 0.5}]}
            result = {
                "/collections/c/exists": {"exists": False},
                "/collections/c": True,
                "/collections/c/points": done,
                "/collections/c/points/query": hits,
            }.get(path)
            reply = {"result": result, "status": "ok", "time": 0.0}
            version = {"title": "qdrant", "version": "1.20.0"}
            data = json.dumps(reply if result is not None else version).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_PUT = do_POST = do_DELETE = answer

        def log_message(self, *args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        found = collect(
            "c",
            dense=vectors[0][:3],
            multi=Ragged(vectors[1].states[:3], np.arange(4)),
            url=f"http://127.0.0.1:{server.server_port}",
        )
        positions, _ = found.search_multi(vectors[0][:2], 1, vectors[0][0], 2)
        found.client.close()
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert list(positions) == [2]
    uploads = [body for method, path, body in seen if method == "PUT" and path == "/collections/c/points"]
    assert uploads[0]["batch"]["ids"] == [0, 1, 2]
    asked = seen[-1][2]
    assert (
        asked["using"] == "multi"
        and asked["prefetch"]["using"] == "dense"
        and asked["prefetch"]["limit"] == 2
    )
