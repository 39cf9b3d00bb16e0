"""The encoder with two bottlenecks: its parts against sums written out, its recipe, the shipped weights."""

import json
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from components.errors import InputError
from components.models import ModelStore
from components.models.dup_encoding import DupReader
from components.models.nets.dup_encoder import CLS, MASK, PAD, SEP, attend, build
from components.models.recipes import _dup_lessons, text_encoder
from components.models.recipes import _retrieval_measures as retrieval
from components.models.recipes._dup_lessons import wordpiece
from components.models.recipes._dup_measures import rankings
from components.models.store import BUNDLED
from components.models.vocabularies import Vocabulary
from tests.components.models import made_text

SHAPE = {"width": 32, "depth": 2, "heads": 2, "hidden": 48, "context": 24, "dim": 16}
PIECES = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "red", "green", "blue", "##ish", "a", "b")


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(1)
    net = build(vocabulary=len(PIECES), **SHAPE).eval().requires_grad_(False)
    for block in net.blocks:
        torch.nn.init.normal_(block.out.weight, std=0.2)
        torch.nn.init.normal_(block.feed.down.weight, std=0.2)
    torch.nn.init.normal_(net.decoder.feed.down.weight, std=0.2)
    return net


@pytest.fixture(scope="module")
def tokens():
    return torch.tensor([[CLS, 5, 6, 8, 9, SEP], [CLS, 10, 7, SEP, PAD, PAD]])


def test_attention_equals_sums_written_out():
    q, k, v = torch.randn(3, 1, 4, 6, generator=torch.Generator().manual_seed(2))
    bias = torch.zeros(1, 1, 4, 4)
    bias[..., 3] = -1e4
    expected = torch.zeros(4, 6)
    for head in (slice(0, 3), slice(3, 6)):
        for i in range(4):
            weights = torch.tensor(
                [math.exp(float(q[0, i, head] @ k[0, j, head]) / math.sqrt(3)) for j in range(3)]
            )
            expected[i, head] = (weights[:, None] * v[0, :3, head]).sum(0) / weights.sum()
    assert torch.allclose(attend(q, k, v, 2, bias)[0], expected, atol=1e-5)


def test_padding_changes_nothing(small, tokens):
    alone = tokens[1:, :4]
    for both, one in zip(small(tokens), small(alone), strict=True):
        assert torch.allclose(both[1], one[0], atol=1e-5)


def test_pooled_is_the_largest_logit_over_ordinary_tokens(small, tokens):
    states = small.states(tokens)
    logits = small.logits(states)
    expected = torch.stack([logits[0, 1:5].amax(0), logits[1, 1:3].amax(0)])
    assert torch.allclose(small.pooled(tokens, states), expected, atol=1e-5)
    read = small.norm_head(F.gelu(small.transform(states)))
    assert torch.allclose(logits[1, 2, 7], read[1, 2] @ small.table[7], atol=1e-5)


def test_the_gradient_of_the_pooled_logits_is_that_of_autograd():
    net = build(vocabulary=len(PIECES), **SHAPE)
    ids = torch.tensor([[CLS, 5, 6, 8, 9, SEP], [CLS, 10, 7, SEP, PAD, PAD]])
    states = torch.randn(2, 6, 32, generator=torch.Generator().manual_seed(5), requires_grad=True)
    weights = torch.randn(2, len(PIECES), generator=torch.Generator().manual_seed(6))
    wanted = (states, net.table)
    got = torch.autograd.grad((net.pooled(ids, states) * weights).sum(), wanted)
    logits = net.logits(states)
    plain = torch.stack([logits[0, 1:5].amax(0), logits[1, 1:3].amax(0)])
    for a, b in zip(got, torch.autograd.grad((plain * weights).sum(), wanted), strict=True):
        assert torch.allclose(a, b, atol=1e-5)


