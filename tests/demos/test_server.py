"""The server: health, scripts, headers, a process's start and end, and no look-up of another host."""

import gzip
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from components.models import ModelStore
from demos import _server

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "transformers", "umap", "sklearn", "numba")
# imported by the interpreter before anything else: notes the hosts asked for and, when ready, what is loaded
SPY = """
import atexit, json, os, socket, sys
asked = []
real, connect = socket.getaddrinfo, socket.socket.connect
def getaddrinfo(host, *args, **kwargs):
    asked.append(str(host))
    return real(host, *args, **kwargs)
def spied(self, address):
    if self.family != socket.AF_UNIX:
        asked.append(str(address[0]))
    return connect(self, address)
socket.getaddrinfo, socket.socket.connect = getaddrinfo, spied
write = sys.stdout.write
def note(text):
    if "is ready" in text:
        times = os.times()
        with open("/proc/self/status") as file:
            rss = next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
        with open(os.environ["SPY_READY"], "w") as file:
            seen = {"cpu": times.user + times.system, "rss": rss / 1024, "modules": sorted(sys.modules)}
            json.dump(seen, file)
    return write(text)
sys.stdout.write = note
atexit.register(lambda: open(os.environ["SPY_HOSTS"], "w").write(json.dumps(asked)))
"""


@pytest.fixture(scope="module")
def app() -> FastAPI:
    return _server.create(ModelStore())


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    yield TestClient(app)


