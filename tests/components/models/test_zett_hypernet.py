"""The hypernetwork: its steps, pieces of tokens, the tokenizers it learns from, its recipe, its weights."""

import json
import math
import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from components.errors import InputError
from components.models import ModelStore
from components.models.nets import causal_lm
from components.models.nets.hypernetwork import Block, build
from components.models.recipes import _tokenizer_sampling as sampling
from components.models.recipes import _transfer_measures as measures
from components.models.recipes import zett_hypernet
from components.models.recipes._run import publish
from components.models.recipes._text_lm import bits_per_byte
from components.models.tokenizer_training import train
from components.models.tokenizer_transfer import PieceReader, predicted_rows, surroundings, token_strings
from components.models.vocabularies import Vocabulary
from components.numerics.row_transfer import piece_means
from components.settings import Settings

BODY = {"vocabulary": 4096, "width": 32, "depth": 1, "heads": 1, "hidden": 32, "context": 32}
SAMPLE = "english_prose.txt"
WORDS = ["The", "garden", "secret", "robin", "said", "came", "through", "wonderful", "wall", "was", "7", "?"]


def prose(words, seed=0):
    return " ".join(random.Random(seed).choices(WORDS, k=words))


@pytest.fixture(scope="module")
def own():
    return zett_hypernet.own_vocabulary()["bpe"]


@pytest.fixture(scope="module")
def base():
    torch.manual_seed(1)
    return causal_lm.build(**BODY).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def trained():
    """A network whose change is not zero."""
    torch.manual_seed(2)
    net = build(width=32, depth=2, heads=2, hidden=48, pieces=4, symbols=50)
    torch.nn.init.normal_(net.down.weight, std=1.0)
    return net.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def sampler():
    return sampling.TokenizerSampler(prose(3000), 0)


def test_untrained_it_is_the_mean_of_pieces():
    table, pieces = torch.randn(50, 32), torch.tensor([[3, -1, -1], [4, 9, -1], [7, 7, 1]])
    rows = build(width=32, heads=2, hidden=48)(pieces, table)
    assert np.allclose(rows.detach().numpy(), piece_means(table.numpy(), pieces.numpy()), atol=1e-5)


def test_block_equals_attention_written_out():
    torch.manual_seed(3)
    block = Block(32, 2, 48).eval().requires_grad_(False)
    x, seen = torch.randn(3, 5, 32), torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [1, 1, 1, 1, 0]]).bool()
    found = block(x, (~seen).float()[:, None, None] * -1e4)
    for i in range(3):
        own = x[i, seen[i]]
        q, k, v = F.linear(block.norm_attend(own), block.qkv.weight).split(32, -1)
        heard = []
        for h in (slice(0, 16), slice(16, 32)):
            heard.append((q[:, h] @ k[:, h].T / 4).softmax(-1) @ v[:, h])
        after = own + block.out(torch.cat(heard, -1))
        after = after + block.down(F.gelu(block.up(block.norm_feed(after))))
        assert torch.allclose(found[i, seen[i]], after, atol=1e-5)


def test_each_token_stands_alone_and_order_counts(trained):
    table, pieces = torch.randn(50, 32), torch.tensor([[3, 8, 2, -1], [4, -1, -1, -1], [8, 3, 2, -1]])
    rows = trained(pieces, table)
    for row, part in zip(rows, pieces, strict=True):
        alone = trained(part[part >= 0][None], table)
        assert torch.allclose(row, alone[0], atol=1e-5)  # neither padding nor other tokens matter
    assert not torch.allclose(rows[0], rows[2], atol=1e-2)
    longer = torch.cat([pieces, torch.full((3, 2), 9)], 1)
    assert torch.equal(trained(longer, table), rows)  # a fifth piece and more do not count


