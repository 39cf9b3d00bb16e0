"""What is measured of the lexinvariant model and its twin: loss by position, ciphers, invariance, look-up."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from components.models import deciphering
from components.models.nets.lexinvariant import LexinvariantLM
from components.numerics import substitution

BUCKETS = ((1, 16), (17, 64), (65, 128), (129, 256), (257, 384), (385, 512))  # positions, from 1
WINDOW = 512
BATCH = 16
LENGTHS = (100, 300, 1000)
PAIRS = 8
Stream = NDArray[np.uint8]


def windows(books: list[Stream], n: int, length: int) -> Tensor:
    """Return n windows (n, length) spread evenly over books, the same number of each."""
    each = -(-n // len(books))
    cut = [book[int(s) : int(s) + length] for book in books for s in np.linspace(0, len(book) - length, each)]
    return torch.from_numpy(np.stack(cut[:n]).astype(np.int64))


def losses(net: LexinvariantLM, tokens: Tensor, seed: int = 0) -> Tensor:
    """Return the loss in bits (windows, time) of tokens; rows are fresh unless it has its own."""
    found = []
    device = next(net.parameters()).device
    with torch.inference_mode():
        for i in range(0, len(tokens), BATCH):
            part = tokens[i : i + BATCH].to(device)
            rows = None if net.own_rows else net.fresh_rows(len(part), seed + i)
            odds = net(part, rows)[:, :-1].float().log_softmax(-1)
            found.append(-odds.gather(-1, part[..., None])[..., 0].cpu() / math.log(2))
    return torch.cat(found)


def enciphered(tokens: Tensor, seed: int) -> Tensor:
    """Return each window (windows, time) under a cipher of its own."""
    keys = [substitution.fresh_key(seed + i) for i in range(len(tokens))]
    return torch.stack([torch.from_numpy(key)[row] for key, row in zip(keys, tokens, strict=True)])


def invariance(net: LexinvariantLM, tokens: Tensor, seed: int) -> float:
    """Return the largest change of any loss in nats when symbols and rows are permuted together."""
    rows = net.fresh_rows(len(tokens), seed)
    keys = torch.stack([torch.from_numpy(substitution.fresh_key(seed + i)) for i in range(len(tokens))])
    moved = torch.empty_like(rows).scatter_(1, keys[..., None].expand(-1, -1, rows.shape[2]), rows)
    with torch.inference_mode():
        plain = net(tokens, rows)[:, :-1].log_softmax(-1).gather(-1, tokens[..., None])
        written = keys.gather(1, tokens)
        cipher = net(written, moved)[:, :-1].log_softmax(-1).gather(-1, written[..., None])
    return float((plain - cipher).abs().max())


def read_cipher(net: LexinvariantLM, cipher: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Return the plain symbol (32,) that the model finds behind each cipher symbol of one text."""
    beliefs = deciphering.beliefs(net, cipher, seed)
    counts = np.bincount(cipher, minlength=substitution.SIZE)
    return substitution.one_to_one(substitution.gather(cipher, beliefs), counts)


def key_accuracies(net: LexinvariantLM, books: list[Stream], n: int, length: int,
                   seed: int) -> tuple[float, float]:
    """Return the key accuracy, weighted by frequency, of the model and of frequency analysis."""
    ours, simple = [], []
    for i, plain in enumerate(windows(books, n, length).numpy()):
        key = substitution.fresh_key(seed + i)
        cipher = substitution.encipher(plain, key)
        ours.append(substitution.key_accuracy(cipher, read_cipher(net, cipher, seed + i), key))
        simple.append(substitution.key_accuracy(cipher, substitution.frequency_guess(cipher), key))
    return float(np.mean(ours)), float(np.mean(simple))


def look_up(n: int, shown: int, seed: int) -> Tensor:
    """Return n texts (n, 3 * shown) of pairs "kv " where each of 8 keys always has the same value.

    Keys and values are letters without repetition, so English is no help: only the context tells.
    """
    chance = np.random.default_rng(seed)
    texts = np.full((n, shown, 3), substitution.ALPHABET.index(" "))
    for text in texts:
        letters = chance.permutation(26)[: 2 * PAIRS]
        chosen = np.concatenate([chance.permutation(PAIRS) for _ in range(-(-shown // PAIRS))])[:shown]
        text[:, 0], text[:, 1] = letters[chosen], letters[chosen + PAIRS]
    return torch.from_numpy(texts.reshape(n, -1))


def look_up_accuracy(net: LexinvariantLM, n: int, seed: int) -> float:
    """Return how often the model's first guess of a value is right in the fourth round of 8 pairs."""
    tokens = look_up(n, 4 * PAIRS, seed)
    with torch.inference_mode():
        said = net(tokens, None if net.own_rows else net.fresh_rows(n, seed))[:, :-1].argmax(-1)
    at = slice(3 * PAIRS * 3 + 1, None, 3)
    return float((said[:, at] == tokens[:, at]).double().mean())


def row(name: str, value: float, n: int, on: str, unit: str = "") -> dict[str, Any]:
    """Return one metric of a card."""
    return {"name": name, "value": float(f"{value:.4g}"), "unit": unit, "n": n, "on": on}


def bits_rows(net: LexinvariantLM, tokens: Tensor, on: str, seed: int) -> list[dict[str, Any]]:
    """Return the bits per character of windows, plain and enciphered, and by position."""
    plain, cipher = losses(net, tokens, seed), losses(net, enciphered(tokens, seed), seed)
    n, unit = plain.numel(), "bits per character"
    rows = [row("loss", float(plain.mean()), n, on, unit),
            row("loss on enciphered text", float(cipher.mean()), n, on, unit)]  # fmt: skip
    for first, last in BUCKETS:
        part = plain[:, first - 1 : last]
        rows.append(row(f"loss at positions {first} to {last}", float(part.mean()), part.numel(), on, unit))
    return rows


def ratio_rows(net: LexinvariantLM, twin: LexinvariantLM, tokens: Tensor, on: str,
               seed: int) -> list[dict[str, Any]]:
    """Return the ratio of perplexities, lexinvariant to normal, by position."""
    extra = losses(net, tokens, seed) - losses(twin, tokens, seed)
    rows = []
    for first, last in BUCKETS:
        part = extra[:, first - 1 : last]
        name = f"perplexity ratio to the normal twin at positions {first} to {last}"
        rows.append(row(name, 2 ** float(part.mean()), part.numel(), on))
    return rows


def key_rows(accuracies: Callable[[int], tuple[float, float]], n: int, on: str) -> list[dict[str, Any]]:
    """Return the key accuracies of the model and of frequency analysis at the three lengths."""
    rows = []
    for length in LENGTHS:
        ours, simple = accuracies(length)
        name = f"cipher key right, by frequency, from {length} characters"
        rows += [row(name, ours, n, on), row(f"baseline (frequency analysis): {name}", simple, n, on)]
    return rows
