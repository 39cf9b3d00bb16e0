"""`kv-lm`: its cache against the whole text, dropped blocks against masks, lessons, recipe, weights."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from components.models import ModelStore
from components.models.nets.kv_lm import build
from components.models.recipes import _kv_lessons as lessons
from components.models.recipes import _kv_measures as measures
from components.models.recipes import kv_lm
from components.numerics import kv_blocks
from components.numerics.threads import FIRST_FILLER, QUERY, SEPARATOR, SYMBOLS, exact, haystack, window

SMALL = {"vocabulary": 60, "symbols": 50, "fillers": 6, "width": 16, "depth": 2, "heads": 2, "hidden": 12}


@pytest.fixture(params=[False, True], ids=["plain", "rotary"])
def small(request):
    torch.manual_seed(1)
    net = build(**SMALL, rotary=request.param).eval()
    with torch.no_grad():
        for part in net.blocks.parameters():
            part.add_(0.1 * torch.randn_like(part))
        for block in net.blocks:
            block.out.weight.mul_(4)  # so that the next symbol depends on the text and not on the last alone
    return net.requires_grad_(False)


@pytest.fixture
def shipped(models):
    """The shipped net on one thread: on a busy host two wait for one another over such small products."""
    net, before = models.get("kv-lm"), torch.get_num_threads()
    torch.set_num_threads(1)
    yield net
    torch.set_num_threads(before)


def text(length, seed=0):
    return np.random.default_rng(seed).integers(0, 60, length)


def logits_of(net, tokens):
    return net(torch.from_numpy(np.atleast_2d(tokens))).numpy()


def masked(net, past, asked, kept):
    """The window's logits written out: all of the text, but the window may not see what is dropped."""
    x = net.embed(torch.from_numpy(np.concatenate([past, asked])[None]))
    before, time = len(past), len(past) + len(asked)
    turn = net.turn(0, time, x)
    for layer, block in enumerate(net.blocks):
        mask = torch.full((time, time), -math.inf).triu(1)
        dropped = np.setdiff1d(np.arange(before), kept[layer])
        mask[before:, dropped] = -math.inf
        x, _ = block(x, turn, mask)
    return net.read(net.norm(x))[0, before:].numpy()


def test_a_window_after_an_untouched_cache_is_the_whole_text(small):
    tokens = text(23)
    got, seen = small.window(small.prefill(tokens[:15]), tokens[15:])
    assert np.allclose(got, logits_of(small, tokens)[0, 15:], atol=1e-4)
    assert [s.kept.tolist() for s in seen] == [list(range(15))] * 2


def test_a_dropped_block_is_a_mask_on_it(small):
    past, asked = text(18), text(5, 1)
    kept = [np.array([0, 1, 2, 9, 10, 11]), np.arange(6, 18)]
    got, seen = small.window(small.prefill(past), asked, lambda layer, *_: kept[layer])
    assert np.allclose(got, masked(small, past, asked, kept), atol=1e-4)
    assert all(np.array_equal(s.kept, k) for s, k in zip(seen, kept, strict=True))
    whole, _ = small.window(small.prefill(past), asked)
    assert np.abs(whole - got).max() > 1e-3


def test_what_is_dropped_below_changes_the_queries_above(small):
    """Layers choose one after the other: the second sees the queries that the first one's choice led to."""
    cache, asked = small.prefill(text(18)), text(5, 1)
    _, free = small.window(cache, asked)
    _, thin = small.window(cache, asked, lambda layer, *_: np.arange(3))
    assert np.array_equal(free[0].queries, thin[0].queries)
    assert np.abs(free[1].queries - thin[1].queries).max() > 1e-3


def test_queries_and_keys_are_those_of_attention(small):
    """softmax(q k / sqrt(d), sharpened) @ v of what `window` hands out is what the layer adds."""
    past, asked, given = text(12), text(4, 1), {}

    def choose(layer, queries, keys):
        given[layer] = (queries, keys)
        return np.arange(keys.shape[1])

    cache = small.prefill(past)
    small.window(cache, asked, choose)
    queries, keys = given[0]
    assert queries.shape == (2, 4, 8)
    assert np.allclose(keys, cache.keys(0))
    block, x = small.blocks[0], small.embed(torch.from_numpy(asked[None]))
    q, all_keys = torch.from_numpy(queries), small.prefill(np.concatenate([past, asked]))
    scale = block.sharpness.exp()[:, None, None] / math.sqrt(8)
    scores = scale * q @ torch.from_numpy(all_keys.keys(0)).transpose(1, 2)
    scores = scores + torch.full((4, 16), -math.inf).triu(13)
    heard = (scores.softmax(-1) @ torch.from_numpy(all_keys.values(0))).transpose(0, 1).reshape(1, 4, 16)
    x = x + block.out(heard)
    gate, value = block.up(block.norm_feed(x)).chunk(2, -1)
    after = x + block.down(torch.nn.functional.silu(gate) * value)
    x = small.embed(torch.from_numpy(np.concatenate([past, asked])[None]))
    whole, _ = block(x, small.turn(0, 16, x), torch.full((16, 16), -math.inf).triu(1))
    assert torch.allclose(after[0], whole[0, 12:], atol=1e-4)