def test_rows_follow_the_tables_scale(trained):
    """Rows are normalised by the table's own mean and deviation, channel by channel, in and out."""
    table, pieces = torch.randn(50, 32), torch.tensor([[3, 8], [4, -1]])
    scale, shift = torch.rand(32) * 5 + 0.1, torch.randn(32)
    moved = trained(pieces, table * scale + shift)
    assert torch.allclose(moved, trained(pieces, table) * scale + shift, atol=1e-3)


def test_surroundings_are_the_mean_of_what_a_token_opens_and_closes():
    """Written out over strings: own tokens under a tokenizer without "z"."""
    net = build(width=32, heads=2, hidden=48, symbols=5)
    shares = torch.tensor([0.4, 0.1, 0.2, 0.1, 0.2])
    net.prior.copy_(shares.log())
    own, splits = ["ab", "abc", "b", "bc", "az"], [["ab"], ["ab", "c"], ["b"], ["b", "c"], [""]]
    vocabulary = sampling.unigram(["ab", "c", "b", "d", "a"], [-1.0, -2.0, -2.0, -3.0, -9.0])
    table = torch.randn(5, 32)
    found = surroundings(net, table, own, vocabulary)
    assert found.shape == (5, 2, 33)
    for i, token in enumerate(["ab", "c", "b", "d", "a"]):
        for side, place in enumerate((0, -1)):
            those = [j for j, split in enumerate(splits) if split[place] == token]
            if not those:
                assert found[i, side, -1] == -math.inf
                continue
            weights = shares[those]
            mean = (weights[:, None] * table[those]).sum(0) / weights.sum()
            assert torch.allclose(found[i, side, :-1], mean, atol=1e-5)
            assert float(found[i, side, -1]) == pytest.approx(float(weights.sum().log()), abs=1e-5)


def test_surroundings_are_heard_and_those_that_are_not_there_are_not(trained):
    table, pieces = torch.randn(50, 32), torch.tensor([[3, 8, 2], [4, -1, -1], [9, 1, -1]])
    around = torch.randn(3, 2, 33)
    around[:, :, -1] = -math.inf
    plain = trained(pieces, table)
    assert torch.allclose(trained(pieces, table, around), plain, atol=1e-5)  # minus infinity: nobody is there
    around[1, 0, -1] = -2.0
    one = trained(pieces, table, around)
    assert torch.allclose(one[[0, 2]], plain[[0, 2]], atol=1e-5)
    assert not torch.allclose(one[1], plain[1], atol=1e-2)
    rows = predicted_rows(trained, table, pieces.numpy(), batch=2, around=around)
    assert torch.allclose(rows, one, atol=1e-5)


def test_shares_are_counts_of_own_tokens(own):
    text = " the garden the"
    found = zett_hypernet.shares(own, text).exp()
    ids = own.tokenizer.encode(text).ids
    assert float(found.sum()) == pytest.approx(1, abs=1e-4)
    the = own.tokenizer.token_to_id("Ġthe")
    assert float(found[the]) == pytest.approx((ids.count(the) + 0.5) / (len(ids) + own.size / 2), rel=1e-4)


def test_pieces_are_what_the_base_tokenizer_says(own):
    reader = PieceReader(own)
    other = Vocabulary(train("bpe", 400, [prose(300)]))
    tokens = token_strings(other)
    table = reader.table(tokens)
    known = token_strings(own)
    for token, pieces in zip(tokens, table, strict=True):
        parts = [known[i] for i in pieces if i >= 0]
        assert token.startswith("".join(parts))
        if len(parts) < 6:
            assert "".join(parts) == token
        if token in known:
            assert parts == [token]
    text = own.tokenizer.encode(" wonderful").ids
    assert reader.read("Ġwonderful") == text
    with pytest.raises(InputError, match="byte-level"):
        token_strings(zett_hypernet.own_vocabulary()["wordpiece"])


def test_predicted_rows_come_in_order(trained, base):
    pieces = np.array([[5, 9, 2], [7, -1, -1], [1, 2, -1], [8, -1, -1]])
    rows = predicted_rows(trained, base.table, pieces, batch=2)
    assert torch.allclose(rows, trained(torch.from_numpy(pieces), base.table), atol=1e-5)


