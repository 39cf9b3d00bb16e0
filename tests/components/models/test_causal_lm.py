"""The shared language model body: what it may see, rows from outside, the past, and its training."""

import math
from argparse import Namespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from components.models.nets.causal_lm import TAPS, build, rotate
from components.models.recipes import _lm_training
from components.models.recipes._lm_training import Training, crops, read_out_loss


@pytest.fixture
def net():
    torch.manual_seed(3)
    made = build(vocabulary=11, width=16, depth=2, heads=2, hidden=24, context=12)
    for value in made.parameters():  # blocks start as identities; here they must do something
        value.data.normal_(std=0.3)
    return made.eval()


@pytest.fixture
def tokens():
    return torch.randint(0, 11, (3, 9), generator=torch.Generator().manual_seed(5))


def test_no_logit_depends_on_its_own_or_a_later_token(net, tokens):
    before = net(tokens)
    assert before.shape == (3, 10, 11)
    for i in range(9):
        other = tokens.clone()
        other[:, i] = (other[:, i] + 1) % 11
        moved = (net(other) - before).abs().amax(-1) > 1e-6
        assert not moved[:, : i + 1].any()
        assert moved[:, i + 1 :].all()


def test_token_by_token_with_the_past_equals_all_at_once(net, tokens):
    vectors = torch.cat([net.begin(3), net.embed(tokens)], 1)
    whole, _ = net.states(vectors)
    past, parts = None, []
    for at, until in ((0, 1), (1, 4), (4, 5), (5, 10)):
        states, past = net.states(vectors[:, at:until], past)
        parts.append(states)
    assert torch.allclose(torch.cat(parts, 1), whole, atol=1e-5)
    assert past[0].keys.shape == (3, 2, 10, 8)
    assert past[0].tail.shape == (3, TAPS - 1, 16)


def test_attention_equals_attention_written_out(net):
    """One block against its formula: convolution, normalised queries and keys, rotary turns, SwiGLU."""
    x = torch.randn(1, 5, 16, generator=torch.Generator().manual_seed(6))
    block, mask = net.blocks[0], torch.full((5, 5), -1e4).triu(1)
    got, _ = block(x, net.turn(0, 5, x), mask)
    h = F.layer_norm(x, (16,)) * block.norm_attend.weight
    mixed = h.clone()
    for t in range(5):
        for back in range(1, TAPS):
            if t >= back:
                mixed[:, t] += block.taps[TAPS - 1 - back] * h[:, t - back]
    q, k, v = F.linear(mixed, block.qkv.weight).split(16, -1)
    heard = []
    for head in range(2):
        of = slice(8 * head, 8 * head + 8)
        turned = []
        for one in (q, k):
            u = F.layer_norm(one[..., of], (8,))[0]
            out = torch.empty_like(u)
            for t in range(5):
                for i in range(4):
                    angle = t * 10_000 ** (-i / 4)
                    c, s = math.cos(angle), math.sin(angle)
                    out[t, i] = c * u[t, i] - s * u[t, i + 4]
                    out[t, i + 4] = c * u[t, i + 4] + s * u[t, i]
            turned.append(out)
        logits = turned[0] @ turned[1].T * block.sharpness[head].exp() / math.sqrt(8) + mask
        heard.append(logits.softmax(-1) @ v[0, :, of])
    y = x + F.linear(torch.cat(heard, -1), block.out.weight)
    gate, value = F.linear(F.layer_norm(y, (16,)) * block.norm_feed.weight, block.up.weight).split(24, -1)
    expected = y + F.linear(gate / (1 + (-gate).exp()) * value, block.down.weight)
    assert torch.allclose(got, expected, atol=1e-5)


def test_rotation_keeps_lengths_and_depends_on_distance_alone(net):
    q, k = torch.randn(2, 1, 1, 1, 8, generator=torch.Generator().manual_seed(1))

    def product(i, j):
        at = [rotate(x, net.turn(t, 1, x)) for x, t in ((q, i), (k, j))]
        assert torch.allclose(at[0].norm(), q.norm())
        return (at[0] * at[1]).sum()

    assert torch.allclose(product(3, 1), product(9, 7), atol=1e-5)
    assert not torch.allclose(product(3, 1), product(3, 2), atol=1e-3)
    assert build(vocabulary=4, width=16, depth=1, heads=2, hidden=8, rotary=False).turn(0, 3, q) is None


def test_rows_from_outside_stand_in_for_the_table(net, tokens):
    assert torch.equal(net(tokens, net.table), net(tokens))
    order = torch.randperm(11, generator=torch.Generator().manual_seed(2))
    # New names for the same symbols: the logits are the same under the new names.
    renamed = net(order[tokens], net.table[torch.argsort(order)])
    assert torch.allclose(renamed[..., order], net(tokens), atol=1e-5)
    tables = torch.randn(3, 11, 16, generator=torch.Generator().manual_seed(4))
    together = net(tokens, tables)
    for i in range(3):
        assert torch.allclose(together[i], net(tokens[i : i + 1], tables[i])[0], atol=1e-5)


def test_the_read_out_loss_and_its_gradients_equal_the_plain_ones(monkeypatch):
    monkeypatch.setattr(_lm_training, "CHUNK", 4)
    random = torch.Generator().manual_seed(7)
    states, rows = torch.randn(3, 5, 8, generator=random), torch.randn(11, 8, generator=random)
    targets = torch.randint(0, 11, (3, 5), generator=random)
    targets[0, 2] = targets[2, 4] = -1
    found = []
    for loss in (
        read_out_loss,
        lambda s, r, t: F.cross_entropy((s @ r.T).flatten(0, 1), t.flatten(), ignore_index=-1),
    ):
        s, r = states.clone().requires_grad_(), rows.clone().requires_grad_()
        value = loss(s, r, targets)
        (3 * value).backward()
        found.append((value.detach(), s.grad, r.grad))
    for a, b in zip(*found, strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_crops_are_pieces_of_the_stream_and_repeatable():
    stream = np.arange(1000, dtype=np.uint16)
    found = crops(stream, 16, 5, seed=1, step=2)
    assert found.shape == (5, 17)
    assert (found[:, 1:] - found[:, :-1] == 1).all()
    assert torch.equal(found, crops(stream, 16, 5, seed=1, step=2))
    assert not torch.equal(found, crops(stream, 16, 5, seed=1, step=3))


def test_training_learns_and_resumes_exactly(tmp_path):
    """Six steps at once equal three steps, a stop and three more."""

    def run(work, steps, resume):
        torch.manual_seed(0)
        net = build(vocabulary=7, width=16, depth=1, heads=1, hidden=16, context=8)
        stream = np.tile(np.arange(7, dtype=np.uint16), 50)

        def loss(model, step):
            made = crops(stream, 8, 4, 0, step)
            return F.cross_entropy(model(made[:, :-1])[:, :-1].flatten(0, 1), made[:, :-1].flatten())

        options = Namespace(device="cpu", work=work, resume=resume, minutes=1e9, steps=None, seed=0)
        training = Training(options, "try", net, loss)
        losses = [training.advance() for _ in range(steps)]
        training.save()
        return training, losses

    whole, losses = run(tmp_path / "a", 6, False)
    run(tmp_path / "b", 3, False)
    resumed, rest = run(tmp_path / "b", 3, True)
    assert resumed.step == whole.step == 6
    assert rest == pytest.approx(losses[3:], abs=1e-5)
    for name, value in whole.result.state_dict().items():
        assert torch.allclose(value, resumed.result.state_dict()[name], atol=1e-5), name
    _, many = run(tmp_path / "c", 120, False)
    assert many[-1] < 0.5 * many[0]