def test_bags_are_of_length_one_without_special_tokens_and_keep_the_largest(small):
    pooled = torch.tensor([[9.0, 9, 9, 9, 9, 3, -1, 2, 1, 0.5, 4]])
    whole, cut = small.bag(pooled), small.bag(pooled, 3)
    expected = torch.tensor([0.0, 0, 0, 0, 0, 3, 0, 2, 1, 0.5, 4]).log1p()
    assert torch.allclose(whole[0], expected / expected.norm(), atol=1e-6)
    assert torch.nonzero(cut[0])[:, 0].tolist() == [5, 7, 10]
    assert cut.norm() == pytest.approx(1)


def test_the_decoder_sees_cls_and_what_is_visible_and_nothing_else(small, tokens):
    cls = small.states(tokens)[:, 0]
    nothing = torch.zeros(2, 6, 6, dtype=torch.bool)
    other = tokens.clone()
    other[0, 2] = 10
    blind = small.decode(cls, tokens, nothing)
    assert torch.allclose(blind, small.decode(cls, other, nothing), atol=1e-6)
    assert not torch.allclose(blind[0], small.decode(cls.flip(0), tokens, nothing)[0], atol=1e-3)
    some = nothing.clone()
    some[0, 4, 2] = True
    moved = (small.decode(cls, other, some) - small.decode(cls, tokens, some)).abs().amax(-1) > 1e-6
    assert torch.nonzero(moved).tolist() == [[0, 4]]


def test_the_reconstruction_loss_never_shows_a_row_its_own_token(small, tokens, monkeypatch):
    seen = []
    inner = small.decoded

    def spy(cls, ids, visible):
        seen.append(visible)
        return inner(cls, ids, visible)

    monkeypatch.setattr(small, "decoded", spy)
    draw = np.random.default_rng(0)
    for _ in range(200):
        text_encoder.reconstruction_loss(small, small.states(tokens)[:, 0], tokens, draw)
    shown = torch.stack(seen)
    assert not shown.diagonal(dim1=-2, dim2=-1).any()
    assert not shown[:, 1, :, 4:].any()  # padding
    assert 0.26 < shown[:, 0, 1:, 1].float().mean() < 0.34  # .5 of four rows in five of three texts in four


def test_bag_of_words_loss_by_hand():
    pooled = torch.randn(1, 9, generator=torch.Generator().manual_seed(3))
    ids = torch.tensor([[CLS, 5, 7, 5, SEP, PAD]])
    odds = pooled[0].softmax(-1)
    assert text_encoder.bag_of_words(pooled, ids) == pytest.approx(
        -float(odds[5].log() + odds[7].log()) / 2, abs=1e-5
    )


def test_the_reader_cuts_frames_encodes_and_rebuilds(small):
    reader = DupReader(small, Vocabulary(wordpiece(PIECES)))
    assert reader.ids(["Red greenish b", ""]) == [[CLS, 5, 6, 8, 10, SEP], [CLS, SEP]]
    assert len(reader.ids(["a " * 90])[0]) == small.context
    found = reader.encode(["red greenish", "b", ""], top=3)
    assert found.dense.shape == (3, 16)
    assert found.bags.shape == (3, len(PIECES))
    states = small.states(torch.tensor([[CLS, 5, 6, 8, SEP]]))
    assert np.allclose(found.dense[0], small.dense(states)[0], atol=1e-5)
    assert np.allclose(reader.cls_logits(["red greenish"])[0], small.logits(states)[0, 0], atol=1e-5)
    assert (np.diff(found.bags.indptr) <= 3).all()
    rebuilt = reader.reconstruct("red green blue a b", 0.4, seed=1)
    assert rebuilt.pieces == ("red", "green", "blue", "a", "b")
    assert rebuilt.masked.sum() == 2
    hidden = torch.tensor([[CLS, 5, 6, 7, 9, 10, SEP]])
    hidden[0, 1:-1][torch.from_numpy(rebuilt.masked)] = MASK
    odds = small.decode(small.states(hidden)[:, 0], hidden, torch.zeros(1, 7, 7, dtype=torch.bool)).softmax(
        -1
    )
    assert rebuilt.probabilities == pytest.approx(odds[0, range(1, 6), [5, 6, 7, 9, 10]].numpy(), abs=1e-5)
    with pytest.raises(InputError, match="from 0 to 1"):
        reader.reconstruct("red", 1.5)
    with pytest.raises(InputError, match="no words"):
        reader.reconstruct(" ")