def test_drawn_tokenizers_differ_keep_text_and_repeat(sampler):
    sizes, found = set(), []
    for number in range(6):
        vocabulary = sampler.sample(number)
        ids = vocabulary.tokenizer.encode("The wonderful garden é 7").ids
        assert vocabulary.tokenizer.decode(ids) == "The wonderful garden é 7"
        sizes.add(vocabulary.size)
        found.append(token_strings(vocabulary))
        assert len(set(found[-1])) == vocabulary.size
    assert len(sizes) > 2
    assert token_strings(sampler.sample(2)) == found[2]
    drawn = sampler.drawn(300, np.random.default_rng(0))
    assert drawn.size == 300
    assert len(drawn.tokenizer.encode(" garden garden").ids) < 10


def test_the_softmax_over_drawn_tokens_stands_for_the_whole(base, own, monkeypatch):
    """With every other token drawn the loss is the full cross-entropy; with few it comes near on average."""
    lessons = zett_hypernet.Lessons(base, own, prose(4000), 0, "cpu")
    net = build(**{**zett_hypernet.NET, "width": 32, "heads": 1, "symbols": own.size})
    monkeypatch.setattr(zett_hypernet, "SHARED", 0.0)
    monkeypatch.setattr(zett_hypernet, "TOKENIZER_STEPS", 4)
    monkeypatch.setattr(zett_hypernet, "WARM_STEPS", 0)
    vocabulary, pieces, around = lessons.tokenizer(net, 4)
    assert around.shape == (vocabulary.size, 2, 33)
    rows = torch.from_numpy(piece_means(base.table.numpy(), pieces)).float()
    ids = torch.from_numpy(lessons.crops(vocabulary, np.random.default_rng(9)))
    assert (ids >= 0).all()
    exact = F.cross_entropy(base(ids[:, :-1], rows).flatten(0, 1), ids.flatten())
    monkeypatch.setattr(zett_hypernet, "NEGATIVES", 10**6)
    full = float(lessons.text_loss(net, 16, np.random.default_rng(9)).detach())
    assert full == pytest.approx(float(exact), abs=0.02)
    monkeypatch.setattr(zett_hypernet, "NEGATIVES", 64)
    few = float(lessons.text_loss(net, 16, np.random.default_rng(9)).detach())
    assert few == pytest.approx(full, abs=0.1)


def test_three_steps_of_the_recipe_train_resume_and_publish(base, tmp_path, monkeypatch):
    monkeypatch.setattr(zett_hypernet, "NET", {**zett_hypernet.NET, "heads": 1, "hidden": 32})
    for name, value in {"SEQUENCES": 2, "LENGTH": 12, "WARM_STEPS": 1, "SPLITS": 20}.items():
        monkeypatch.setattr(zett_hypernet, name, value)
    monkeypatch.setattr(measures, "HELD_OUT", (("BPE of one text", "bpe", 300, "other.txt"),))
    data, out, work = tmp_path / "data", tmp_path / "out", tmp_path / "work"
    data.mkdir()
    (data / "novels_train.txt").write_text(prose(2000))
    (data / "other.txt").write_text(prose(200, 3))
    (data / "heldout_one.txt").write_text(prose(30, 5))
    for name in ("bpe-lm", "unigram-lm"):
        publish(out / name, "causal_lm", BODY, base.state_dict(), {"licence": "x", "metrics": []})
    options = ["--data", str(data), "--out", str(out), "--work", str(work), "--minutes", "5"]
    zett_hypernet.main([*options, "--steps", "2"])
    two = torch.load(work / "zett-hypernet.pt", weights_only=True)
    assert two["step"] == 2
    assert two["net"]["down.weight"].abs().sum() > 0
    folder = zett_hypernet.main([*options, "--steps", "3", "--resume"])
    assert torch.load(work / "zett-hypernet.pt", weights_only=True)["step"] == 3
    card = json.loads((folder / "card.json").read_text())
    assert card["steps"] == 3
    store = ModelStore(Settings(threads=1), out)
    net = store.get("zett-hypernet")
    assert net.width == 32
    found = {(m["name"], m["on"]): m["value"] for m in zett_hypernet.evaluate(net, data, work, store)}
    assert found == {(m["name"], m["on"]): m["value"] for m in card["metrics"]}
    ways = {name for name, on in found if on == measures.BUNDLED_UNIGRAM}
    assert {"bits per byte: OMP, 8 atoms", "bits per byte: zero", "bits per byte: hypernetwork"} <= ways
    own = zett_hypernet.own_vocabulary()["bpe"]
    plain = bits_per_byte(store.get("bpe-lm"), lambda t: own.tokenizer.encode(t).ids, prose(30, 5))
    stated = found["bits per byte: its own tokenizer", "both books' beginnings"]
    assert stated == pytest.approx(plain, abs=1e-4)


