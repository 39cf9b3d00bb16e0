"""What the card of `word-pooled-lm` states: bits per byte and next words guessed, beside other models.

Greedy writing gives the true next word exactly where, fed the true symbols, the model's likeliest symbol is
the true one every time and what it expects after them does not lengthen the word. So one pass over the text
judges every word of it.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from components.models.nets.causal_lm import CausalLM
from components.models.nets.word_pooled import WordPooledLM
from components.models.recipes._text_lm import books
from components.models.word_units import CANVAS, PATTERN, padded, split

WINDOWS = 16  # windows of text a forward pass
COMMONEST = "baseline, always the commonest word"
EVERY = "words of both openings"
BOTH = "both books"
OPENING = 25_000  # characters of each book in which every model guesses
EVER = 1 << 40
BUCKETS = (("never", 0, 0), ("1 to 10 times", 1, 10), ("11 to 100 times", 11, 100),
           ("over 100 times", 101, EVER))
Guess = tuple[NDArray[np.bool_], float]  # whether each word was guessed, nats of the whole text


class Rival(NamedTuple):
    """A model of smaller units: its net, how it encodes a word, the bytes of each of its tokens."""

    net: CausalLM
    encode: Callable[[str], list[int]]
    token_bytes: list[bytes]


def windows(length: int, context: int) -> list[tuple[int, int, int]]:
    """Return (first, from, to): read from `first` on, judge `from` to `to`; half a context stands before."""
    half = context // 2
    return [(max(0, at - half), at, min(at + half, length)) for at in range(0, length, half)]


def pooled(net: WordPooledLM, text: str) -> Guess:
    """Return which words (cut at the canvas) the net guesses, and its nats of the text."""
    ids = padded(split(text))
    hits, nats = [], 0.0
    with torch.inference_mode():
        for first, start, end in windows(len(ids), net.context):
            states = net.states(ids[None, first : end - 1])[0, start - first :]
            own, hit = net.judge(states, ids[start:end])
            hits.append(hit.numpy())
            nats += float(own.sum())
    return np.concatenate(hits), nats


def lengthens(token: bytes) -> bool:
    """Say whether a token that follows a word of letters is more letters of it, by its first byte.

    Of UTF-8's lead bytes those below E2 begin letters, E2 the curly quotes and dashes.
    """
    first = token[0] if token else 0
    return (first < 0x80 and chr(first).isalpha()) or 0x80 <= first < 0xE2


def rival(one: Rival, text: str) -> Guess:
    """Return which words (uncut) a model of smaller units guesses, and its nats of the text."""
    cut = [one.encode(word) for word in PATTERN.findall(text)]
    ids = [i for word in cut for i in word]
    nats, best = _judge_tokens(one.net, torch.tensor(ids))
    right = best == np.array(ids)
    more = np.array([lengthens(token) for token in one.token_bytes])[best]
    hits, at = [], 0
    for word in cut:
        end = at + len(word)
        hits.append(bool(right[at:end].all()) and (end == len(ids) or not more[end]))
        at = end
    return np.array(hits), nats


def _judge_tokens(net: CausalLM, ids: torch.Tensor) -> tuple[float, NDArray[np.int64]]:
    """Return the nats of all tokens and the likeliest token at each place."""
    parts, nats, best = windows(len(ids), net.context), 0.0, []
    with torch.inference_mode():
        for at in range(0, len(parts), WINDOWS):
            group = parts[at : at + WINDOWS]
            tokens = torch.zeros((len(group), net.context), dtype=torch.long)
            for row, (first, _, end) in enumerate(group):
                tokens[row, : end - first] = ids[first:end]
            states, _ = net.states(torch.cat([net.begin(len(group)), net.embed(tokens[:, :-1])], 1))
            for row, (first, start, end) in enumerate(group):
                odds = net.read(states[row, start - first : end - first]).log_softmax(-1)
                nats -= float(odds.gather(1, ids[start:end, None]).sum())
                best.append(odds.argmax(1).numpy())
    return nats, np.concatenate(best)


def judged(text: str) -> tuple[list[str], list[int]]:
    """Return the words of letters that end inside a canvas, and each one's place among all words."""
    words = PATTERN.findall(text)
    places = [i for i, word in enumerate(words) if word[-1].isalpha() and len(word.encode()) < CANVAS]
    return [words[i] for i in places], places


