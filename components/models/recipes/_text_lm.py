"""What the recipes of the byte, BPE and Unigram language models share: text, training and bits per byte."""

import argparse
import hashlib
import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from components.models.nets.causal_lm import CausalLM, build
from components.models.recipes._lm_training import Training, crops, read_out_loss
from components.models.recipes._run import arguments, publish
from components.models.store import BUNDLED
from components.models.tokenizer_training import stretches
from components.models.vocabularies import Vocabulary, bundled
from components.models.weights import round_as_stored

Stream = NDArray[np.integer[Any]]
Encode = Callable[[str], list[int]]
BATCH_TOKENS = 2048
MEASURED = 100_000  # bytes of every held-out book
BODY: dict[str, Any] = {"width": 192, "depth": 4, "heads": 3, "hidden": 512}


def read_bytes(text: str) -> list[int]:
    """Encode a text as its UTF-8 bytes."""
    return list(text.encode())


@cache
def _vocabularies() -> dict[str, Vocabulary]:
    return bundled(BUNDLED / "text-tokenizers")


def reader(tokenizer: str) -> Encode:
    """Return what encodes a text by one of the bundled tokenizers, `bpe` or `unigram`."""

    def encode(text: str) -> list[int]:
        ids: list[int] = _vocabularies()[tokenizer].tokenizer.encode(text).ids
        return ids

    return encode


def token_stream(source: Path, encode: Encode, cache: Path, limit: int | None = None) -> Stream:
    """Return the ids of a text file (its first `limit` bytes), kept in `cache` for the next run."""
    if not cache.exists():
        text = source.read_bytes()[:limit].decode("utf-8", errors="ignore")
        ids = [np.array(encode(part), np.uint16) for part in stretches(text)]
        cache.parent.mkdir(parents=True, exist_ok=True)
        np.save(cache, np.concatenate(ids))
    found: Stream = np.load(cache, mmap_mode="r")
    return found


def loss_over(stream: Stream, seed: int, device: str = "cpu") -> Callable[[CausalLM, int], Tensor]:
    """Return the loss of a step: next-token cross-entropy on random crops of the stream."""

    def loss(net: CausalLM, step: int) -> Tensor:
        tokens = crops(stream, net.context - 1, BATCH_TOKENS // net.context, seed, step).to(device)
        with torch.autocast(device, torch.bfloat16):
            vectors = torch.cat([net.begin(len(tokens)), net.embed(tokens[:, :-1])], 1)
            states, _ = net.states(vectors)
            return read_out_loss(states, net.table, tokens)

    return loss


def token_losses(net: CausalLM, ids: list[int], rows: Tensor | None = None) -> Tensor:
    """Return the loss of every token in nats, each with at least half a context before it if there is."""
    half = net.context // 2
    found = []
    with torch.inference_mode():
        for at in range(0, len(ids), half):
            first = max(0, at - half)
            part = torch.tensor(ids[first : at + half])[None]
            odds = net(part, rows)[0, :-1].log_softmax(-1)
            found.append(-odds.gather(1, part[0, :, None])[at - first :, 0])
    return torch.cat(found)


def bits_per_byte(net: CausalLM, encode: Encode, text: str, rows: Tensor | None = None) -> float:
    """Return the net's total information of a text over its UTF-8 length."""
    return float(token_losses(net, encode(text), rows).sum()) / math.log(2) / len(text.encode())


def books(data: Path) -> dict[str, str]:
    """Return the opening of every held-out book, by file name without its ending."""
    paths = sorted(data.glob("heldout_*.txt"))
    return {p.stem: p.read_bytes()[:MEASURED].decode("utf-8", errors="ignore") for p in paths}


def measure(net: CausalLM, encode: Encode, data: Path) -> list[dict[str, Any]]:
    """Return bits per byte on the held-out books, one by one and together, and those of token counts."""
    rows, total, length, plain = [], 0.0, 0, 0.0
    for name, text in books(data).items():
        ids = encode(text)
        nats, size = float(token_losses(net, ids).sum()), len(text.encode())
        rows.append(_row("bits per byte", nats / math.log(2) / size, size, name))
        counts = np.bincount(ids, minlength=net.vocabulary)
        share = counts[ids] / len(ids)
        total, length, plain = total + nats, length + size, plain - float(np.log(share).sum())
    rows.append(_row("bits per byte", total / math.log(2) / length, length, "both books"))
    rows.append(_row("baseline bits per byte (the books' own token counts)", plain / math.log(2) / length,
                     length, "both books"))  # fmt: skip
    return rows


def _row(name: str, value: float, n: int, on: str) -> dict[str, Any]:
    return {"name": name, "value": round(value, 4), "unit": "bits", "n": n, "on": on}


def folder_of(data: Path) -> Path:
    """Return the folder with the texts: `data` itself or its `text`."""
    return data / "text" if (data / "text").is_dir() else data


def train(name: str, vocabulary: int, context: int, encode: Encode, target: float,
          argv: list[str] | None = None, limits: tuple[str, ...] = ()) -> Path:
    """Train, measure and publish one language model; return its folder."""
    options: argparse.Namespace = arguments(f"Train {name} on novels.", 30, argv=argv)
    data = folder_of(options.data)
    source = data / "novels_train.txt"
    shape = {"vocabulary": vocabulary, **BODY, "context": context}
    stream = token_stream(source, encode, Path(options.work) / f"{name}-ids.npy")
    training = Training(options, name, build(**shape), loss_over(stream, options.seed, options.device))
    training.run()
    net = training.result.cpu()
    round_as_stored(net)
    metrics = measure(net, encode, data)
    reached = next(m["value"] for m in metrics if m["on"] == "both books")
    missed = f"Its target was {target} bits per byte: not reached." if reached > target else ""
    folder = Path(options.out) / name
    module = name.replace("-", "_")
    publish(folder, "causal_lm", shape, net.state_dict(), {
        "licence": "Apache-2.0",
        "recipe": f"components/models/recipes/{module}.py",
        "command": f"python -m components.models.recipes.{module} --data DATA --minutes {options.minutes:g}",
        "seed": options.seed, "steps": training.step, "cpu_seconds": round(training.spent),
        "tokens_seen": training.step * BATCH_TOKENS,
        "curve": training.curve[:: max(1, len(training.curve) // 60)],
        "data": [{"name": source.name, "sha256": hashlib.sha256(source.read_bytes()).hexdigest(),
                  "licence": "public domain in the US"}],
        "target_bits_per_byte": target,
        "metrics": metrics,
        "limits": [
            "Trained on English novels of 1839 to 1927 and measured on two whole books that are not among "
            "them (their authors are): modern English, code and other scripts cost far more bits.",
            *([missed] if missed else []), *limits,
        ],
    })  # fmt: skip
    return folder
