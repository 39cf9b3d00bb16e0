"""Training of the lexinvariant language model and of its normal twin: the same text, body and curriculum."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from components.models.nets.lexinvariant import LexinvariantLM, build
from components.models.recipes._lm_training import Training, crops
from components.models.recipes._run import digest, publish
from components.models.weights import round_as_stored
from components.numerics.substitution import symbols

NET: dict[str, Any] = {"symbols": 32, "width": 192, "depth": 6, "hidden": 384, "context": 512}
RATE = 6e-3
TOKENS = 2048  # a step
# The length of the sequences from each share of the run on: short ones are cheap and teach counting.
CURRICULUM = ((0.0, 128), (0.12, 256), (0.35, 512), (0.85, 1024))
DECIPHER = 1.0  # weight of naming the plain identity of what was seen, averaged over the blocks
FORESEE = 0.5  # weight of naming the plain identity of what comes
DEV = 1_000_000  # symbols at the end of the training text that are never trained on
PART = 1_000_000  # characters that are turned into symbols at once
NOVELS = "novels_train.txt"
BOOKS = ("heldout_Burnett_Garden_1911.txt", "heldout_Stevenson_Treasure_1883.txt")


def folder_of(data: Path) -> Path:
    """Return the folder of texts in the folder of data."""
    return data / "text" if (data / "text").is_dir() else data


def read_symbols(path: Path) -> NDArray[np.uint8]:
    """Return the symbols (characters,) of a text file."""
    text = path.read_text(encoding="utf-8")
    parts = [symbols(text[i : i + PART]).astype(np.uint8) for i in range(0, len(text), PART)]
    return np.concatenate(parts)


def length_at(share: float) -> int:
    """Return the length of the sequences at a share of the run."""
    return max((start, length) for start, length in CURRICULUM if start <= share)[1]


def loss_of(net: LexinvariantLM, tokens: Tensor) -> Tensor:
    """Return the training loss in nats of plain symbols (batch, time).

    The lexinvariant model is also told, in training alone, what the symbols mean: each block's probe has to
    name what was seen and the last states what comes, in plain English. Its rows stay random all the same.
    """
    with torch.autocast(tokens.device.type, torch.bfloat16):
        if net.own_rows:
            return cross_entropy(net(tokens)[:, :-1], tokens)
        heard = net.hear(tokens)
        loss = cross_entropy(heard.logits[:, :-1], tokens)
        named = torch.stack([cross_entropy(layer, tokens) for layer in heard.layers]).mean()
        return loss + DECIPHER * named + FORESEE * cross_entropy(heard.plain[:, :-1], tokens)


def cross_entropy(logits: Tensor, tokens: Tensor) -> Tensor:
    """Return the mean cross-entropy in nats of logits (batch, time, symbols)."""
    return F.cross_entropy(logits.flatten(0, 1).float(), tokens.flatten())


def prepare(name: str, own_rows: bool, options: argparse.Namespace) -> Training:
    """Return a run that is ready to start or to go on."""
    stream = read_symbols(folder_of(options.data) / NOVELS)[:-DEV]
    torch.manual_seed(options.seed)
    run: list[Training] = []

    def loss(net: LexinvariantLM, step: int) -> Tensor:
        share = run[0].budget.share()
        if options.steps:
            share = max(share, step / options.steps)
        length = length_at(share)
        torch.manual_seed((options.seed << 32) + step)  # the rows of this step, resumed or not
        pieces = crops(stream, length - 1, TOKENS // length, options.seed, step)
        return loss_of(net, pieces.to(options.device))

    run.append(Training(options, name, build(**NET, own_rows=own_rows), loss, RATE))
    return run[0]


def finished(run: Training) -> LexinvariantLM:
    """Return the run's averaged weights as they ship, rounded to half precision, in evaluation mode."""
    net: LexinvariantLM = run.result
    round_as_stored(net)
    return net.requires_grad_(False)


def ship(name: str, run: Training, metrics: list[dict[str, Any]], command: str, limits: list[str]) -> Path:
    """Write weights and card; return the folder."""
    options, text = run.options, folder_of(run.options.data) / NOVELS
    folder, net = Path(options.out) / name, finished(run)
    publish(folder, "lexinvariant", {**NET, "own_rows": net.own_rows}, net.state_dict(), {
        "licence": "Apache-2.0",
        "recipe": f"components/models/recipes/{name.replace('-', '_')}.py",
        "command": command,
        "seed": options.seed, "steps": run.step, "cpu_seconds": round(run.spent),
        "curve": [{"step": s, "training loss": v} for s, v in run.curve[4::5]],
        "data": [{"name": "89 English novels, 1839 to 1927, as 32 symbols (a random part of 59 MB; the last "
                          "1,000,000 symbols kept for choices)",
                  "sha256": digest([text]), "licence": "texts public domain in the US"}],
        "metrics": metrics,
        "limits": limits,
    })  # fmt: skip
    return folder