def emitted(net, tokens, hops):
    """Run the whole text again for every answer."""
    found = []
    for _ in range(hops):
        found.append(int(logits_of(net, tokens)[0, -1, : net.symbols].argmax()))
        tokens = np.append(tokens, found[-1])
    return found


def test_following_is_running_the_whole_text_for_every_hop(small):
    texts = np.stack([text(14, s) for s in range(2)])
    prompts = np.stack([text(6, 10 + s).reshape(3, 2) for s in range(2)])
    found = small.follow(small.prefill(texts), prompts, 4)
    assert found.shape == (2, 3, 4)
    turned = small.follow(small.prefill(texts[::-1].copy()), prompts, 4)
    assert not np.array_equal(found, turned)
    for i in range(2):
        for j in range(3):
            assert found[i, j].tolist() == emitted(small, np.concatenate([texts[i], prompts[i, j]]), 4)


def test_following_together_asks_in_turns_and_remembers(small):
    texts, starts = np.stack([text(14, s) for s in range(2)]), np.array([[3, 7], [9, 2]])
    found = small.follow_together(small.prefill(texts), starts, 3, 51)
    for i in range(2):
        tokens, current = texts[i], starts[i].tolist()
        for hop in range(3):
            for j in range(2):
                tokens = np.concatenate([tokens, [51, current[j]]])
                current[j] = emitted(small, tokens, 1)[0]
                tokens = np.append(tokens, current[j])
                assert found[i, j, hop] == current[j]


def test_rows_are_fixed_and_fillers_are_of_one_class():
    net = build(**SMALL)
    assert not net.table.requires_grad
    cosine = (net.table @ net.table.T).numpy()
    assert cosine[-6:, -6:].min() > 0.95
    assert np.abs(cosine[:54, :54] - np.eye(54)).max() < 0.95


@pytest.mark.parametrize("seed", range(3))
def test_lessons_ask_what_their_haystack_answers(seed):
    given = lessons.lesson((seed, 0), 20, 12, 80)
    assert given.tokens.shape == given.targets.shape == (20, 36 + 80)
    kinds = {"mark": 0, "filler": 0, "thread": 0}
    for tokens, targets in zip(given.tokens.tolist(), given.targets.tolist(), strict=True):
        table = {tokens[i]: tokens[i + 1] for i in range(0, 36, 3)}
        assert len(table) == 12
        assert tokens[2:36:3] == [SEPARATOR] * 12
        assert targets[:36] == [-1] * 36
        for at in range(36, 116):
            if targets[at] < 0:
                # Nothing is asked at marks, at fillers and where a thread ends or is left.
                assert tokens[at] >= SYMBOLS or tokens[at] in table.values()
                continue
            assert table[tokens[at]] == targets[at]
            assert at == 115 or tokens[at + 1] == targets[at]
            before = tokens[at - 1]
            kinds["mark" if before == QUERY else "filler" if before >= FIRST_FILLER else "thread"] += 1
    assert min(kinds.values()) > 20


def test_lessons_hold_threads_of_all_directions():
    random = np.random.default_rng(0)
    made = lessons.chains(random, 40, 30)
    stacks = lessons.laid_out(random, made).reshape(40, 30, 3)
    ways = {"forward": 0, "backward": 0, "mixed": 0}
    for pairs, linked, stack in zip(made.pairs, made.linked, stacks, strict=True):
        assert {tuple(p) for p in pairs.tolist()} == {tuple(p) for p in stack[:, :2].tolist()}
        place = {key: i for i, key in enumerate(stack[:, 0].tolist())}
        places = np.array([place[k] for k in pairs[:, 0].tolist()])
        for chain in np.split(places, np.flatnonzero(~linked)[1:]):
            if len(chain) > 4:
                steps = set(np.sign(np.diff(chain)).tolist())
                ways["mixed" if len(steps) == 2 else "forward" if steps == {1} else "backward"] += 1
    assert min(ways.values()) > 5


def test_lesson_loss_counts_answers_and_fillers():
    torch.manual_seed(0)
    net = build(**kv_lm.NET).requires_grad_(False)
    given = lessons.lesson((0, 0), 3, 8, 40)
    logits = net(torch.from_numpy(given.tokens)).log_softmax(-1)
    at = zip(*np.nonzero(given.targets >= 0), strict=True)
    answers = [-logits[i, t, given.targets[i, t]] for i, t in at]
    fillers = [-logits[i, t, given.tokens[i, t + 1]] for i in range(3) for t in range(63)
               if given.tokens[i, t] >= FIRST_FILLER and given.tokens[i, t + 1] >= FIRST_FILLER]
    expected = torch.stack(answers).mean() + lessons.FILLER_WEIGHT * torch.stack(fillers).mean()
    assert float(lessons.lesson_loss(net, given)) == pytest.approx(float(expected), rel=0.01)


