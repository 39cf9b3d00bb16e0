"""Where models come from: bundled, package or hub; each is loaded once, shared, and let go by size."""

import hashlib
import json
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar, cast

from components.errors import InputError
from components.models import vocabularies
from components.models.weights import unpacked
from components.settings import Settings

T = TypeVar("T")
BUNDLED = Path(__file__).resolve().parents[2] / "assets" / "models"


class Shelf:
    """A thread-safe LRU cache bounded by bytes; concurrent callers of one key share one computation."""

    def __init__(self, limit: int) -> None:
        """`limit` is in bytes; the newest value always stays, even where it alone is larger."""
        self._limit = limit
        self._lock = threading.Lock()
        self._values: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._pending: dict[Hashable, Future[Any]] = {}

    def fetch(self, key: Hashable, make: Callable[[], T], size: Callable[[T], int]) -> T:
        """Return the value of `key`, made by `make` if it is not there; a failure is not remembered."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return cast(T, self._values[key][0])
            future = self._pending.get(key)
            mine = future is None
            if future is None:
                future = self._pending[key] = Future()
        if not mine:
            return cast(T, future.result())
        try:
            value = make()
            with self._lock:
                self._values[key] = (value, size(value))
                self._drop()
            future.set_result(value)
            return value
        except BaseException as error:  # whatever happened, the callers that wait must hear of it
            future.set_exception(error)
            raise
        finally:
            with self._lock:
                del self._pending[key]

    def _drop(self) -> None:
        while len(self._values) > 1 and self.bytes_held() > self._limit:
            self._values.popitem(last=False)

    def bytes_held(self) -> int:
        """Return the sum of the sizes of all values."""
        return sum(size for _, size in self._values.values())

    def keys(self) -> tuple[Hashable, ...]:
        """Return the keys held, the least recently used first."""
        return tuple(self._values)


def weight(value: Any) -> int:
    """Return about how many bytes a result holds: tensors and arrays wherever they hang, and texts."""
    seen: set[int] = set()

    def weigh(part: Any, depth: int) -> int:
        if id(part) in seen or depth > 6:
            return 0
        seen.add(id(part))
        if hasattr(part, "nbytes"):
            return int(part.nbytes)
        if isinstance(part, str | bytes):
            return len(part)
        return 64 + sum(weigh(one, depth + 1) for one in _held(part))

    return weigh(value, 0)


def _held(part: Any) -> Iterable[Any]:
    """Return what a container, a network or any other object holds."""
    if callable(getattr(part, "parameters", None)):
        return (*part.parameters(), *part.buffers())
    if isinstance(part, Mapping):
        return part.values()
    if isinstance(part, list | tuple | set | frozenset):
        return part
    return vars(part).values() if hasattr(part, "__dict__") else ()


class ModelStore:
    """Hands out models by name (`get`) and remembers results by content (`remember`)."""

    def __init__(self, settings: Settings | None = None, folder: Path = BUNDLED) -> None:
        """Nothing is loaded here; `folder` holds one folder a bundled model."""
        self.settings = settings or Settings()
        self.folder = folder
        self._models = Shelf(self.settings.model_memory_mb << 20)
        self._results = Shelf(self.settings.result_memory_mb << 20)
        self._warmer = ThreadPoolExecutor(1, thread_name_prefix="warm-up")
        self.warm = threading.Event()
        self.state = "warming up"  # then "ready" or "failed"

    def names(self) -> tuple[str, ...]:
        """Return the names of the bundled models."""
        return tuple(sorted(p.parent.name for p in self.folder.glob("*/card.json")))

    def card(self, name: str) -> dict[str, Any]:
        """Return the card of a bundled model."""
        path = self.folder / name / "card.json"
        if name not in self.names():
            there = ", ".join(self.names()) or "none"
            raise InputError(f"There is no bundled model {name!r}; there are {there}.")
        card: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return card

    def get(self, name: str) -> Any:
        """Return a model in evaluation mode: a bundled one, `minilm`, or `hub:owner/name` where allowed."""
        return self._models.fetch(name, lambda: self._load(name), weight)

    def remember(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the result of `make`, computed once a key: model, digest of the input, knobs."""
        result: T = self._results.fetch(key, make, weight)
        return result

    def _limit_threads(self) -> None:
        """Let networks use as many threads as the host decided; torch keeps the number for all threads."""
        import torch

        if torch.get_num_threads() != self.settings.threads:
            torch.set_num_threads(self.settings.threads)

    def _load(self, name: str) -> Any:
        if name not in vocabularies.LOADERS:
            self._limit_threads()
        if name == "minilm":
            from components.models.encode import MiniLM

            return MiniLM.from_package()
        if name.startswith("hub:"):
            from components.models.hub import load

            return load(name.removeprefix("hub:"), self.settings)
        if name in vocabularies.LOADERS:
            return vocabularies.LOADERS[name](self.folder)
        return load_bundled(self.folder / name, self.card(name), self.settings.device)

    def warm_up(self, names: tuple[str, ...], then: Callable[["ModelStore"], None] | None = None) -> None:
        """Load models in the background; `warm` is set when all are there, and a failure is logged.

        `then` is what may be computed ahead once that is done.
        """

        def run() -> None:
            for name in names:
                self.get(name)
            self.warm.set()
            self.state = "ready"
            if then is not None:
                then(self)

        def tell(work: Future[None]) -> None:
            error = None if work.cancelled() else work.exception()
            if error is not None:
                self.state = "ready" if self.warm.is_set() else "failed"
                logging.getLogger(__name__).error("Warming up failed: %s", error)

        self._warmer.submit(run).add_done_callback(tell)


def load_bundled(folder: Path, card: dict[str, Any], device: str = "cpu") -> Any:
    """Build the card's net, check its weights' SHA-256, load them strictly as float32, without gradients."""
    import torch
    from safetensors.torch import load as parse

    weights = (folder / "model.safetensors").read_bytes()
    found = hashlib.sha256(weights).hexdigest()
    if found != card["sha256"]:
        raise RuntimeError(f"{folder.name}: the weights' SHA-256 is {found}, its card says {card['sha256']}.")
    net = build_net(card["net"], card["arguments"])
    net.load_state_dict(unpacked(parse(weights)), strict=True)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return net.to(device).eval().requires_grad_(False)


def build_net(key: str, arguments: dict[str, Any]) -> Any:
    """Build the architecture `key`: a module of `components.models.nets`, never a path out of a file."""
    import importlib
    import pkgutil

    from components.models import nets

    known = {m.name for m in pkgutil.iter_modules(nets.__path__) if not m.name.startswith("_")}
    if key not in known:
        raise RuntimeError(f"{key!r} is no architecture; there are {', '.join(sorted(known))}.")
    return importlib.import_module(f"components.models.nets.{key}").build(**arguments)
