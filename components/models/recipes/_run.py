"""What every recipe shares: its command line, its budget, checkpoints to resume from, its card."""

import argparse
import hashlib
import json
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from components.models.weights import packed

CARDS = Path(__file__).resolve().parents[3] / "assets" / "models"


@dataclass
class Budget:
    """Stops a training loop at whichever comes first: `minutes` of processor time of this run, or `steps`."""

    minutes: float
    steps: int | None = None
    started: float = field(default_factory=time.process_time)

    def share(self) -> float:
        """Return the part of the time that is used up, 0 to 1."""
        return min(1.0, (time.process_time() - self.started) / max(60 * self.minutes, 1e-9))

    def left(self, step: int) -> bool:
        """Say whether step number `step` (from 0) may still run."""
        return self.share() < 1.0 and (self.steps is None or step < self.steps)


def arguments(
    description: str,
    minutes: float,
    configure: Callable[[argparse.ArgumentParser], None] | None = None,
    argv: list[str] | None = None,
) -> argparse.Namespace:
    """Parse the options that all recipes take; `configure` may add some of the recipe's own."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", type=Path, help="folder with the training data")
    parser.add_argument("--out", type=Path, default=CARDS, help="receives <name>/model.safetensors")
    parser.add_argument("--work", type=Path, default=Path("training"), help="checkpoints and made data")
    parser.add_argument("--minutes", type=float, default=minutes, help="processor time to spend")
    parser.add_argument("--steps", type=int, default=None, help="stop after so many steps")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint in --work")
    if configure:
        configure(parser)
    options = parser.parse_args(argv)
    if options.device == "auto":
        options.device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    return options


def save_checkpoint(path: Path, **state: Any) -> None:
    """Write a checkpoint in one move, so that a stopped run never leaves half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, path.with_suffix(".part"))
    path.with_suffix(".part").replace(path)


def load_checkpoint(path: Path, device: str = "cpu") -> dict[str, Any] | None:
    """Return the state of `save_checkpoint`, or nothing where there is none."""
    if not path.exists():
        return None
    state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    return state


def digest(paths: Iterator[Path] | list[Path]) -> str:
    """Return one SHA-256 over the names and bytes of files, in order of name."""
    total = hashlib.sha256()
    for path in sorted(paths):
        total.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def publish(folder: Path, net: str, net_arguments: dict[str, Any], state: dict[str, torch.Tensor],
            card: dict[str, Any], dtype: torch.dtype = torch.float16,
            in_8_bits: Collection[str] = ()) -> None:
    """Write `model.safetensors` (floats as `dtype`) and `card.json`: net, hash, data; print the metrics.

    The matrices named by `in_8_bits` are stored so (`components.models.weights`).

    `card` brings: licence, recipe, command, seed, steps, cpu_seconds, data [{name, sha256, licence}],
    metrics [{name, value, unit, n, on}] and limits [sentences].
    """
    folder.mkdir(parents=True, exist_ok=True)
    save_file(packed(state, in_8_bits, dtype), folder / "model.safetensors")
    weights = (folder / "model.safetensors").read_bytes()
    facts = {"name": folder.name, "net": net, "arguments": net_arguments,
             "parameters": sum(v.numel() for v in state.values()), "bytes": len(weights),
             "sha256": hashlib.sha256(weights).hexdigest(), "torch": torch.__version__.split("+")[0], **card}
    text = json.dumps(facts, indent=2, ensure_ascii=False)
    (folder / "card.json").write_text(text + "\n", encoding="utf-8")
    for metric in card.get("metrics", []):
        print(f"{metric['name']}: {metric['value']} (n={metric['n']}, {metric['on']})", flush=True)
