"""The lexinvariant language model: its net, its losses, its recipe, its twin and the weights."""

import json
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from components.errors import InputError
from components.models import ModelStore, deciphering
from components.models.nets.lexinvariant import HEAD, LOUD, ROW, build
from components.models.recipes import _lexinvariant_scores as scores
from components.models.recipes import _lexinvariant_training as training
from components.models.recipes import lexinvariant_lm, lexinvariant_twin
from components.numerics import substitution

KEY_FLOOR = 0.85  # of the story's characters
SMALL = {"width": 192, "depth": 2, "hidden": 64, "context": 64}


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return build(**SMALL).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def tokens():
    return torch.randint(0, 32, (3, 40), generator=torch.Generator().manual_seed(1))


def by_hand(net, tokens, rows):
    """Logits (1 + time, symbols) of one text: loops over positions and heads, plain attention."""
    x = torch.cat([net.start[None], torch.stack([net.lift.weight @ (LOUD * rows[t]) for t in tokens])])
    for block in net.body.blocks:
        normed = F.layer_norm(x, x.shape[-1:], block.norm_attend.weight)
        mixed = normed.clone()
        for t in range(len(x)):
            for lag in (1, 2, 3):
                if t >= lag:
                    mixed[t] += block.taps[3 - lag] * normed[t - lag]
        q, k, v = (mixed @ block.qkv.weight.T).chunk(3, -1)
        heard = torch.zeros_like(x)
        for h in range(x.shape[-1] // HEAD):
            of = slice(h * HEAD, (h + 1) * HEAD)
            for t in range(len(x)):
                query = F.layer_norm(q[t, of], (HEAD,)) * block.sharpness[h].exp() / math.sqrt(HEAD)
                weights = (F.layer_norm(k[: t + 1, of], (HEAD,)) @ query).softmax(0)
                heard[t, of] = weights @ v[: t + 1, of]
        x = x + heard @ block.out.weight.T
        fed = F.layer_norm(x, x.shape[-1:], block.norm_feed.weight)
        gate, value = (fed @ block.up.weight.T).chunk(2, -1)
        x = x + (F.silu(gate) * value) @ block.down.weight.T
    states = F.layer_norm(x, x.shape[-1:], net.body.norm.weight)
    return states @ net.drop.weight.T @ rows.T


def test_the_net_is_plain_causal_attention(net, tokens):
    torch.manual_seed(2)
    stirred = build(**SMALL).eval().requires_grad_(False)
    for p in stirred.parameters():
        p.add_(0.05 * torch.randn_like(p))
    for one in (net, stirred):
        rows = one.fresh_rows(1, 3)
        text = tokens[:1, :10]
        expected = by_hand(one, text[0], rows[0])
        assert torch.allclose(one(text, rows)[0], expected, atol=2e-4)
        heard = one.hear(text, rows)
        assert torch.allclose(heard.logits[0], expected, atol=2e-4)
        assert heard.layers[-1].shape == (1, 10, 32)
        assert torch.allclose(one.beliefs(text, rows).exp().sum(-1), torch.ones(1, 10), atol=1e-5)


def test_fresh_rows_are_orthonormal_and_new_for_every_sequence(net):
    rows = net.fresh_rows(4, 5)
    assert rows.shape == (4, 32, ROW)
    assert torch.allclose(rows @ rows.transpose(1, 2), torch.eye(32).expand(4, -1, -1), atol=1e-5)
    assert (rows[0] - rows[1]).abs().max() > 0.1
    assert torch.equal(rows, net.fresh_rows(4, 5))
    assert not torch.equal(rows, net.fresh_rows(4, 6))


def test_rows_do_not_tell_the_symbols_apart(net):
    """Over draws no entry leans to either sign, on its own or beside another: signs of QR's columns would."""
    draws = net.fresh_rows(4000, 8)
    noise = 1 / math.sqrt(len(draws))
    assert draws.mean(0).abs().max() * math.sqrt(ROW) < 5 * noise
    assert (draws > 0).float().mean(0).sub(0.5).abs().max() < 2.5 * noise
    assert torch.linalg.det(draws).mean().abs() < 5 * noise


def test_permuting_symbols_and_rows_together_changes_nothing(net, tokens):
    assert scores.invariance(net, tokens, 9) <= 1e-5
    # Under the rows left as they were, the same cipher text has another loss: the error above is no accident.
    rows = net.fresh_rows(3, 9)
    written = scores.enciphered(tokens, 9)
    moved = net(written, rows).log_softmax(-1)[:, :-1].gather(-1, written[..., None])
    plain = net(tokens, rows).log_softmax(-1)[:, :-1].gather(-1, tokens[..., None])
    assert (moved - plain).abs().max() > 1e-3


def test_no_entry_knows_its_own_symbol_or_a_later_one(net, tokens):
    rows = net.fresh_rows(3, 1)
    other = tokens.clone()
    other[:, 25:] = (other[:, 25:] + 7) % 32
    a, b = net.hear(tokens, rows), net.hear(other, rows)
    assert torch.equal(a.logits[:, :26], b.logits[:, :26])
    assert torch.equal(a.plain[:, :26], b.plain[:, :26])
    assert torch.equal(a.layers[-1][:, :25], b.layers[-1][:, :25])
    assert (a.logits[:, 26] - b.logits[:, 26]).abs().max() > 1e-4


def test_the_twin_has_one_table_of_its_own(tokens):
    torch.manual_seed(4)
    twin = build(**SMALL, own_rows=True).eval()
    rows = twin.rows(3)
    assert torch.equal(rows[0], rows[2])
    assert twin(tokens).shape == (3, 41, 32)
    F.cross_entropy(twin(tokens)[:, :-1].flatten(0, 1), tokens.flatten()).backward()
    assert twin.table.grad is not None and twin.table.grad.abs().max() > 0


def test_untrained_heads_already_find_what_followed(tokens):
    """The first weights: in a text that repeats itself, the symbol that followed gets the largest logit."""
    torch.manual_seed(5)
    net = build(**SMALL).eval().requires_grad_(False)
    once = torch.randperm(32, generator=torch.Generator().manual_seed(6))
    text = once.repeat(3)[None]
    said = net(text, net.fresh_rows(1, 7))[0, :-1].argmax(-1)
    assert (said[33:] == text[0, 33:]).float().mean() > 0.95


def test_training_loss_counts_every_head_once(tokens):
    torch.manual_seed(6)
    net = build(**SMALL)
    torch.manual_seed(7)
    loss = training.loss_of(net, tokens)
    torch.manual_seed(7)
    heard = net.hear(tokens)
    parts = [heard.logits[:, :-1], heard.plain[:, :-1], *heard.layers]
    flat = [float(F.cross_entropy(p.flatten(0, 1), tokens.flatten()).detach()) for p in parts]
    whole = flat[0] + 0.5 * flat[1] + (flat[2] + flat[3]) / 2
    assert float(loss.detach()) == pytest.approx(whole, rel=0.01)  # training is in bf16
    assert [training.length_at(share) for share in (0, 0.11, 0.13, 0.5, 0.9)] == [128, 128, 256, 512, 1024]


def test_scores_of_a_model_that_knows_the_cipher():
    """An oracle in the net's place: uniform logits give 5 bits; beliefs that are right give the whole key."""

    class Oracle(torch.nn.Linear):
        own_rows = True

        def forward(self, tokens, rows=None):
            return torch.zeros(*tokens.shape[:1], tokens.shape[1] + 1, 32)

    book = substitution.symbols("it was the best of times, it was the worst of times. " * 40).astype(np.uint8)
    tokens = scores.windows([book, book[::-1]], 4, 100)
    assert tokens.shape == (4, 100)
    assert torch.equal(tokens[0], torch.from_numpy(book[:100].astype(np.int64)))
    assert torch.equal(tokens[1], torch.from_numpy(book[-100:].astype(np.int64)))
    assert torch.allclose(scores.losses(Oracle(1, 1), tokens), torch.full((4, 100), 5.0))
    rows = scores.bits_rows(Oracle(1, 1), tokens.repeat(1, 6)[:, :512], "made", 0)
    assert {r["value"] for r in rows} == {5.0}
    ratios = scores.ratio_rows(Oracle(1, 1), Oracle(1, 1), tokens.repeat(1, 6)[:, :512], "made", 0)
    assert [r["value"] for r in ratios] == [1.0] * 6

    class Knowing:
        own_rows = False

        def __init__(self, key):
            self.reading = torch.from_numpy(substitution.true_reading(key))

        def fresh_rows(self, batch, seed):
            return None

        def beliefs(self, tokens, rows):
            return F.one_hot(self.reading[tokens], 32).float().mul(5)

    key = substitution.fresh_key(3)
    cipher = substitution.encipher(book[:1000].astype(np.int64), key)
    reading = scores.read_cipher(Knowing(key), cipher, 0)
    assert substitution.key_accuracy(cipher, reading, key) == 1


def test_answers_in_numpy_are_those_of_the_net(net, tokens):
    text = tokens[0].numpy()
    rows = net.fresh_rows(1, 6)
    expected = F.cross_entropy(net(tokens[:1], rows)[0, :-1], tokens[0], reduction="none") / math.log(2)
    assert np.allclose(deciphering.losses(net, text, 6), expected.numpy(), atol=1e-4)
    known = deciphering.beliefs(net, text, 6)
    assert np.allclose(known, net.beliefs(tokens[:1], rows)[0].numpy(), atol=1e-5)
    assert np.allclose(known[:9], deciphering.beliefs(net, text[:9], 6), atol=1e-4)
    with pytest.raises(InputError, match="1,025 characters; give 1 to 1,024"):
        deciphering.losses(net, np.zeros(1025, dtype=np.int64))
    with pytest.raises(InputError, match="0 characters"):
        deciphering.beliefs(net, text[:0])
    with pytest.raises(InputError, match="lexinvariant-lm"):
        deciphering.beliefs(build(**SMALL, own_rows=True), text)


def test_look_up_texts_never_contradict_themselves():
    texts = scores.look_up(5, 32, 0).view(5, 32, 3)
    assert (texts[..., 2] == substitution.ALPHABET.index(" ")).all()
    for text in texts:
        pairs = {(int(k), int(v)) for k, v, _ in text}
        assert len(pairs) == len({k for k, _ in pairs}) == len({v for _, v in pairs}) == scores.PAIRS
        assert {int(k) for k, _, _ in text[24:]} == {k for k, _ in pairs}


@pytest.fixture
def made_data(tmp_path):
    """A folder of texts that a small grammar writes."""
    chance = np.random.default_rng(0)
    words = ["the", "cat", "sat", "on", "a", "mat", "and", "said,", "'no.'", "then", "it", "ran\n"]
    folder = tmp_path / "data" / "text"
    folder.mkdir(parents=True)
    for name in (training.NOVELS, *training.BOOKS):
        (folder / name).write_text(" ".join(chance.choice(words, 1500)), encoding="utf-8")
    return tmp_path / "data"


def test_three_steps_of_both_recipes_train_resume_and_publish(tmp_path, monkeypatch, made_data):
    monkeypatch.setattr(training, "NET", {**SMALL, "symbols": 32, "depth": 1})
    monkeypatch.setattr(training, "DEV", 1000)
    monkeypatch.setattr(training, "TOKENS", 256)
    monkeypatch.setattr(training, "CURRICULUM", ((0.0, 64), (0.5, 128)))
    monkeypatch.setattr(scores, "LENGTHS", (60,))
    for recipe in (lexinvariant_lm, lexinvariant_twin):
        monkeypatch.setattr(recipe, "WINDOWS", 2)
        monkeypatch.setattr(recipe, "LOOK_UPS", 2)
    monkeypatch.setattr(lexinvariant_lm, "CIPHERS", 2)
    out, work = tmp_path / "out", tmp_path / "work"
    options = ["--data", str(made_data), "--out", str(out), "--work", str(work), "--minutes", "5"]
    folder = lexinvariant_twin.main([*options, "--steps", "2"])
    assert json.loads((folder / "card.json").read_text())["steps"] == 2
    lexinvariant_lm.main([*options, "--steps", "2"])
    two = torch.load(work / "lexinvariant-lm.pt", weights_only=True)
    folder = lexinvariant_lm.main([*options, "--steps", "3", "--resume"])
    three = torch.load(work / "lexinvariant-lm.pt", weights_only=True)
    assert (two["step"], three["step"]) == (2, 3)
    assert three["spent"] > two["spent"]
    for part in ("body.blocks.0.qkv.weight", "lift.weight", "probes.0.weight", "foresee.weight", "start"):
        assert not torch.equal(two["net"][part], three["net"][part]), part
    card = json.loads((folder / "card.json").read_text())
    store = ModelStore(folder=out)
    shipped, twin = store.get("lexinvariant-lm"), store.get("lexinvariant-twin")
    assert twin.own_rows and not shipped.own_rows
    again = lexinvariant_lm.evaluate(shipped, made_data, work, store)
    assert {m["name"] for m in again} == {m["name"] for m in card["metrics"]}
    for metric, stated in zip(again, card["metrics"], strict=True):
        assert metric["value"] == pytest.approx(stated["value"], rel=0.05, abs=0.01), metric["name"]
    assert any("ratio" in m["name"] for m in again)


STORY = """The old man who kept the lighthouse had a boat, and every morning before the sun was up he would
row across the bay to the village and back again. He said that the sea was his only friend, and that it had
never told him a lie. When the children asked him what he did in the winter, he laughed and said, 'I mend the
nets, and I read the three books that my mother left me, and then I begin again with the first.' One night in
the month of October there came such a storm as nobody could remember. The rain beat upon the windows, the
wind shook the doors, and the people in the village could not see the light at all. They waited until the
morning, and then the strongest of them took a boat and went over to the rock. They found him sitting by the
lamp, with his coat about his shoulders, and he was holding the great wheel with both of his hands. 'It would
not turn by itself any more,' he said, 'and so I turned it.' He had been there all through the night, and not
one ship was lost. After that there was always somebody who went across the water with him."""


@pytest.fixture(scope="module")
def story():
    return torch.from_numpy(substitution.symbols(STORY)[:512])[None]


def test_shipped_weights_read_ciphers(models):
    net = models.get("lexinvariant-lm")
    plain = substitution.symbols(STORY)[:1000]
    ours, simple = [], []
    for seed in range(2):
        key = substitution.fresh_key(seed)
        cipher = substitution.encipher(plain, key)
        ours.append(substitution.key_accuracy(cipher, scores.read_cipher(net, cipher, seed), key))
        simple.append(substitution.key_accuracy(cipher, substitution.frequency_guess(cipher), key))
    assert np.mean(ours) > KEY_FLOOR
    assert np.mean(ours) > np.mean(simple) + 0.2


def test_shipped_weights_learn_in_context_and_a_cipher_does_not_hurt_them(models, story):
    net, twin = models.get("lexinvariant-lm"), models.get("lexinvariant-twin")
    cipher = scores.enciphered(story, 3)
    plain = scores.losses(net, story)[0]
    assert scores.invariance(net, story, 0) <= 1e-5
    assert plain[:32].mean() > plain[-128:].mean() + 0.8
    assert plain[-128:].mean() < 3.6
    assert float(scores.losses(net, cipher, 4).mean()) == pytest.approx(float(plain.mean()), abs=0.15)
    assert scores.losses(twin, story).mean() < plain.mean()
    assert scores.losses(twin, cipher).mean() > 5  # worse than a guess


def test_shipped_cards_agree_about_the_twin(models):
    card = models.card("lexinvariant-lm")
    ratios = [m["value"] for m in card["metrics"] if m["name"].startswith("perplexity ratio")]
    assert len(ratios) == len(scores.BUCKETS)
    assert ratios[-1] < ratios[0]
    assert card["bytes"] <= 8 << 20
    twin = models.get("lexinvariant-twin")
    body = models.get("lexinvariant-lm").body
    assert [p.shape for p in twin.body.parameters()] == [p.shape for p in body.parameters()]
