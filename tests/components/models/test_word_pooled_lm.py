"""`word-pooled-lm`: a likelihood that sums to one, no leaks, the search, the recipe, the shipped weights."""

import itertools
import json
import math

import numpy as np
import pytest
import torch

from components.errors import InputError
from components.models import ModelStore, word_units
from components.models.nets.causal_lm import CausalLM
from components.models.nets.word_pooled import build
from components.models.recipes import _word_measures, word_pooled_lm
from components.models.recipes._text_lm import bits_per_byte, read_bytes
from components.settings import Settings

STORY = ("The old man sat by the window of the house and looked at the garden. His daughter had been there "
         "in the morning, but she was gone, and he did not know when she would come back to him.\n"
         '"I wish," he said, "that we had something to eat, immeasurably-incomprehensibilities aside."\n')


BODY = {"width": 16, "depth": 2, "heads": 2, "hidden": 16}


def shaken(net):
    """Fill the weights that start at zero, so that nothing is right by chance of doing nothing."""
    for block in (*net.body.blocks, *net.encoder_blocks, *net.decoder_blocks):
        for part in (block.out.weight, block.down.weight, block.taps):
            torch.nn.init.normal_(part, 0, 0.3)
    return net.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def tiny():
    """Three symbols, words of at most three: 39 words in all."""
    torch.manual_seed(0)
    shape = {"body": BODY, "letters": 8, "inner": 16, "memory": 32}
    return shaken(build(alphabet=3, canvas=3, **shape, context=8))


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(1)
    return shaken(build(body=BODY, letters=8, inner=16, memory=512, context=12))


def every_word():
    words = [word for size in (1, 2, 3) for word in itertools.product(range(3), repeat=size)]
    return words, torch.tensor([[*word, *[3] * (3 - len(word))] for word in words])


def test_the_likelihood_of_all_words_and_of_all_pairs_sums_to_one(tiny):
    _, all_words = every_word()
    assert float((-tiny(all_words[:, None])).exp().sum()) == pytest.approx(1, abs=1e-5)
    pairs = torch.stack([torch.stack([a, b]) for a in all_words for b in all_words])
    assert float((-tiny(pairs).sum(1)).exp().sum()) == pytest.approx(1, abs=1e-5)


def test_beam_and_greedy_search_against_enumeration(tiny):
    words, all_words = every_word()
    before = all_words[[7, 20]]
    state = tiny.states(before[None])[0, -1]
    texts = torch.cat([before.expand(len(words), 2, 3), all_words[:, None]], 1)
    shares = (-tiny(texts)[:, 2]).exp()
    order = shares.argsort(descending=True)
    found = tiny.beam(state, 39, 39)
    assert [word for word, _ in found] == [words[i] for i in order.tolist()]
    assert torch.allclose(torch.tensor([share for _, share in found]), shares[order], atol=1e-6)
    word = ()
    while len(word) < 3:
        odds = tiny.following(state[None], torch.tensor([word], dtype=torch.long))[0]
        if int(odds.argmax()) == 3:
            break
        word += (int(odds.argmax()),)
    assert tiny.greedy(state[None])[0].tolist() == [*word, *[3] * (3 - len(word))]
    own = all_words[words.index(word)]
    assert tiny.judge(state[None], own[None])[1].tolist() == [True]
    others = torch.cat([all_words[:0], all_words[[i for i, w in enumerate(words) if w != word]]])
    assert not tiny.judge(state.expand(38, -1), others)[1].any()


