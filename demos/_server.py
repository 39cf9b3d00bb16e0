"""The server around the page: health, our scripts, safe headers, and limits that hold before anything is decoded."""

import gzip
import hashlib
import importlib.util
import socket
import sys
import warnings
from collections.abc import Awaitable, Callable
from functools import lru_cache
from pathlib import Path

import gradio as gr
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from PIL import Image

from components.models import ModelStore
from components.settings import Settings
from demos._page import build_page
from demos._theme import CSS, theme

SCRIPTS = Path(__file__).parent / "page"
MOST_PIXELS = 4096 * 4096
LARGEST_FILE = "64mb"
HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}


def bound_images() -> None:
    """Make Pillow refuse, unread, any image of more than 4096 × 4096 pixels, wherever it is opened."""
    Image.MAX_IMAGE_PIXELS = MOST_PIXELS // 2  # Pillow warns above the limit and errors above twice the limit
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)


def page_script() -> bytes:
    """Return our own script: the files of `demos/page` in order."""
    return b"\n".join(path.read_bytes() for path in sorted(SCRIPTS.glob("*.js")))


def plotly_script() -> bytes:
    """Return the plotly.js that the plotly package brings, found without importing the package."""
    found = importlib.util.find_spec("plotly")
    if found is None or found.origin is None:
        raise RuntimeError("the package plotly is not installed")
    return (Path(found.origin).parent / "package_data" / "plotly.min.js").read_bytes()


@lru_cache(maxsize=2)
def _packed(name: str) -> tuple[bytes, str]:
    """Return a script compressed, with the tag of its content; packed once, for all browsers."""
    content = {"page.js": page_script, "plotly.js": plotly_script}[name]()
    return gzip.compress(content, 6, mtime=0), hashlib.sha256(content).hexdigest()[:32]


def create_routes() -> APIRouter:
    """Return the routes of our scripts, which every page with linked views needs."""
    router = APIRouter()

    @router.get("/tokenscope/{name}")
    def script(name: str, request: Request) -> Response:
        if name not in ("page.js", "plotly.js"):
            return Response(status_code=404)
        content, tag = _packed(name)
        headers = {"ETag": f'"{tag}"', "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers["Content-Encoding"] = "gzip"
        else:
            content = gzip.decompress(content)
        return Response(content, headers=headers, media_type="text/javascript")

    return router


def create(models: ModelStore) -> FastAPI:
    """Return the application: the page at /, `/healthz`, `/readyz`, and the scripts under /tokenscope."""
    bound_images()
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.middleware("http")
    async def safe_headers(request: Request, proceed: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await proceed(request)
        for key, value in HEADERS.items():
            response.headers.setdefault(key, value)
        return response

    app.include_router(create_routes())

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "up"}

    @app.get("/readyz")
    def readyz() -> JSONResponse:
        warm = models.warm.is_set()
        return JSONResponse({"status": "ready" if warm else "warming up"}, 200 if warm else 503)

    return gr.mount_gradio_app(
        app, build_page(models), path="/", theme=theme(), css_paths=[CSS], show_error=False,
        max_file_size=LARGEST_FILE, run_history=False, footer_links=["api"], enable_monitoring=False, pwa=False,
        ssr_mode=False, server_name=models.settings.host, server_port=models.settings.port,
    )


def serve(app: FastAPI, settings: Settings, ready: Callable[[], None]) -> None:
    """Listen until interrupted; `ready` is called once, when the first request can be answered."""
    import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                scheme = "https" if settings.tls_certificate else "http"
                sys.stdout.write(f"Tokenscope is ready: {scheme}://{settings.host}:{settings.port}\n")
                sys.stdout.flush()
                ready()

    Server(uvicorn.Config(
        app, host=settings.host, port=settings.port, log_level="warning", timeout_graceful_shutdown=3,
        ssl_certfile=settings.tls_certificate or None, ssl_keyfile=settings.tls_key or None,
    )).run()
