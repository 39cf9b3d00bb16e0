"""The language model that is asked for one word: its reader and measures by hand, its recipe, its weights."""

import json
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from components.models import ModelStore
from components.models.nets.causal_lm import build
from components.models.prompted import PROMPT, PromptReader, min_max, own_words
from components.models.recipes import _modern_text as modern
from components.models.recipes import _retrieval_measures as retrieval
from components.models.recipes import _text_lm_measures, text_lm
from components.models.tokenizer_training import train
from components.models.vocabularies import Vocabulary
from tests.components.models import made_text


@pytest.fixture(scope="module")
def reader():
    texts = [" ".join(made_text.SUBJECTS.values()), *PROMPT]
    vocabulary = Vocabulary(train("bpe", 400, texts))
    torch.manual_seed(1)
    net = build(vocabulary=vocabulary.size, width=32, depth=2, heads=2, hidden=48, context=60)
    for block in net.blocks:
        torch.nn.init.normal_(block.out.weight, std=0.2)
    return PromptReader(net.eval().requires_grad_(False), vocabulary)


def alone(reader, text):
    """The last state of the prompt and the logits after it, read without any batch."""
    ids = torch.tensor([reader.ids(text)])
    logits = reader.net(ids)[0, -1]
    states, _ = reader.net.states(torch.cat([reader.net.begin(1), reader.net.embed(ids)], 1))
    return states[0, -1], logits


def test_a_prompt_holds_the_text_between_its_two_parts_and_fits_the_context(reader):
    ids = reader.ids("sailor anchor")
    assert reader.vocabulary.tokenizer.decode(ids) == f"{PROMPT[0]}sailor anchor{PROMPT[1]}"
    assert len(reader.ids("sailor " * 100)) == reader.net.context - 1
    assert reader.ids("sailor " * 100)[-len(reader.after) :] == reader.after


def test_a_batch_reads_each_text_as_if_it_were_alone(reader):
    texts = ["The sailor near the harbour.", "Bread", "oven dough crust baker of the moon"]
    found = reader.encode(texts)
    for i, text in enumerate(texts):
        state, logits = alone(reader, text)
        assert np.allclose(found.dense[i], F.normalize(state, dim=0), atol=1e-5)
        expected = torch.log1p(F.relu(logits))
        firsts = {reader.vocabulary.tokenizer.encode(f" {w}").ids[0] for w in own_words(text)}
        row = found.sparse[i].toarray()[0]
        for token in range(len(row)):
            assert row[token] == pytest.approx(float(expected[token]) if token in firsts else 0, abs=1e-5)
    every = reader.encode(texts[:1], own=False).sparse
    assert every.nnz == min(128, int((alone(reader, texts[0])[1] > 0).sum()))


def test_own_words_are_distinct_lower_case_and_no_stop_words():
    assert own_words("The Ship's anchor, the anchor-chain of 12 SHIPS") == [
        "ship",
        "anchor",
        "anchor-chain",
        "12",
        "ships",
    ]


def test_min_max_by_hand():
    scores = np.array([[1.0, 3, 2], [5, 5, 5]])
    assert min_max(scores).tolist() == [[0, 1, 0.5], [0, 0, 0]]


def test_bits_in_windows_are_those_of_one_pass_where_the_text_fits(reader):
    ids = np.array(reader.vocabulary.tokenizer.encode("sailor anchor harbour vessel deck tide").ids, np.int64)
    odds = reader.net(torch.from_numpy(ids)[None])[0, :-1].log_softmax(-1)
    whole = -float(odds.gather(1, torch.from_numpy(ids)[:, None]).sum())
    assert _text_lm_measures.nats(reader.net, ids) == pytest.approx(whole, rel=1e-5)
    long = np.resize(ids, 200)
    by_hand, half = 0.0, (reader.net.context - 1) // 2
    for start in range(0, 200 - half, half):
        part = torch.from_numpy(long[start : start + reader.net.context - 1])
        odds = reader.net(part[None])[0, :-1].log_softmax(-1).gather(1, part[:, None])
        by_hand -= float(odds[(half if start else 0) :].sum())
    assert _text_lm_measures.nats(reader.net, long) == pytest.approx(by_hand, rel=1e-5)


def test_key_words_are_those_of_the_largest_tf_idf():
    keys = modern.KeyWords(["the red ship", "the red star", "a red loaf and the ship"])
    found = keys.of("red ship ship loaf")
    weights = {"ship": (1 + math.log(2)) * math.log(4 / 3), "loaf": math.log(4 / 2), "red": 0.0}
    total = sum(weights.values())
    assert found == pytest.approx({w: v / total for w, v in weights.items()})
    assert list(keys.of("red ship ship loaf", 1)) == ["loaf"]
    assert keys.of("the and") == {}