def causal(block, x):
    """One block over a single word (slots, width) of one head: dense causal attention, rotary positions."""
    time, width = x.shape

    def normed(y, gain=1.0):
        return (y - y.mean(-1, keepdim=True)) / (y.var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt() * gain

    y = normed(x, block.norm_attend.weight)
    mixed = y.clone()
    for i in range(time):
        for back in range(1, min(i, 3) + 1):
            mixed[i] += block.taps[back - 1] * y[i - back]
    q, k, v = (mixed @ block.qkv.weight.T).split(width, -1)
    speeds = 100.0 ** (-torch.arange(width // 2) / (width // 2))
    turned = [torch.view_as_real(torch.complex(*normed(z).chunk(2, -1))
                                 * torch.polar(torch.ones(()), torch.arange(time)[:, None] * speeds))
              for z in (q, k)]  # fmt: skip
    q, k = (torch.cat([z[..., 0], z[..., 1]], -1) for z in turned)
    scores = block.sharpness.exp() * q @ k.T / width**0.5
    scores = scores.masked_fill(~torch.ones(time, time).tril().bool(), -torch.inf)
    x = x + scores.softmax(-1) @ v @ block.out.weight.T
    gate, value = (normed(x, block.norm_feed.weight) @ block.up.weight.T).chunk(2, -1)
    return x + torch.nn.functional.silu(gate) * value @ block.down.weight.T


def looked_up(net, ids, beginnings):
    """The stream of symbols, each with the memory row of its beginning (bytes), by plain arithmetic."""
    rows = torch.nn.functional.layer_norm(net.bridge_blocks["into"](net.body.table), (net.memory.shape[1],))
    found = []
    for i, beginning in zip(ids, beginnings, strict=True):
        key = 0
        for byte in beginning:
            key = (key * 1_103_515_245 + (byte + 1) * 1_640_531_527) % (2**31 - 1)
        found.append(rows[i] + net.memory[key % len(net.memory)])
    return torch.stack(found)


def by_hand(net, word):
    """The vector of one word, without packing."""
    beginnings = [*(word[: i + 1] for i in range(len(word))), word, word]
    x = looked_up(net, [*word, 258, 259], beginnings)
    x = causal(net.encoder_blocks[0], x)[-2:]
    kept = torch.nn.functional.layer_norm(x, x.shape[1:]).flatten()
    return torch.nn.functional.layer_norm(net.bridge_blocks["gather"](kept), (net.width,))


def test_the_decoder_is_plain_causal_attention_over_each_word(small):
    words = [b" the", b" garden", b".", b" incomprehensibl", b"es", b" a", b" grown"]
    states = torch.randn(len(words), 16, generator=torch.Generator().manual_seed(5))
    slots = small.slots(states, word_units.padded(words))
    for i, word in enumerate(words):
        size = min(16, len(word) + 1)
        ids = [257, *word][:size]
        x = looked_up(small, ids, [word[:at] for at in range(size)]) + small.bridge_blocks["tell"](states[i])
        own = small.norm(causal(small.decoder_blocks[0], x))
        assert torch.allclose(slots.states[slots.word == i], own, atol=1e-4)
        assert slots.targets[slots.word == i].tolist() == [*word, 256][:size]


def test_words_are_encoded_alone_and_filling_changes_nothing(small):
    words = word_units.padded([b" the", b" garden", b".", b" the", b" incomprehensibl"])
    together = small.encode(words)
    for i, word in enumerate(words):
        assert torch.allclose(small.encode(word[None])[0], together[i], atol=1e-5)
    assert torch.equal(together[0], together[3])
    assert torch.allclose(by_hand(small, b" garden"), together[1], atol=1e-5)
    assert torch.allclose(by_hand(small, b" incomprehensibl"), together[4], atol=1e-5)
    assert not torch.allclose(small.encode(word_units.padded([b" gardne"]))[0], together[1], atol=1e-2)


def test_the_filling_of_training_says_the_same(small):
    words = word_units.padded(word_units.split(STORY))[None]
    plain = small.slots(small.states(words[:, :-1])[0], words[0])
    small.train()
    filled = small.slots(small.states(words[:, :-1])[0], words[0])
    small.eval()
    assert torch.equal(plain.targets, filled.targets) and torch.equal(plain.word, filled.word)
    assert torch.allclose(plain.states, filled.states, atol=1e-5)
    assert len(plain.targets) == sum(min(16, len(w) + 1) for w in word_units.split(STORY))


def test_nothing_later_reaches_a_word(small):
    words = word_units.padded(word_units.split("The man had a garden, an old one."))[None]
    nats, slots = small(words), small.slots(small.states(words[:, :-1])[0], words[0])
    changed = words.clone()
    changed[0, 4, 3] = ord("x")  # " garden" becomes " gaxden"
    after, moved = small(changed), small.slots(small.states(changed[:, :-1])[0], changed[0])
    assert torch.equal(nats[0, :4], after[0, :4])
    assert ((nats - after)[0, 4:].abs() > 1e-6).all()
    earlier = (slots.word < 4) | ((slots.word == 4) & (slots.place <= 3))
    assert torch.equal(slots.states[earlier], moved.states[earlier])
    assert int((earlier & (slots.word == 4)).sum()) == 4  # up to the slot that predicts the changed byte


def test_splitting_loses_nothing_and_cuts_long_words():
    strange = " two  spaces\t\n\nand _under_ scores, été naïve 2024 …“quoted”"
    for text in (STORY, strange, "🙂 e\u0301 ﷽", "x" * 40):
        words = word_units.split(text)
        assert b"".join(words) == text.encode()
        assert all(1 <= len(word) <= 16 for word in words)
    assert word_units.split(" immeasurabilities now") == [b" immeasurabiliti", b"es", b" now"]
    assert word_units.split("He, 12\nyes") == [b"He", b",", b" 1", b"2", b"\nyes"]
    assert word_units.padded([b"ab"], 4).tolist() == [[97, 98, 256, 256]]


def test_pooled_and_rivals_are_judged_as_if_they_wrote(small):
    text = STORY[:150]
    words = word_units.PATTERN.findall(text)
    hits, nats = _word_measures.pooled(small, text)
    ids = word_units.padded(word_units.split(text))
    assert nats == pytest.approx(sum(
        float(small(ids[None, first:end])[0, start - first :].sum())
        for first, start, end in _word_measures.windows(len(ids), 12)), rel=1e-5)  # fmt: skip
    assert len(hits) == len(ids)
    torch.manual_seed(2)
    net = CausalLM(256, 16, 2, 2, 16, context=32).eval().requires_grad_(False)
    one = _word_measures.Rival(net, read_bytes, [bytes([i]) for i in range(256)])
    _, cost = _word_measures.rival(one, text)
    shown = bits_per_byte(net, read_bytes, text) * math.log(2) * len(text.encode())
    assert cost == pytest.approx(shown, rel=1e-4)

    class Parrot(CausalLM):
        """Always expects `expected`, whatever it read."""

        def read(self, states, rows=None):
            logits = torch.zeros(*states.shape[:-1], 256)
            logits[..., self.expected] = 9.0
            return logits

    parrot = Parrot(256, 16, 1, 2, 16, context=32)
    parrot.expected = ord(" ")
    hits, _ = _word_measures.rival(one._replace(net=parrot), "a b  c")
    assert hits.tolist() == [False, False, True, False]  # of "a", " b", " ", " c": the lone space
    parrot.expected = ord("a")
    hits, _ = _word_measures.rival(one._replace(net=parrot), "a aa.aa")
    # It would go on writing after the first; after the last the text ends.
    assert hits.tolist() == [False, False, False, True]
    assert words[0] == "The"


def test_words_longer_than_attention_reaches_are_refused():
    with pytest.raises(InputError, match="at most 32 slots"):
        build(body=BODY, canvas=31, letters=8, inner=16)


def test_windows_judge_everything_once_with_half_a_context_before():
    assert _word_measures.windows(7, 4) == [(0, 0, 2), (0, 2, 4), (2, 4, 6), (4, 6, 7)]


def test_what_lengthens_a_word():
    longer = {b"ing", b"X", "é".encode(), "ж".encode(), b"\xa9"}
    shorter = {b" the", b".", b"7", b"\n", "’".encode(), "—".encode(), b""}
    assert all(map(_word_measures.lengthens, longer))
    assert not any(map(_word_measures.lengthens, shorter))


def test_accuracy_falls_into_buckets_of_frequency():
    rows = _word_measures.accuracies({"x": np.array([True, False, True, True])}, np.array([0, 5, 10, 500]))
    found = {m["on"]: (m["value"], m["n"]) for m in rows}
    assert found == {
        "words of both openings": (0.75, 4), "words never seen in the training text": (1, 1),
        "words seen 1 to 10 times in the training text": (0.5, 2),
        "words seen over 100 times in the training text": (1, 1),
    }  # fmt: skip


def test_curves_are_compared_after_the_same_time(tmp_path):
    own = word_pooled_lm.Curve([[10, 1.5], [20, 1.0], [60, 0.5]], 60, 30.0)
    assert [own.at(seconds) for seconds in (0, 5, 11, 24, 30, 40)] == [1.5, 1.5, 1.0, 0.5, 0.5, None]
    twin = {"curve": [[100, 2.0], [200, 1.9], [400, 1.6]], "steps": 400, "cpu_seconds": 40}
    found = word_pooled_lm.equal_cost(own, None, twin, 1.2)
    assert found["cpu_seconds"][0] == 0.7 and found["cpu_seconds"][-1] == 30
    # After 21.7 seconds: this run's step 43, nearest to 60, and the twin's step 217.
    place = found["cpu_seconds"].index(21.7)
    assert found["word-pooled-lm"][place] == round(0.5 * 1.2 / math.log(2), 3)
    assert found["byte-lm"][place] == round(1.9 / math.log(2), 3)
    torch.save({"curve": [[4, 3.0], [8, 2.5]], "step": 8, "spent": 4.0}, tmp_path / "bare.pt")
    bare = word_pooled_lm.equal_cost(own, tmp_path / "bare.pt", twin, 1.2)["without memory"]
    assert bare[0] == round(3.0 * 1.2 / math.log(2), 3) and bare[-1] is None
    words = word_pooled_lm.Words(np.array([0, 1, 0], np.int32), [b"ab", b"x" * 16])
    assert words.symbols_per_byte() == (3 + 16 + 3) / 20
    assert words.bytes_per_word() == 20 / 3


def test_the_tokens_of_rivals_are_spelled_in_bytes():
    rivals = word_pooled_lm.rivals()
    assert set(rivals) == {"byte-lm", "bpe-lm"}
    for rival in rivals.values():
        assert b"".join(rival.token_bytes[i] for i in rival.encode(" été\n")) == " été\n".encode()
        assert set(rival.token_bytes) >= {bytes([i]) for i in range(256)}


def test_three_steps_of_the_recipe_train_resume_and_publish(tmp_path, monkeypatch):
    shape = {"body": BODY, "letters": 8, "inner": 16, "memory": 64, "context": 12}
    monkeypatch.setattr(word_pooled_lm, "NET", shape)
    asked = []
    monkeypatch.setattr(word_pooled_lm, "rivals", lambda: asked.append(True) or {})
    data = tmp_path / "text"
    data.mkdir()
    (data / "novels_train.txt").write_text(STORY * 8, encoding="utf-8")
    (data / "heldout_one.txt").write_text(STORY[60:], encoding="utf-8")
    options = ["--data", str(tmp_path), "--out", str(tmp_path / "out"), "--work", str(tmp_path / "work")]
    word_pooled_lm.main([*options, "--minutes", "5", "--steps", "2"])
    two = torch.load(tmp_path / "work" / "word-pooled-lm.pt", weights_only=True)
    folder = word_pooled_lm.main([*options, "--minutes", "5", "--steps", "3", "--resume"])
    three = torch.load(tmp_path / "work" / "word-pooled-lm.pt", weights_only=True)
    assert (two["step"], three["step"]) == (2, 3)
    for name in ("encoder_blocks.0.qkv.weight", "decoder_blocks.0.qkv.weight", "bridge_blocks.tell.weight",
                 "memory"):  # fmt: skip
        assert not torch.equal(two["net"][name], three["net"][name]), name
    card = json.loads((folder / "card.json").read_text())
    net = ModelStore(Settings(threads=1), folder=tmp_path / "out").get("word-pooled-lm")
    cache = tmp_path / "work" / "word-pooled-lm-words.npz"
    words = word_pooled_lm.read_words(data / "novels_train.txt", cache)
    assert b"".join(words.table[i] for i in words.stream) == (STORY * 8).encode()
    assert words.counts()[b"the"] == 8 * 4
    stated = {(m["name"], m["on"]): m["value"] for m in card["metrics"]}
    _, nats = _word_measures.pooled(net, STORY[60:])
    size = len(STORY[60:].encode())
    assert stated["bits per byte", "both books"] == pytest.approx(nats / math.log(2) / size, abs=1e-4)
    assert asked == [True, True]
    assert card["arguments"]["memory"] == 64


def test_shipped_weights_expect_plain_words():
    models = ModelStore(Settings(threads=1))
    net, card = models.get("word-pooled-lm"), models.card("word-pooled-lm")
    assert card["bytes"] <= 6 << 20
    _, nats = _word_measures.pooled(net, STORY)
    assert nats / math.log(2) / len(STORY.encode()) < 2.0
    _, reversed_ = _word_measures.pooled(net, STORY[::-1])
    assert reversed_ > 1.5 * nats
    found = word_units.next_words(net, "He did not know what to do, and she did not know what to")
    assert len(found) == 5
    assert found[0][1] >= found[1][1] > 0 and sum(share for _, share in found) < 1
    assert all(word.startswith((" ", "\n", ",", ".")) for word, _ in found[:3])
    assert word_units.next_words(net, "I have never been out of")[0][0] == word_units.greedy_word(
        net, "I have never been out of")  # fmt: skip
    assert word_units.next_words(net, "")[0][1] > 0