def measure(net: WordPooledLM, counts: dict[bytes, int], data: Path,
            rivals: dict[str, Rival]) -> list[dict[str, Any]]:
    """Return bits per byte on the held-out books, and the share of next words guessed in their openings.

    `counts` are of the words of the training text without the white space before them.
    """
    return likelihood(net, data, rivals) + openings(net, counts, data, rivals)


def likelihood(net: WordPooledLM, data: Path, rivals: dict[str, Rival]) -> list[dict[str, Any]]:
    """Return bits per byte on each held-out book and on both, and how many words the net reads a byte."""
    others = dict.fromkeys(rivals, 0.0)
    rows, nats, size, positions = [], 0.0, 0, 0
    for name, text in books(data).items():
        hits, own = pooled(net, text)
        length = len(text.encode())
        rows.append(_row("bits per byte", own / math.log(2) / length, "bits", length, name))
        nats, size, positions = nats + own, size + length, positions + len(hits)
        for who, one in rivals.items():
            others[who] += rival(one, text)[1]
    rows.append(_row("bits per byte", nats / math.log(2) / size, "bits", size, BOTH))
    rows += [_row(f"{who}: bits per byte", cost / math.log(2) / size, "bits", size, BOTH)
             for who, cost in others.items()]  # fmt: skip
    return [*rows, _row("main positions per byte", positions / size, "", size, BOTH)]


def openings(net: WordPooledLM, counts: dict[bytes, int], data: Path,
             rivals: dict[str, Rival]) -> list[dict[str, Any]]:
    """Return bits per byte and next words guessed by all models on the books' first characters."""
    nats = dict.fromkeys(("word-pooled", *rivals), 0.0)
    guesses: dict[str, list[NDArray[np.bool_]]] = {name: [] for name in (*nats, COMMONEST)}
    commonest = max((word for word in counts if word.isalpha()), key=lambda word: counts[word], default=b"")
    seen: list[int] = []
    size = 0
    for text in (book[:OPENING] for book in books(data).values()):
        words, places = judged(text)
        seen += [counts.get(word.encode().strip(), 0) for word in words]
        firsts = np.cumsum([0, *(-(-len(w.encode()) // CANVAS) for w in PATTERN.findall(text))])
        hits, own = pooled(net, text)
        found = {"word-pooled": (hits[firsts[places]], own)}
        for name, one in rivals.items():
            hit, cost = rival(one, text)
            found[name] = (hit[places], cost)
        for who, (hit, cost) in found.items():
            guesses[who].append(hit)
            nats[who] += cost
        guesses[COMMONEST].append(np.array([word.encode().strip() == commonest for word in words]))
        size += len(text.encode())
    rows = [_row(f"{who}: bits per byte", cost / math.log(2) / size, "bits", size, "openings of both books")
            for who, cost in nats.items()]  # fmt: skip
    return rows + accuracies({who: np.concatenate(hit) for who, hit in guesses.items()}, np.array(seen))


def accuracies(guesses: dict[str, NDArray[np.bool_]], seen: NDArray[np.int64]) -> list[dict[str, Any]]:
    """Return the share of words each model guesses: of all, and by how often the training text has them."""
    rows = []
    for bucket, least, most in (("all", 0, EVER), *BUCKETS):
        chosen = (seen >= least) & (seen <= most)
        on = EVERY if bucket == "all" else f"words seen {bucket} in the training text"
        if bucket == "never":
            on = "words never seen in the training text"
        for who, hit in guesses.items():
            if chosen.any():
                name = f"{who}: next word guessed (greedy)"
                rows.append(_row(name, float(hit[chosen].mean()), "", int(chosen.sum()), on))
    return rows


def _row(name: str, value: float, unit: str, n: int, on: str) -> dict[str, Any]:
    return {"name": name, "value": round(value, 4), "unit": unit, "n": n, "on": on}
