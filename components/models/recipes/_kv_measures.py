"""How well a key-value model follows threads and how well it answers from a part of its cache."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.models.nets.kv_lm import KeyValueLM
from components.numerics import kv_blocks
from components.numerics.threads import QUERY, SYMBOLS, Haystack, exact, haystack, window

HELD_OUT = 1_000_000  # first seed of haystacks that are measured on; lessons come from other generators
LENGTHS = (8, 16, 32, 64, 128, 256, 400, 512)  # pairs
HOPS = (1, 4, 12)
THREADS = 200  # a cell
AT_ONCE = 8  # haystacks in one batch
WINDOW, BLOCK, SHARES = 16, 6, (4, 16, 64)  # tokens, tokens, one of so many blocks is kept
PROBES: dict[str, Callable[[NDArray[np.floating]], NDArray[np.float64]]] = {
    "activation-aware": kv_blocks.activation_probe,
    "activation-aware, squared": lambda q: kv_blocks.activation_probe(q, 2.0),
    "mean query": kv_blocks.mean_probe,
    "oracle query": kv_blocks.last_probe,
}
Row = dict[str, Any]


def row(name: str, value: float, n: int, on: str) -> Row:
    """Return one metric of a card."""
    return {"name": name, "value": round(value, 4), "unit": "", "n": n, "on": on}


def walked(net: KeyValueLM, stacks: list[Haystack]) -> NDArray[np.int64]:
    """Follow every thread of haystacks of one size by itself; answers (haystacks, threads, hops)."""
    found = []
    for at in range(0, len(stacks), AT_ONCE):
        part = stacks[at : at + AT_ONCE]
        starts = np.stack([s.starts for s in part])
        prompts = np.stack([np.full_like(starts, QUERY), starts], axis=-1)
        cache = net.prefill(np.stack([s.tokens for s in part]))
        found.append(net.follow(cache, prompts, part[0].answers.shape[1]))
    return np.concatenate(found)


def heat_map(net: KeyValueLM, lengths: tuple[int, ...] = LENGTHS, threads: int = THREADS) -> list[Row]:
    """Return the share of threads whose last value is right, by pairs, hops and direction.

    A thread of 12 hops is also one of 4 and of 1. Where the pairs allow it, a haystack holds up to four
    threads a direction, each followed by itself.
    """
    rows = []
    for pairs in lengths:
        hops = max(h for h in HOPS if h <= pairs)
        each = min(4, pairs // (2 * hops))
        layouts = [("forward", "backward") * each] if each else [("forward",), ("backward",)]
        right: dict[tuple[int, str], list[bool]] = {}
        for layout in layouts:
            count = -(-threads // max(1, each))
            stacks = [haystack(pairs, HELD_OUT + i, hops, layout) for i in range(count)]
            found = walked(net, stacks)
            for depth in (h for h in HOPS if h <= hops):
                for direction, hits in zip(layout, exact(found, stacks, depth).T, strict=True):
                    right.setdefault((depth, direction), []).extend(hits.tolist())
        rows += [row(f"{direction} thread, {depth} hops", float(np.mean(hits)), len(hits), f"{pairs} pairs")
                 for (depth, direction), hits in right.items()]  # fmt: skip
    return rows


def together(net: KeyValueLM, pairs: int, haystacks: int = 70) -> list[Row]:
    """Return the accuracy of three threads of four hops followed in turns, beside those same ones alone."""
    stacks = [haystack(pairs, HELD_OUT + i, 4, ("forward",) * 3) for i in range(haystacks)]
    alone, hits = walked(net, stacks), []
    for at in range(0, haystacks, AT_ONCE):
        part = stacks[at : at + AT_ONCE]
        cache = net.prefill(np.stack([s.tokens for s in part]))
        found = net.follow_together(cache, np.stack([s.starts for s in part]), 4, QUERY)
        hits.append(exact(found, part, 4))
    in_turns, by_itself = np.concatenate(hits), exact(alone, stacks, 4)
    n, on = in_turns.size, f"{pairs} pairs"
    return [row("3 threads of 4 hops in turns", float(in_turns.mean()), n, on),
            row("the same 3 threads one by one", float(by_itself.mean()), n, on)]  # fmt: skip


def guessing(pairs: int, threads: int = THREADS) -> Row:
    """Return how often any value of the haystack, drawn at random, is the right one."""
    random = np.random.default_rng(0)
    stacks = [haystack(pairs, HELD_OUT + i) for i in range(threads)]
    hits = [random.choice(s.pairs[:, 1]) == s.answers[0, 0] for s in stacks]
    name = "baseline: a random value of the haystack, 1 hops"
    return row(name, float(np.mean(hits)), threads, f"{pairs} pairs")


def kept_tokens(policy: str, share: int, seed: int, by: str = "max") -> Callable[..., NDArray[np.int64]]:
    """Return the choice of a policy that keeps one of `share` blocks a layer: for `KeyValueLM.window`."""

    def choose(layer: int, queries: NDArray[np.floating], keys: NDArray[np.floating]) -> NDArray[np.int64]:
        tokens = keys.shape[1]
        blocks = -(-tokens // BLOCK)
        count = blocks // share
        if policy == "random":
            chosen = kv_blocks.at_random(blocks, count, 10 * seed + layer)
        elif policy == "recent":
            chosen = kv_blocks.recent(blocks, count)
        else:
            scores = kv_blocks.block_scores(PROBES[policy](queries), keys, BLOCK, by)
            chosen = kv_blocks.kept(scores, count)
        return kv_blocks.tokens_of(chosen, BLOCK, tokens)

    return choose


def budget_trials(net: KeyValueLM, policies: tuple[str, ...], shares: tuple[int, ...] = SHARES,
                  trials: int = THREADS, like: bool = True, by: str = "max", pairs: int = 256,
                  first: int = HELD_OUT) -> list[Row]:
    """Return how often the window's last token gets its value, by policy and share of the cache kept.

    The window's other tokens, and a window of the same kind that was read before it, are fillers or, not
    `like` one another, symbols that are not in the haystack.
    """
    right: dict[tuple[str, int], list[bool]] = {}
    for seed in range(first, first + trials):
        stack = haystack(pairs, seed)
        others = None if like else np.setdiff1d(np.arange(SYMBOLS), stack.pairs)
        both = window(int(stack.starts[0]), 2 * WINDOW, seed, others)
        cache, asked = net.prefill(np.concatenate([stack.tokens, both[:WINDOW]])), both[WINDOW:]
        for policy, share in [("full", 1), *((p, s) for s in shares for p in policies)]:
            choose = None if policy == "full" else kept_tokens(policy, share, seed, by)
            logits, _ = net.window(cache, asked, choose)
            hit = int(logits[-1, : net.symbols].argmax()) == int(stack.answers[0, 0])
            right.setdefault((policy, share), []).append(hit)
    on = f"{pairs} pairs, window {WINDOW}, blocks of {BLOCK}"
    on += "" if like else ", other tokens unlike one another"
    return [row("full cache" if policy == "full" else f"{policy} at 1/{share} of the cache",
                float(np.mean(hits)), trials, on) for (policy, share), hits in right.items()]  # fmt: skip