def test_cut_passages_keep_sentences_whole():
    text = " ".join(f"Sentence number {i} stands here and is long enough." for i in range(60))
    parts = modern.cut([text, "too short"])
    assert len(parts) == 2
    assert all(part.startswith("Sentence") and part.endswith(".") for part in parts)
    assert " ".join(parts) == text


def test_rankings_are_scored_and_compared_in_pairs(tmp_path):
    folder = made_text.write(tmp_path) / "retrieval" / "cranfield"
    collection = retrieval.read(folder)
    best = np.array([[float(judged.get(d, 0)) for d in collection.ids] for judged in collection.judged])
    rows = {m["name"]: m["value"] for m in retrieval.metrics(collection, {"best": best, "worst": -best})}
    assert rows["nDCG@10, best"] == rows["MAP, best"] == 1
    assert rows["nDCG@10, worst"] == 0
    gain = retrieval.difference(collection, {"best": best, "worst": -best}, "best", "worst")
    assert [m["value"] for m in gain] == [1, 1, 1]
    assert (retrieval.bm25(collection) > 0).any(axis=1).all()


def test_words_asked_for_lose_by_their_weight(reader, tmp_path):
    options = text_lm.arguments("", 1, argv=["--data", str(tmp_path)])
    texts = modern.read(made_text.write(tmp_path / "data"))
    objective = text_lm.Objective(texts, reader.vocabulary.tokenizer, reader.net, options)
    text = texts.passages["novels"][0]
    state, logits = alone(reader, text)
    expected = 0.0
    for word, weight in objective.keys.of(text).items():
        expected -= weight * float(logits.log_softmax(-1)[reader.first_tokens([word])[0]])
    assert float(objective._words(reader.net, state[None], [text])) == pytest.approx(expected, rel=1e-4)


def test_three_steps_of_the_recipe_train_resume_and_publish(tmp_path, monkeypatch):
    data = made_text.write(tmp_path / "data")
    body = {"width": 32, "depth": 1, "heads": 1, "hidden": 32, "context": 64}
    monkeypatch.setattr(text_lm, "BODY", body)
    monkeypatch.setattr(text_lm, "VOCABULARY", 400)
    monkeypatch.setattr(text_lm, "BATCH_TOKENS", 128)
    monkeypatch.setattr(text_lm, "PASSAGES", 3)
    read = []
    whole = text_lm.Objective.prompted
    monkeypatch.setattr(
        text_lm.Objective, "prompted", lambda self, net, step: read.append(step) or whole(self, net, step)
    )
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
    text_lm.main([*options, "--steps", "2"])
    two = torch.load(tmp_path / "work" / "text-lm.pt", weights_only=True)
    assert two["step"] == 2
    assert read == [1]
    folder = text_lm.main([*options, "--steps", "3", "--resume"])
    three = torch.load(tmp_path / "work" / "text-lm.pt", weights_only=True)
    assert any(not torch.equal(two["net"][k], three["net"][k]) for k in two["net"])
    card = json.loads((folder / "card.json").read_text())
    assert card["steps"] == 3
    assert {"bits per byte", "nDCG@10, dense", "MAP, baseline BM25"} <= {m["name"] for m in card["metrics"]}
    store = ModelStore(folder=tmp_path / "out")
    shipped = PromptReader(store.get("text-lm"), store.get("text-lm-bpe"))
    assert shipped.encode(["The old harbour"]).dense.shape == (1, 32)


def test_shipped_weights_read_english(models):
    """Fresh sentences, written for this test: shuffled words must cost more, and the asked word must fit."""
    net, vocabulary = models.get("text-lm"), models.get("text-lm-bpe")
    assert models.card("text-lm")["bytes"] <= 12_000_000
    text = ("The council voted in favour of the new railway line , which was opened in the following year . "
            "It was the first of its kind in the country and cost two million pounds .")  # fmt: skip
    shuffled = " ".join(np.random.default_rng(0).permutation(text.split()))
    bits = [_text_lm_measures.language(net, vocabulary, t, "")[0]["value"] for t in (text, shuffled)]
    assert bits[0] < 1.9
    assert bits[1] > bits[0] + 0.5
    reader = PromptReader(net, vocabulary)
    known = {
        "The patients with cancer were treated with a drug that slows the growth of the tumour.": "cancer",
        "Two ships of the navy fired on the fort from the harbour until the battle was over.": "battle",
        "The gene is expressed in the cells of the brain and encodes a protein.": "gene",
    }
    asked = np.stack([alone(reader, text)[1].numpy() for text in known])
    asked -= asked.mean(axis=0)
    right = asked[:, reader.first_tokens(list(known.values()))]
    assert right.argmax(axis=0).tolist() == [0, 1, 2]
