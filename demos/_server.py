"""The server around the page: health, scripts, safe headers, limits that hold before decoding."""

import gzip
import hashlib
import importlib.util
import socket
import sys
import warnings
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path

import gradio as gr
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from PIL import Image
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from components.models import ModelStore
from components.settings import Settings, SettingsError
from demos._page import Build, build_page
from demos._projections import PROJECTIONS
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


class SafeHeaders:
    """Adds our headers to every answer as it starts; what streams keeps streaming."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def safe(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for key, value in HEADERS.items():
                    headers.setdefault(key, value)
            await send(message)

        await self.app(scope, receive, safe if scope["type"] == "http" else send)


def create(models: ModelStore, tabs: Mapping[str, tuple[str, Build]] | None = None) -> FastAPI:
    """Return the application: the page at /, `/healthz`, `/readyz`, and the scripts under /tokenscope."""
    bound_images()
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    app.add_middleware(SafeHeaders)
    app.include_router(create_routes())

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "up", "models": models.state}

    @app.get("/readyz")
    def readyz() -> JSONResponse:
        return JSONResponse({"status": models.state}, 200 if models.warm.is_set() else 503)

    served: FastAPI = gr.mount_gradio_app(
        app,
        build_page(models, tabs),
        path="/",
        theme=theme(),
        css_paths=[CSS],
        show_error=False,
        max_file_size=LARGEST_FILE,
        run_history=False,
        footer_links=["api"],
        enable_monitoring=False,
        pwa=False,
        ssr_mode=False,
        server_name=models.settings.host,
        server_port=models.settings.port,
    )
    return served


def bind(settings: Settings) -> socket.socket:
    """Take the address to listen on; one that cannot be had, or a missing certificate, is a SettingsError."""
    for path in (settings.tls_certificate, settings.tls_key):
        if path and not Path(path).is_file():
            raise SettingsError(
                f"There is no file {path}; give the paths of a certificate and its key in PEM format."
            )
    try:
        kind = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        return socket.create_server((settings.host, settings.port), family=kind, backlog=512)
    except OSError as error:
        raise SettingsError(
            f"Tokenscope cannot listen on {settings.host}, port {settings.port} "
            f"({(error.strerror or '?').lower()}); "
            "set TOKENSCOPE_PORT to a free port and TOKENSCOPE_HOST to an address of this machine."
        ) from None


def serve(app: FastAPI, listener: socket.socket, settings: Settings, ready: Callable[[], None]) -> None:
    """Answer on `listener` until interrupted; `ready` is called once, when requests are answered."""
    import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                scheme = "https" if settings.tls_certificate else "http"
                sys.stdout.write(
                    f"Tokenscope is ready: {scheme}://{settings.host}:{listener.getsockname()[1]}\n"
                )
                sys.stdout.flush()
                ready()

    config = uvicorn.Config(
        app,
        log_level="warning",
        timeout_graceful_shutdown=3,
        ssl_certfile=settings.tls_certificate or None,
        ssl_keyfile=settings.tls_key or None,
    )
    try:
        Server(config).run(sockets=[listener])
    except KeyboardInterrupt:
        pass  # Ctrl-C is the way to stop it
    finally:
        PROJECTIONS.close()