def test_measures_of_a_solver_that_knows():
    """A look-up in the text is right everywhere; with its cache thinned out, where the pair is kept."""

    class Knows:
        symbols = SYMBOLS

        def prefill(self, tokens):
            return np.atleast_2d(tokens)

        def follow(self, cache, prompts, hops):
            tables = [dict(row.reshape(-1, 3)[:, :2].tolist()) for row in cache]
            out = np.zeros((*prompts.shape[:2], hops), dtype=np.int64)
            for i, j in np.ndindex(*prompts.shape[:2]):
                key = int(prompts[i, j, -1])
                for hop in range(hops):
                    key = out[i, j, hop] = tables[i][key]
            return out

        def follow_together(self, cache, starts, hops, mark):
            assert mark == QUERY
            return self.follow(cache, starts[..., None], hops)

        def window(self, cache, asked, choose):
            tokens = cache[0]
            ones = np.ones((1, len(tokens), 1))
            kept = np.arange(len(tokens)) if choose is None else choose(0, np.ones((1, 16, 1)), ones)
            assert tokens[-1] >= FIRST_FILLER
            logits, at = np.zeros((len(asked), SYMBOLS)), tokens.tolist().index(asked[-1])
            logits[-1, tokens[at + 1]] = at in kept
            return logits, []

    rows = measures.heat_map(Knows(), (8, 16, 128), 10)
    assert {r["value"] for r in rows} == {1.0}
    assert min(r["n"] for r in rows) >= 10
    assert len(rows) == 4 + 6 + 6
    assert [r["value"] for r in measures.together(Knows(), 20, 5)] == [1.0, 1.0]
    found = {r["name"]: r["value"] for r in measures.budget_trials(Knows(), ("recent", "random"), (4,), 40)}
    assert found["full cache"] == 1
    for policy in ("recent", "random"):
        assert found[f"{policy} at 1/4 of the cache"] == pytest.approx(0.25, abs=0.17)
    assert measures.guessing(8)["value"] == pytest.approx(1 / 8, abs=0.07)


def test_three_steps_of_the_recipe_train_resume_and_publish(tmp_path, monkeypatch):
    monkeypatch.setattr(kv_lm, "NET", {**kv_lm.NET, "width": 32, "hidden": 16})
    monkeypatch.setattr(kv_lm, "TOKENS", 300)
    few = [{"name": "x", "value": 0.0, "unit": "", "n": 1, "on": "y"}]
    monkeypatch.setattr(kv_lm, "evaluate", lambda model, data, work: few)
    options = ["--out", str(tmp_path / "out"), "--work", str(tmp_path / "work"), "--minutes", "5"]
    kv_lm.main([*options, "--steps", "2"])
    two = torch.load(tmp_path / "work" / "kv-lm.pt", weights_only=True)
    folder = kv_lm.main([*options, "--steps", "3", "--resume"])
    three = torch.load(tmp_path / "work" / "kv-lm.pt", weights_only=True)
    assert (two["step"], three["step"]) == (2, 3)
    assert three["spent"] > two["spent"]
    assert torch.equal(two["net"]["table"], three["net"]["table"])
    assert not torch.equal(two["net"]["blocks.0.qkv.weight"], three["net"]["blocks.0.qkv.weight"])
    card = json.loads((folder / "card.json").read_text())
    assert card["steps"] == 3
    assert card["metrics"] == few
    net = ModelStore(folder=Path(tmp_path / "out")).get("kv-lm")
    logits, _ = net.window(net.prefill(haystack(8, 0).tokens), window(3, 4, 0))
    assert logits.shape == (4, kv_lm.NET["vocabulary"])


def test_sizes_of_haystacks_grow_and_stay_in_their_bounds():
    sizes = [kv_lm.pairs_at(step, 0) for step in range(600)]
    assert sizes[0] == 8
    assert max(sizes[:20]) < 30
    assert max(sizes) > 110
    assert all(8 <= s <= 128 for s in sizes)


def test_shipped_weights_follow_fresh_threads(shipped, models):
    assert models.card("kv-lm")["parameters"] <= 500_000
    assert not shipped.training
    stacks = [haystack(128, 5000 + s, 12, ("forward", "backward")) for s in range(6)]
    assert exact(measures.walked(shipped, stacks), stacks, 12).mean() >= 0.9
    longer = [haystack(400, 5000 + s, 12, ("forward", "backward")) for s in range(2)]
    assert exact(measures.walked(shipped, longer), longer, 12).mean() >= 0.75


def test_shipped_weights_answer_from_what_the_probe_keeps(shipped):
    policies = ("activation-aware", "mean query", "random")
    rows = measures.budget_trials(shipped, policies, (16,), 16, first=5000)
    found = {r["name"].split(" at ")[0]: r["value"] for r in rows}
    assert found["full cache"] >= 0.9
    assert found["activation-aware"] >= 0.6
    assert found["activation-aware"] >= 2 * max(found["mean query"], found["random"])


def test_in_the_shipped_weights_the_asking_token_stands_out(shipped):
    stack = haystack(64, 5000)
    both = window(int(stack.starts[0]), 32, 1)
    _, seen = shipped.window(shipped.prefill(np.concatenate([stack.tokens, both[:16]])), both[16:])
    for layer in seen:
        assert int(kv_blocks.activation_bias(layer.queries).argmax()) == 15