def environment(**more: str) -> dict[str, str]:
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("TOKENSCOPE_", "GRADIO_", "HF_"))
    }
    return {**kept, "PYTHONUNBUFFERED": "1", **more}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Process:
    """`python app.py` with the spy in it, ready."""

    def __init__(self, folder: Path, **settings: str) -> None:
        (folder / "sitecustomize.py").write_text(SPY, encoding="utf-8")
        self.port, self.folder = free_port(), folder
        self.child = subprocess.Popen(
            [sys.executable, "app.py"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=environment(TOKENSCOPE_PORT=str(self.port), PYTHONPATH=str(folder),
                            SPY_HOSTS=str(folder / "hosts"),
                            SPY_READY=str(folder / "ready"), **settings),
        )  # fmt: skip
        assert self.child.stdout is not None
        self.line = self.child.stdout.readline()

    def get(self, path: str) -> tuple[int, bytes]:
        import httpx

        answer = httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=30)
        return answer.status_code, answer.content

    def end(self) -> tuple[int, str, list[str]]:
        """Interrupt it as Ctrl-C does; return its exit code, its stderr, and the hosts it asked for."""
        self.child.send_signal(signal.SIGINT)
        try:
            _, errors = self.child.communicate(timeout=60)
        finally:
            self.child.kill()
        return self.child.returncode, errors, json.loads((self.folder / "hosts").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Start the app, wait for its models, look at the page, interrupt it; return what was seen."""
    process = Process(tmp_path_factory.mktemp("app"))
    seen: dict[str, Any] = {
        "line": process.line,
        "first": process.get("/readyz"),
        "page": process.get("/")[0],
    }
    end = time.monotonic() + 120
    while time.monotonic() < end and b"warming up" in process.get("/healthz")[1]:
        time.sleep(0.5)
    seen["last"] = process.get("/readyz")
    seen["code"], seen["errors"], seen["hosts"] = process.end()
    seen["ready"] = json.loads((process.folder / "ready").read_text(encoding="utf-8"))
    return seen


def test_health(client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "up", "models": "warming up"}


def test_readiness_is_503_until_the_models_are_loaded() -> None:
    models = ModelStore()
    client = TestClient(_server.create(models))
    assert client.get("/readyz").status_code == 503
    models.warm_up(())
    models.warm.wait(5)
    assert client.get("/readyz").status_code == 200


def test_a_model_that_does_not_load_is_told(caplog: pytest.LogCaptureFixture) -> None:
    models = ModelStore()
    models.warm_up(("no-such-model",))
    models._warmer.shutdown(wait=True)
    client = TestClient(_server.create(models))
    assert (client.get("/readyz").status_code, client.get("/healthz").json()["models"]) == (503, "failed")
    assert "no-such-model" in caplog.text


@pytest.mark.parametrize(("name", "needle"), [("page.js", b"tokenscope"), ("plotly.js", b"plotly.js v3")])
def test_scripts_are_packed_and_tagged(client: TestClient, name: str, needle: bytes) -> None:
    answer = client.get(f"/tokenscope/{name}", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["content-type"].startswith("text/javascript")
    assert needle in answer.content
    packed = int(answer.headers["content-length"])
    assert packed < len(answer.content) / 2
    again = client.get(f"/tokenscope/{name}", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    plain = client.get(f"/tokenscope/{name}", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.content == answer.content
    assert gzip.compress(plain.content, 6, mtime=0).__len__() == packed


@pytest.mark.parametrize("path", ["/tokenscope/other.js", "/tokenscope/..%2fpage.css", "/no/such/page"])
def test_unknown_paths_are_404(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


@pytest.mark.parametrize("path", ["/", "/healthz", "/tokenscope/page.js", "/config", "/no/such/page"])
def test_every_answer_carries_the_safe_headers(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


def test_the_page_names_no_other_host(client: TestClient) -> None:
    addresses = re.findall(r"""(?:src|href)=["']?(https?:)?//([^"'/ >]+)""", client.get("/").text)
    assert addresses == []


def processor_seconds_of_a_start() -> float:
    """Start the app once more, read what it has spent when it says that it is ready, and end it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "app.py"], cwd=ROOT, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, env={**os.environ, "TOKENSCOPE_PORT": str(port)},
    )  # fmt: skip
    with process:
        process.stdout.readline()
        fields = Path(f"/proc/{process.pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
        process.kill()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_the_server_is_ready_soon_and_light(lived: dict[str, Any]) -> None:
    ready = lived["ready"]
    assert re.fullmatch(r"Tokenscope is ready: http://127\.0\.0\.1:\d+\n", lived["line"])
    assert [name for name in HEAVY if name in ready["modules"]] == []
    assert ready["rss"] <= 200
    # the same start takes up to half as long again on a busy host: what it needs is the least of a few
    spent = ready["cpu"]
    for _ in range(4):
        if spent > 3.5:
            spent = min(spent, processor_seconds_of_a_start())
    assert spent <= 3.5


def test_models_are_loaded_after_the_start(lived: dict[str, Any]) -> None:
    assert lived["first"] == (503, b'{"status":"warming up"}')
    assert lived["page"] == 200
    assert lived["last"][0] == 200, lived["errors"]


def test_no_other_host_is_asked_for(lived: dict[str, Any]) -> None:
    assert set(lived["hosts"]) <= {"127.0.0.1", "localhost", "::1"}


def test_an_interrupt_ends_it_quietly(lived: dict[str, Any]) -> None:
    assert lived["code"] == 0
    assert lived["errors"] == ""


def started(**settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "app.py"], cwd=ROOT, env=environment(**settings), text=True,
                          capture_output=True, timeout=60, check=False)  # fmt: skip


def one_sentence(done: subprocess.CompletedProcess[str], *parts: str) -> None:
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert all(part in done.stderr for part in parts), done.stderr


def test_a_port_in_use_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        one_sentence(started(TOKENSCOPE_PORT=port), port, "in use", "TOKENSCOPE_PORT")


def test_a_host_that_is_not_ours_is_one_sentence() -> None:
    one_sentence(started(TOKENSCOPE_HOST="192.0.2.1"), "192.0.2.1", "TOKENSCOPE_HOST")


def test_a_missing_certificate_is_one_sentence() -> None:
    one_sentence(started(TOKENSCOPE_TLS_CERTIFICATE="none.pem"), "none.pem")


def test_a_mistyped_setting_is_one_sentence() -> None:
    one_sentence(started(TOKENSCOPE_PROT="7861"), "TOKENSCOPE_PROT", "did you mean TOKENSCOPE_PORT?")


def test_threads_are_limited_when_a_network_is_loaded(tmp_path: Path) -> None:
    code = """
import torch
from components.models import ModelStore
from components.settings import Settings
ModelStore(Settings(threads=1)).get("minilm")
print(torch.get_num_threads())
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment(OMP_NUM_THREADS="2"),
                          capture_output=True, text=True, timeout=120, check=True)  # fmt: skip
    assert done.stdout.strip() == "1"
