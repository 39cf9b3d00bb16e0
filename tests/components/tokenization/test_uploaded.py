import json

import pytest

from components.errors import InputError
from components.tokenization import Text
from components.tokenization._samples import sample
from components.tokenization.bpe import Bpe
from components.tokenization.uploaded import LARGEST, Uploaded, growth
from tests.components.tokenization.hard_texts import HARD, holds, keeps_the_law


@pytest.fixture(scope="module")
def sources(models):
    return {name: v.tokenizer.to_str() for name, v in models.get("text-tokenizers").items()}


def test_hard_texts(models, sources):
    keeps_the_law(Uploaded(source=sources["bpe"]), models, lossless=True)
    keeps_the_law(Uploaded(source=sources["words"]), models, lossless=False, refuses=("white space",))


def test_a_file_read_back_gives_the_same_ids(models, sources):
    text = Text(sample("Mixed scripts"))
    assert Uploaded(source=sources["bpe"])(text, models).ids == Bpe()(text, models).ids


def test_bytes_of_a_character_that_falls_apart_are_shared_out(models):
    """A character-level BPE with byte fallback, as Llama's files are."""
    from tokenizers import Tokenizer, decoders, normalizers
    from tokenizers.models import BPE

    vocab = {f"<0x{i:02X}>": i for i in range(256)} | {"▁": 256, "a": 257, "▁a": 258}
    made = Tokenizer(BPE(vocab, [("▁", "a")], byte_fallback=True, fuse_unk=True))
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    made.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    tokens = Uploaded(source=made.to_str())(Text("a 👍a"), models)
    assert tokens.names == ("▁a", "▁", "<0xF0>", "<0x9F>", "<0x91>", "<0x8D>", "a")
    assert tokens.pieces == (b"a", b" ", b"\xf0", b"\x9f", b"\x91", b"\x8d", b"a")
    for content in HARD.values():
        holds(Uploaded(source=made.to_str())(Text(content), models), content)


def changed(source, **parts):
    return json.dumps({**json.loads(source), **parts})


def test_what_is_no_tokenizer_is_refused_with_a_sentence(models, sources):
    words = sources["words"]
    pattern = {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": False}
    refused = {
        "": "No tokenizer.json is given",
        "not json": "not JSON",
        "[" * 100_000: "not JSON",
        "[1, 2]": "no part called model",
        '{"a": 1}': "no part called model",
        '{"model": {"type": "Banana"}}': "no tokenizer that works",
        changed(
            words, normalizer={"type": "Precompiled", "precompiled_charsmap": "AAAA"}
        ): "no tokenizer that works",
        changed(words, pre_tokenizer=pattern): "no tokenizer that works",
        " " * (LARGEST + 1) + "x": "characters",
    }
    for source, sentence in refused.items():
        with pytest.raises(InputError, match=sentence):
            Uploaded(source=source)(Text("a" * 3000 + "b"), models)


def test_a_normaliser_that_explodes_is_refused(models, sources):
    double = {"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}
    bomb = {"type": "Sequence", "normalizers": [double] * 30}
    assert growth(bomb) == 2**30
    with pytest.raises(InputError, match="lengthen"):
        Uploaded(source=changed(sources["bpe"], normalizer=bomb))(Text("aaa"), models)
    assert growth({"type": "Replace", "pattern": {"String": " "}, "content": "▁"}) == 1


def test_padding_and_truncation_of_the_file_are_left_out(models, sources):
    cut = {"max_length": 3, "stride": 0, "strategy": "LongestFirst", "direction": "Right"}
    pad = {
        "strategy": {"Fixed": 50}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0,
        "pad_type_id": 0,
        "pad_token": "[PAD]",
    }  # fmt: skip
    source = changed(sources["bpe"], truncation=cut, padding=pad)
    text = Text(sample("English prose"))
    assert Uploaded(source=source)(text, models).ids == Bpe()(text, models).ids


def test_the_claim_holds(models):
    assert Uploaded.check(models).holds