def test_shared_tokens_keep_their_rows_and_a_donor_of_the_same_rows_gives_them_back(base):
    pieces = np.array([[5, -1], [9, -1], [2, 7], *[[i, -1] for i in range(20, 80)]])
    ways = measures.heuristics(base, pieces)
    table = base.table.numpy()
    for rows in ways.values():
        assert np.allclose(rows[:2], table[[5, 9]])
    assert (ways["zero"][2] == 0).all()
    assert np.allclose(ways["mean"][2], table.mean(0))
    donor = causal_lm.build(**{**BODY, "vocabulary": len(pieces)}).requires_grad_(False)
    donor.table.data = 2 * base.table[torch.from_numpy(pieces[:, 0])]
    donor.table.data[2] = 3 * donor.table[0] + donor.table[1]
    rows = measures.from_donor(base, donor, pieces)
    assert np.allclose(rows["OMP, 8 atoms"][2], 3 * table[5] + table[9], atol=1e-4)
    assert all(np.allclose(r[:2], table[[5, 9]]) for r in rows.values())


def test_the_card_says_what_it_lost_to():
    on = measures.BUNDLED_UNIGRAM
    values = {"hypernetwork": 2.0, "mean of pieces (FVT)": 2.05, "OMP, 8 atoms": 1.9, "ridge map": 2.2}
    rows = [measures.row(f"bits per byte: {way}", value, 9, on) for way, value in values.items()]
    said = " ".join(zett_hypernet.limits([*rows, *measures.summary(rows, 1.5, 9)]))
    assert "costs 0.50 bits per byte more" in said
    assert "lost to OMP, 8 atoms: 2.000 to 1.900" in said
    assert "lost to ridge" not in said
    assert "less was found on: Unigram 4k, the bundled one (+0.05)" in said


def test_shipped_weights_beat_the_mean_of_pieces_on_a_new_tokenizer(models):
    """A vocabulary trained on the sample text, which no run has seen."""
    base, own = models.get("bpe-lm"), zett_hypernet.own_vocabulary()["bpe"]
    text = (zett_hypernet.BUNDLED.parent / "samples" / "text" / SAMPLE).read_text(encoding="utf-8")
    vocabulary = Vocabulary(train("unigram", 600, [text]))
    pieces = PieceReader(own).table(token_strings(vocabulary))
    net, part = models.get("zett-hypernet"), text[:3000]
    around = surroundings(net, base.table, token_strings(own), vocabulary)
    heard, alone, mean = (
        bits_per_byte(base, lambda t: vocabulary.tokenizer.encode(t).ids, part, rows)
        for rows in (predicted_rows(net, base.table, pieces, around=around),
                     predicted_rows(net, base.table, pieces),
                     torch.from_numpy(piece_means(base.table.numpy(), pieces)).float())
    )  # fmt: skip
    assert math.isfinite(heard)
    assert heard < mean - 0.5
    assert heard < alone < mean - 0.1