class Teacher:
    """Stands in for MiniLM: sums of random word vectors, so that like texts are alike."""

    @classmethod
    def from_package(cls):
        return cls()

    def mean_vectors(self, texts):
        draws = [
            [np.random.default_rng(list(w.encode())).normal(size=384) for w in t.split() or [t]]
            for t in texts
        ]
        found = np.stack([np.sum(d, axis=0) for d in draws]).astype(np.float32)
        return found / np.linalg.norm(found, axis=1, keepdims=True)


def test_three_steps_of_the_recipe_train_resume_and_publish(tmp_path, monkeypatch):
    data = made_text.write(tmp_path / "data")
    monkeypatch.setattr(
        text_encoder, "BODY", {**text_encoder.BODY, "width": 64, "depth": 1, "heads": 1, "hidden": 64}
    )
    monkeypatch.setattr(text_encoder, "VOCABULARY", 400)
    monkeypatch.setattr(text_encoder, "TEXTS", 3)
    monkeypatch.setattr(text_encoder, "LESSONS", 6)
    monkeypatch.setattr(_dup_lessons, "CAPTIONS", 2)
    monkeypatch.setattr(_dup_lessons, "MiniLM", Teacher)
    options = [
        "--data",
        str(data),
        "--out",
        str(tmp_path / "out"),
        "--work",
        str(tmp_path / "work"),
        "--minutes",
        "5",
    ]
    text_encoder.main([*options, "--steps", "2"])
    two = torch.load(tmp_path / "work" / "text-encoder.pt", weights_only=True)
    first = torch.load(tmp_path / "work" / "text-encoder-pretrained.pt", weights_only=True)
    assert two["step"] == 2
    assert not torch.equal(
        first["project.weight"], two["net"]["project.weight"]
    )  # only fine-tuning trains it
    folder = text_encoder.main([*options, "--steps", "3", "--resume"])
    card = json.loads((folder / "card.json").read_text())
    assert card["steps"] == 3
    assert {row["stage"] for row in card["stages"]} == {"after pre-training", "after fine-tuning"}
    names = {m["name"] for m in card["metrics"]}
    assert {
        "nDCG@10, [CLS] + ordinary tokens",
        "MAP, baseline BM25",
        "nDCG@10, [CLS] + ordinary tokens minus [CLS]",
    } <= names
    store = ModelStore(folder=tmp_path / "out")
    reader = DupReader(store.get("text-encoder"), store.get("text-encoder-wordpiece"))
    assert reader.encode(["The old harbour"]).dense.shape == (1, 384)


def test_shipped_weights_rank_and_rebuild(models):
    """On the English samples, which no training saw, both vectors rank; [CLS] tells what a text said."""
    net, vocabulary = models.get("text-encoder"), models.get("text-encoder-wordpiece")
    assert models.card("text-encoder")["bytes"] <= 10_000_000
    reader = DupReader(net, vocabulary)
    collection = retrieval.read(BUNDLED.parent / "samples" / "retrieval" / "english")
    found = {m["name"]: m["value"] for m in retrieval.metrics(collection, rankings(reader, collection))}
    assert found["nDCG@10, [CLS]"] > 0.5
    assert found["nDCG@10, ordinary tokens"] > 0.35
    assert found["nDCG@10, [CLS] + ordinary tokens"] > found["nDCG@10, [CLS]"]
    texts = ("The ship sailed from the harbour with its cargo.", "The gene encodes a protein of the cell.")
    odds = []
    for ids in reader.ids(texts):
        tokens = torch.tensor([ids]).expand(2, -1)
        cls = torch.cat([net.states(torch.tensor([one]))[:, 0] for one in reader.ids(texts)])
        blind = torch.zeros(2, len(ids), len(ids), dtype=torch.bool)
        chances = net.decode(cls, tokens, blind).log_softmax(-1).gather(2, tokens[..., None])
        odds.append(chances[:, 1:-1, 0].mean(1))
    # A text's pieces are likelier from its own [CLS] state than from that of the other.
    assert odds[0][0] > odds[0][1] + 2
    assert odds[1][1] > odds[1][0] + 2
