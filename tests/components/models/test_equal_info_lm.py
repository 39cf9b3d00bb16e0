"""Compressed text as tokens: the coder under a byte model, the net, its recipe, the weights that ship."""

import json
import math
import random

import numpy as np
import pytest
import torch

from components.models import ModelStore
from components.models.nets import causal_lm
from components.models.nets.equal_info import EqualInfoLM, halves_of
from components.models.neural_coding import book_of, counts_after, predictor, shares_along
from components.models.recipes import equal_info_lm
from components.models.recipes._run import publish
from components.models.recipes._text_lm import token_losses
from components.models.store import BUNDLED
from components.numerics.arithmetic_coding import TOTAL, decode, encode, own_shares
from components.numerics.equal_info import CodeBook, Windows
from components.settings import Settings

SAMPLES = BUNDLED.parent / "samples" / "text"
TINY = {"width": 32, "depth": 1, "heads": 1, "hidden": 32, "context": 16}
WORDS = ["the", "a", "garden", "secret", "robin", "said", "came", "through", "wall", "very", "was"]


def prose(words, seed=0):
    return " ".join(random.Random(seed).choices(WORDS, k=words))


@pytest.fixture(scope="module")
def m1():
    """A tiny byte model that has learnt which letters there are."""
    torch.manual_seed(1)
    net = causal_lm.build(vocabulary=256, **TINY)
    stream = torch.tensor(list(prose(400).encode()))
    optimiser = torch.optim.AdamW(net.parameters(), lr=0.02)
    for step in range(60):
        tokens = stream[(torch.arange(16) * 97 + step)[:, None] + torch.arange(16)]
        loss = torch.nn.functional.cross_entropy(net(tokens)[:, :-1].flatten(0, 1), tokens.flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return net.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def book(m1):
    return book_of(m1, longest=8)


def test_counts_are_the_models_probabilities(m1):
    counts = counts_after(m1, [b"the", b"gar"])
    assert (counts.sum(1) == TOTAL).all()
    odds = m1(torch.tensor([list(b"the"), list(b"gar")]))[:, -1].softmax(-1).numpy()
    assert np.abs(counts / TOTAL - odds).max() < 0.006
    along = list(shares_along(m1, b"the garden wall was very"))
    assert len(along) == 24
    for i, byte in enumerate(b"the garden"):  # within the first context: the same text before it
        exact = own_shares(bytes([byte]), counts_after(m1, [b"the garden"[:i]]))[0]
        assert np.abs(np.subtract(exact, along[i])).max() < 0.05 * TOTAL  # half precision
    assert counts_after(m1, [b""]).argmax() == m1(torch.zeros(1, 0, dtype=torch.long))[0, 0].argmax()


def test_text_comes_back_from_windows_and_from_the_plain_code(m1, book):
    text = prose(12).encode() + "é§\n".encode()
    after = predictor(m1)
    windows = Windows(after, 24, 16)
    assert windows.decode([code for code, _ in windows.encode(text)]) == text
    shares = [own_shares(text[i : i + 1], after(text[:i])[None])[0] for i in range(len(text))]
    code = encode(text, shares)
    assert decode(code, len(text), after) == text
    assert len(code) < len(text)
    assert book.decode(book.encode(text)) == text


def test_the_written_out_book_is_the_coder(m1, book):
    windows = Windows(lambda text: counts_after(m1, [text])[0], 16, 8)
    text = prose(6, 3).encode()
    pieces = [windows.decode_window(code) for code, _ in windows.encode(text)]
    assert [book.texts[code] for code in book.encode(text)] == pieces
    assert all(len(t) <= 8 for t in book.texts)


def test_the_net_reads_halves_and_keeps_its_book(book):
    torch.manual_seed(2)
    net = EqualInfoLM(**TINY)
    net.keep(book)
    again = EqualInfoLM(len(net.texts), **TINY)
    again.load_state_dict(net.state_dict())
    assert list(again.book.texts) == list(book.texts)
    text = prose(5)
    tokens = again.encode(text)
    assert [256 * a + b for a, b in zip(tokens[::2], tokens[1::2], strict=True)] == book.encode(text.encode())
    assert again.decode([*tokens, 7]) == text.encode()
    assert halves_of([258, 65535]).tolist() == [[1, 2], [255, 255]]
    ids = torch.tensor([tokens[:10]])
    plain = net(ids)
    assert torch.allclose(plain, net.body(ids), atol=1e-5)  # the halves start at zero
    torch.nn.init.normal_(net.halves)
    told = net(ids)
    assert not torch.allclose(told, plain)
    changed = ids.clone()
    changed[0, 6] += 1
    assert torch.allclose(net(changed)[:, :7], told[:, :7], atol=1e-6)  # causal
    assert told.shape == (1, 11, 256)


def test_the_half_is_told_by_position(book):
    """Two positions with the same tokens before them differ only in the half that comes next."""
    torch.manual_seed(3)
    net = EqualInfoLM(**TINY)
    torch.nn.init.normal_(net.halves)
    vectors = torch.zeros(1, 4, 32)
    net.body.begin = lambda batch: vectors[:, :1]
    net.body.embed = lambda tokens: vectors[:, 1:]
    net.body.states = lambda x: (x, [])
    states = net.states(torch.zeros(1, 3, dtype=torch.long))[0]
    assert torch.equal(states[0], net.halves[0])
    assert torch.equal(states[1], net.halves[1])
    assert torch.equal(states[2], states[0])


def test_the_plain_stream_is_the_arithmetic_code(m1, tmp_path):
    text = prose(30).encode()
    found = equal_info_lm.plain_stream(m1, text, tmp_path / "plain.npy")
    code = encode(text, shares_along(m1, text))
    assert halves_of(found).ravel().astype(np.uint8).tobytes() == code[: len(code) // 2 * 2]


def test_three_steps_of_the_recipe_train_resume_and_publish(m1, tmp_path, monkeypatch):
    monkeypatch.setattr(equal_info_lm, "NET", {**equal_info_lm.NET, **TINY})
    monkeypatch.setattr(equal_info_lm, "LONGEST", 4)
    monkeypatch.setattr(equal_info_lm, "BATCH_TOKENS", 64)
    data, out, work = tmp_path / "data", tmp_path / "out", tmp_path / "work"
    data.mkdir()
    (data / "novels_train.txt").write_text(prose(800))
    (data / "heldout_one.txt").write_text(prose(60, 5))
    card = {"licence": "x", "metrics": [], "limits": ["tiny"]}
    publish(out / "byte-lm", "causal_lm", {"vocabulary": 256, **TINY}, m1.state_dict(), card)
    options = ["--data", str(data), "--out", str(out), "--work", str(work), "--minutes", "5"]
    equal_info_lm.main([*options, "--steps", "2"])
    two = torch.load(work / "equal-info-lm.pt", weights_only=True)
    assert two["step"] == 2
    assert two["net"]["halves"].abs().sum() > 0
    folder = equal_info_lm.main([*options, "--steps", "3", "--resume"])
    assert torch.load(work / "equal-info-lm.pt", weights_only=True)["step"] == 3
    card = json.loads((folder / "card.json").read_text())
    assert card["steps"] == card["twin_steps"] == 3
    net = ModelStore(Settings(threads=1), out).get("equal-info-lm")
    text = prose(20, 6)
    assert net.decode(net.encode(text)) == text.encode()
    rows = equal_info_lm.evaluate(net, data, work, ModelStore(Settings(threads=1), out))
    again = {(m["name"], m["on"]): m["value"] for m in rows}
    assert again == {(m["name"], m["on"]): m["value"] for m in card["metrics"]}
    assert again["bits per token", "both books"] == pytest.approx(
        mean_bits(net, net.encode((data / "heldout_one.txt").read_text())), abs=1e-3
    )
    assert again["bytes that do not come back", "both books"] == 0
    saved = torch.load(work / "equal-info-lm-twin.pt", weights_only=True)["average"]
    net.load_state_dict({k.removeprefix("module."): v for k, v in saved.items() if k != "n_averaged"})
    codes = np.load(work / "equal-info-lm-plain.npy")
    left_out = codes[round(len(codes) * 19 / 20) :]
    assert card["plain_code_left_out_bits"] == pytest.approx(
        mean_bits(net, halves_of(left_out).ravel().tolist()), abs=1e-3
    )


def mean_bits(net, tokens):
    """The mean loss, token by token, each with the half context before its own half."""
    half, total = net.context // 2, 0.0
    for i, token in enumerate(tokens):
        first = max(0, i // half * half - half)
        odds = net(torch.tensor([tokens[first:i]], dtype=torch.long).view(1, -1))[0, -1].log_softmax(-1)
        total -= float(odds[token]) / math.log(2)
    return total / len(tokens)


def test_a_twin_that_learns_nothing_and_missed_targets_are_said():
    names = ("bits per byte", "bytes per window of 16 bits", "bit compression", "bits per token")
    rows = [{"name": k, "value": v, "on": "both books"} for k, v in zip(names, (3, 4, 2, 7.5), strict=True)]
    said = " ".join(equal_info_lm.limits(rows, 50, 7.987))
    assert "7.987 bits a token on a part left out (uniform: 8), after 50" in said
    assert "4.00 where 4.6" in said
    assert "7.50 where 7.0" in said


def test_a_book_is_kept_for_the_next_run(m1, tmp_path):
    small = CodeBook([b"ab"] + [bytes([i]) for i in range(256)])
    (tmp_path / "equal-info-book.json").write_text(json.dumps([t.hex() for t in small.texts]))
    assert equal_info_lm.make_book(m1, tmp_path).texts == small.texts


def test_shipped_weights_foretell_windows_of_a_text_and_give_it_back(models):
    net = models.get("equal-info-lm")
    text = (SAMPLES / "english_prose.txt").read_text(encoding="utf-8")
    tokens = net.encode(text)
    assert net.decode(tokens) == text.encode()
    assert len(text.encode()) / (len(tokens) / 2) > 3.5  # bytes a window
    bits = float(token_losses(net, tokens).mean()) / math.log(2)
    assert bits < 6.0
    shuffled = np.random.default_rng(0).permutation(np.array(tokens).reshape(-1, 2)).ravel().tolist()
    assert float(token_losses(net, shuffled).mean()) / math.log(2) > bits + 1  # it reads the order
    for strange in ("naïve — 東京 🙂\t\0", ""):
        assert net.decode(net.encode(strange)) == strange.encode()


def test_the_shipped_book_is_what_the_byte_model_says(models):
    """Codes from the byte model itself mean what the book says, but for rounding on another machine."""
    net, windows = models.get("equal-info-lm"), Windows(predictor(models.get("byte-lm")), 16, 32)
    text = (SAMPLES / "english_prose.txt").read_bytes()[:60]
    found = [windows.decode_window(code) for code, _ in windows.encode(text)]
    book = [net.book.texts[code] for code in net.book.encode(text)]
    assert len(set(found) & set(book)) >= 0.8 * len(set(found))
