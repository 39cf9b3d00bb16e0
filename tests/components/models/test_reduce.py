import numpy as np
import pytest

from components.models import reduce
from components.numerics.token_matrix import compose, merging, pruning
from components.numerics.token_merging import bipartite_match
from components.numerics.token_selection import by_attention, k_center


@pytest.fixture(scope="module")
def net():
    import torch

    from components.models.store import build_net

    torch.manual_seed(0)
    size = {"size": 64, "patch": 8, "width": 32, "depth": 4, "heads": 4, "hidden": 64}
    made = build_net("dense_vit", {**size, "classes": 8, "shapes": 6, "colours": 8, "textures": 4})
    return made.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).random((2, 3, 64, 64), dtype=np.float32)


def prune(seen):
    if seen.layer != 2:
        return None
    return pruning(by_attention(seen.attention[1:], 20), seen.keys, seen.sizes)


def spread(seen):
    if seen.layer not in (1, 3):
        return None
    patches = len(seen.keys) - 1
    return pruning(k_center(seen.features[1:], patches // 2, 0), seen.keys, seen.sizes)


def merge(seen):
    return merging(bipartite_match(seen.keys, 9), seen.sizes)


RULES = {"prune": prune, "spread": spread, "merge": merge}


def test_without_a_rule_it_is_the_network(net, images):
    import torch

    outcome = reduce.run(net, images)
    with torch.inference_mode():
        expected = net(torch.as_tensor(images))
    for name, value in expected.items():
        assert np.abs(outcome.heads[name] - value.numpy()).max() < 1e-5
    assert outcome.entering == (65,) * 5
    assert outcome.steps == ((), ())


@pytest.mark.parametrize("kind", RULES)
def test_lengths_equal_what_the_matrices_say(net, images, kind):
    seen_lengths = []

    def watched(seen):
        seen_lengths.append(
            (seen.layer, len(seen.keys), len(seen.attention), len(seen.features), len(seen.sizes))
        )
        return RULES[kind](seen)

    outcome = reduce.run(net, images[:1], watched)
    left = 65
    for layer, length in enumerate(outcome.entering[:-1], start=1):
        assert length == left
        assert seen_lengths[layer - 1] == (layer, *(4 * [left]))
        left = dict((n, s.forward.shape[0]) for n, s in outcome.steps[0]).get(layer, left)
    assert outcome.entering[-1] == left == outcome.features.shape[1] < 65


def masked_reference(net, image, steps):
    """Keep all 65 places in every layer: a dropped token is masked as a key, merged ones hold equal copies.

    Copies count once each in attention, so no size is needed: a token that stands for m is there m times.
    """
    import torch
    import torch.nn.functional as F

    by_layer = dict(steps)
    with torch.inference_mode():
        x = net.embed(torch.as_tensor(image)[None])
        alive, done = torch.ones(65, dtype=torch.bool), []
        for number, block in enumerate(net.blocks, start=1):
            q, k, v = block._project(x)
            mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=alive[None, None, None])
            x = x + block.out(mixed.transpose(1, 2).reshape(x.shape))
            if number in by_layer:
                done.append(by_layer[number])
                forward, back = (m.dense() for m in compose(tuple(done), 65))
                if done[-1].forward.one_hot:
                    alive &= torch.as_tensor(forward.any(axis=0))
                else:
                    x = torch.as_tensor((back @ forward) @ x[0].numpy().astype(np.float64), dtype=x.dtype)[
                        None
                    ]
            x = block.feed(x)
        back = compose(tuple(done), 65)[1]
        forward = compose(tuple(done), 65)[0]
        full = torch.as_tensor(back.apply(forward.apply(x[0].numpy())), dtype=x.dtype)[None]
        return {name: value.numpy() for name, value in net.heads(full).items()}


@pytest.mark.parametrize("kind", RULES)
def test_dropping_equals_masking_at_full_length(net, images, kind):
    outcome = reduce.run(net, images, RULES[kind])
    for i in range(2):
        expected = masked_reference(net, images[i], outcome.steps[i])
        for name, value in expected.items():
            assert np.abs(outcome.heads[name][i] - value[0]).max() < 1e-4, name


@pytest.mark.parametrize("kind", RULES)
def test_a_batch_is_its_pictures_one_by_one(net, images, kind):
    together = reduce.run(net, images, RULES[kind])
    for i in range(2):
        alone = reduce.run(net, images[i : i + 1], RULES[kind])
        assert alone.entering == together.entering
        assert alone.macs == pytest.approx(together.macs / 2)
        assert np.abs(alone.heads["segmentation"][0] - together.heads["segmentation"][i]).max() < 1e-5


def test_the_matrix_times_the_tokens_is_what_the_network_went_on_with(net, images):
    """W X by the dense matrix equals the tensor after the reduction, at every stage of a merge."""
    import torch

    outcome = reduce.run(net, images[:1], merge)
    x = torch.randn(1, 65, 32, generator=torch.Generator().manual_seed(1))
    for _, step in outcome.steps[0]:
        applied = reduce.apply((step.forward,), x)
        assert np.abs(applied[0].numpy() - step.forward.dense() @ x[0].numpy()).max() < 1e-5
        x = applied


@pytest.mark.parametrize("kind", [None, *RULES])
def test_macs_are_what_torch_counts(net, images, kind, monkeypatch):
    """Torch does not count the fused attention on CPU, so its calls are counted here by their shapes."""
    import torch
    import torch.nn.functional as F
    from torch.utils.flop_counter import FlopCounterMode

    fused, calls = F.scaled_dot_product_attention, []

    def counted_attention(q, k, v, **more):
        calls.append(2 * q.shape[1] * q.shape[2] * k.shape[2] * q.shape[3])
        return fused(q, k, v, **more)

    monkeypatch.setattr(F, "scaled_dot_product_attention", counted_attention)
    reduce.fixed_macs(net)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        outcome = reduce.run(net, images[:1], RULES.get(kind))
    rows = 32 * sum(outcome.entering[:-1])  # the explicit [CLS] rows
    assert len(calls) == 4
    assert outcome.macs == counter.get_total_flops() / 2 - rows + sum(calls)


def test_pictures_of_one_batch_must_keep_equally_many(net, images):
    calls = []

    def uneven(seen):
        calls.append(0)
        return pruning(np.arange(len(calls)), seen.keys, seen.sizes)

    with pytest.raises(RuntimeError, match="differ in their number of tokens"):
        reduce.run(net, images, uneven)


def test_time_in_the_rule_is_part_of_the_whole(net, images):
    outcome = reduce.run(net, images[:1], merge, repeats=2)
    assert 0 < outcome.deciding < outcome.milliseconds
