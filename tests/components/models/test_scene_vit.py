"""The dense vision transformer: its steps, proportional attention, its recipe and the weights that ship."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from components.models import ModelStore
from components.models.nets.dense_vit import Block, build
from components.models.recipes import scene_vit
from components.numerics.scenes import CLASSES, HELD_OUT_SEEDS, scene
from components.settings import Settings

FLOOR = 0.82  # of the mIoU on fresh scenes; the card states .89 on 200


@pytest.fixture(scope="module")
def block():
    torch.manual_seed(1)
    return Block(48, 3, 96).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def tokens():
    return torch.randn(2, 21, 48, generator=torch.Generator().manual_seed(2))


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(3)
    return build(size=64, width=32, depth=3, heads=2, hidden=64).eval().requires_grad_(False)


def attended_by_hand(block, x, log_size):
    """Attention in plain products, head by head; returns tokens, mean keys and the mean row of [CLS]."""
    width = x.shape[-1]
    wide = width // block.heads
    q, k, v = F.linear(block.norm_attend(x), block.qkv.weight, block.qkv.bias).split(width, -1)
    parts, keys, rows = [], [], []
    for h in range(block.heads):
        of = slice(h * wide, (h + 1) * wide)
        logits = q[..., of] @ k[..., of].transpose(1, 2) / math.sqrt(wide) + log_size[:, None, :]
        weights = logits.softmax(-1)
        parts.append(weights @ v[..., of])
        keys.append(k[..., of])
        rows.append(weights[:, 0])
    return x + block.out(torch.cat(parts, -1)), torch.stack(keys).mean(0), torch.stack(rows).mean(0)


def test_attend_equals_attention_written_out(block, tokens):
    log_size = torch.rand(2, 21, generator=torch.Generator().manual_seed(4)) * 2
    for sizes in (torch.zeros(2, 21), log_size):
        by_hand = attended_by_hand(block, tokens, sizes)
        for got, expected in zip(block.attend(tokens, sizes), by_hand, strict=True):
            assert torch.allclose(got, expected, atol=1e-5)
    row = block.attend(tokens, log_size)[2]
    assert torch.allclose(row.sum(1), torch.ones(2), atol=1e-5)
    assert block.attend(tokens)[1].shape == (2, 21, 16)


def test_sizes_of_one_change_nothing(block, tokens):
    with_zeros, without = block.attend(tokens, torch.zeros(2, 21)), block.attend(tokens)
    for a, b in zip(with_zeros, without, strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_a_token_of_size_two_is_the_token_twice(block, tokens):
    """Proportional attention: one key with log 2 takes exactly the weight of two equal keys."""
    twice = torch.cat([tokens, tokens[:, 5:6]], 1)
    log_size = torch.zeros(2, 21)
    log_size[:, 5] = math.log(2)
    merged, keys, row = block.attend(tokens, log_size)
    doubled, _, rows = block.attend(twice)
    assert torch.allclose(merged, doubled[:, :21], atol=1e-5)
    assert torch.allclose(row[:, 5], rows[:, 5] + rows[:, 21], atol=1e-6)
    assert torch.allclose(row[:, :5], rows[:, :5], atol=1e-6)
    plain = block.attend(tokens)[0]
    assert (plain - merged).abs().max() > 1e-4
    assert torch.equal(keys, block.attend(tokens)[1])


def test_attention_is_the_fused_kernel(block, tokens, monkeypatch):
    seen = []
    fused = F.scaled_dot_product_attention

    def spy(q, k, v, **options):
        seen.append((tuple(q.shape), options["attn_mask"]))
        return fused(q, k, v, **options)

    monkeypatch.setattr(F, "scaled_dot_product_attention", spy)
    block.attend(tokens)
    block.attend(tokens, torch.zeros(2, 21))
    assert seen[0] == ((2, 3, 21, 16), None)
    assert seen[1][1].shape == (2, 1, 21, 21)
    assert seen[1][1].stride()[2] == 0  # the bias is a view of one row a picture, not a square


def test_block_by_block_equals_forward(small):
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(5))
    tokens = small.embed(images)
    assert tokens.shape == (2, 1 + 64, 32)
    for block in small.blocks:
        tokens, keys, row = block.attend(tokens)
        assert keys.shape == (2, 65, 16)
        assert row.shape == (2, 65)
        tokens = block.feed(tokens)
    stepped, whole = small.heads(tokens), small(images)
    assert {k: tuple(v.shape) for k, v in whole.items()} == {
        "segmentation": (2, 8, 64, 64), "disparity": (2, 64, 64), "presence": (2, 6)
    }  # fmt: skip
    for name, value in whole.items():
        assert torch.allclose(stepped[name], value, atol=1e-5)
    assert [tuple(s.shape) for s in small.surfaces(tokens)] == [(2, 64, 8), (2, 64, 4)]


def test_blocks_take_any_number_of_tokens_and_order_does_not_matter(small):
    tokens = torch.randn(1, 30, 32, generator=torch.Generator().manual_seed(6))
    order = torch.randperm(30, generator=torch.Generator().manual_seed(7))
    for block in small.blocks:
        assert torch.allclose(block(tokens)[:, order], block(tokens[:, order]), atol=1e-5)
        assert block(tokens[:, :1]).shape == (1, 1, 32)


def test_maps_lie_where_their_patches_are(small):
    """Changing one token of the grid changes the maps around its own patch and nowhere far from it."""
    tokens = torch.randn(1, 65, 32, generator=torch.Generator().manual_seed(8))
    changed = tokens.clone()
    changed[:, 1 + 2 * 8 + 6] = 0  # row 2, column 6
    moved = (small.heads(changed)["disparity"] - small.heads(tokens)["disparity"]).abs()[0] > 1e-6
    rows, columns = torch.nonzero(moved, as_tuple=True)
    assert moved[16:24, 48:56].float().mean() > 0.9
    assert rows.min() >= 8
    assert rows.max() < 32
    assert columns.min() >= 40


def test_truths_read_the_patch_under_its_middle():
    made = scene(4)
    truth = scene_vit.truths([made], 8)
    for row, column in ((3, 3), (8, 10), (12, 5), (9, 2)):
        at = made.instances[8 * row + 4, 8 * column + 4]
        expected = -100 if at < 0 else list(scene_vit.COLOURS).index(made.objects[at].colour)
        assert truth["colour"][0, 16 * row + column] == expected
    assert (truth["colour"] >= 0).sum() == (truth["texture"] >= 0).sum() > 0


def test_metrics_of_known_answers():
    counts = torch.zeros(8, 8, dtype=torch.long)
    counts[0, 0], counts[1, 1], counts[1, 2], counts[2, 2] = 6, 2, 2, 4
    assert scene_vit.mean_iou(counts) == pytest.approx((1 + 2 / 4 + 4 / 6) / 3)

    class Oracle(torch.nn.Linear):
        """Knows the scenes: says the truth, but its disparity is 0.1 too high."""

        def forward(self, images):
            truth = scene_vit.truths(scenes, 8)
            return {
                "segmentation": F.one_hot(truth["segmentation"], 8).permute(0, 3, 1, 2).float(),
                "disparity": truth["disparity"] + 0.1,
                "presence": truth["presence"] - 0.5,
            }

    scenes = [scene(s) for s in range(3)]
    found = {m["name"]: m["value"] for m in scene_vit.measure(Oracle(1, 1), scenes, "three scenes")}
    assert found == {"mIoU": 1, "pixel accuracy": 1, "disparity RMSE": 0.1, "presence F1": 1}
    base = {m["name"]: m["value"] for m in scene_vit.baselines(scenes, "three scenes")}
    shares = np.bincount(np.concatenate([s.segmentation.ravel() for s in scenes]), minlength=8)
    commonest = shares.max() / shares.sum()
    assert base["baseline pixel accuracy (majority class)"] == pytest.approx(commonest, abs=1e-4)


def test_three_steps_of_the_recipe_train_resume_and_publish(tmp_path, monkeypatch):
    monkeypatch.setattr(scene_vit, "NET", {**scene_vit.NET, "width": 32, "depth": 2, "hidden": 64})
    monkeypatch.setattr(scene_vit, "BATCH", 2)
    monkeypatch.setattr(scene_vit, "TEST_SCENES", 2)
    seeds = []

    def noted(seed, **more):
        seeds.append((seed, more))
        return scene(seed, **more)

    monkeypatch.setattr(scene_vit, "scene", noted)
    options = ["--out", str(tmp_path / "out"), "--work", str(tmp_path / "work"), "--minutes", "5"]
    scene_vit.main([*options, "--steps", "2"])
    torch.manual_seed(0)
    before = build(**scene_vit.NET).state_dict()
    two = torch.load(tmp_path / "work" / "scene-vit.pt", weights_only=True)
    assert two["step"] == 2
    assert any(not torch.equal(before[k], two["net"][k]) for k in before if k.endswith("qkv.weight"))
    folder = scene_vit.main([*options, "--steps", "3", "--resume"])
    three = torch.load(tmp_path / "work" / "scene-vit.pt", weights_only=True)
    assert three["step"] == 3
    assert three["spent"] > two["spent"]
    card = json.loads((folder / "card.json").read_text())
    assert card["steps"] == 3
    assert {"mIoU", "fog: mIoU", "baseline mIoU (majority class)"} <= {m["name"] for m in card["metrics"]}
    trained = [(seed, more) for seed, more in seeds if seed >= HELD_OUT_SEEDS]
    assert [more for _, more in trained] == [{}] * 6  # no style chosen: the held-out one cannot come up
    assert len({seed for seed, _ in trained}) == 6
    assert {seed for seed, _ in seeds} - {seed for seed, _ in trained} == {0, 1}
    net = ModelStore(Settings(threads=1), folder=Path(tmp_path / "out")).get("scene-vit")
    assert net(torch.rand(1, 3, 128, 128))["segmentation"].shape == (1, 8, 128, 128)


def test_the_decoder_alone_is_trained_from_the_average_at_a_fresh_rate(tmp_path, monkeypatch):
    monkeypatch.setattr(scene_vit, "NET", {**scene_vit.NET, "width": 32, "depth": 2, "hidden": 64})
    for name, value in (("BATCH", 2), ("TEST_SCENES", 2), ("WARM_UP", 1)):
        monkeypatch.setattr(scene_vit, name, value)
    rates = []
    asked = scene_vit.Training.rate
    monkeypatch.setattr(scene_vit.Training, "rate", lambda self: rates.append(asked(self)) or rates[-1])
    options = ["--out", str(tmp_path / "out"), "--work", str(tmp_path / "work"), "--minutes", "5"]
    scene_vit.main([*options, "--steps", "4"])
    whole = torch.load(tmp_path / "work" / "scene-vit.pt", weights_only=True)
    scene_vit.main([*options, "--steps", "6", "--resume", "--decoder-only"])
    scene_vit.main([*options, "--steps", "8", "--resume", "--decoder-only"])
    alone = torch.load(tmp_path / "work" / "scene-vit.pt", weights_only=True)
    assert alone["fresh"] == (4, whole["spent"])
    for name, now in alone["net"].items():
        before = whole["average"]["module." + name]
        assert torch.equal(now, before) == (not name.startswith("decoder."))
        assert torch.equal(alone["average"]["module." + name], before) == (not name.startswith("decoder."))
    tops = [scene_vit.RATE] * 4 + [scene_vit.DECODER_RATE] * 4
    shares = [1, 3 / 4, 2 / 4, 1 / 4, 1, 1 / 2, 2 / 4, 1 / 4]
    assert rates == pytest.approx([top * share for top, share in zip(tops, shares, strict=True)], rel=0.05)


def test_disparity_errors_count_squared_below_the_bend_and_straight_above():
    net, made = build(**{**scene_vit.NET, "width": 32, "depth": 1, "hidden": 32}), [scene(3)]
    truth, images = scene_vit.truths(made, 8), torch.zeros(1, 3, 128, 128)
    said = scene_vit.loss_of(net, images, truth)[1]["disparity"].detach()

    def cost(error, bend):
        return float(scene_vit.loss_of(net, images, {**truth, "disparity": said + error}, bend)[0].detach())

    assert cost(0.02, 0.05) - cost(0, 0.05) == pytest.approx(40 * 0.02**2, rel=1e-3)
    assert cost(0.02, 1.0) - cost(0, 1.0) == pytest.approx(40 * 0.02**2, rel=1e-3)
    assert cost(0.5, 0.05) - cost(0, 0.05) == pytest.approx(4 * (0.5 - 0.025), rel=1e-3)
    assert cost(0.5, 1.0) - cost(0, 1.0) == pytest.approx(40 * 0.25, rel=1e-3)


def test_shipped_weights_see_fresh_scenes(models):
    net = models.get("scene-vit")
    card = models.card("scene-vit")
    assert card["bytes"] <= 8 << 20
    assert not net.training
    fresh = [scene(s) for s in range(5000, 5024)]
    found = {m["name"]: m["value"] for m in scene_vit.measure(net, fresh, "24 fresh scenes")}
    assert found["mIoU"] > FLOOR
    assert found["disparity RMSE"] < 0.06
    assert found["presence F1"] > 0.88
    assert len(CLASSES) == net.classes
    stated = {m["name"]: m["value"] for m in card["metrics"]}
    assert stated["mIoU"] == pytest.approx(found["mIoU"], abs=0.1)
