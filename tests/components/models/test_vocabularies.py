import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest

from components.models import vocabularies
from components.models.recipes import text_tokenizers
from components.models.store import BUNDLED


def test_every_vocabulary_is_handed_out_once_under_its_name(models):
    for name in vocabularies.LOADERS:
        assert models.get(name) is models.get(name)
    sizes = {name: v.size for name, v in models.get("text-tokenizers").items()}
    assert sizes == {"bpe": 4096, "unigram": 4096, "wordpiece": 4096, "words": 4096}
    assert models.get("bert-wordpiece").size == 30522
    assert models.get("tekken").size == 131072
    assert models.get("mistral-sentencepiece").size == 32768


def test_loading_them_imports_neither_torch_nor_the_package_of_the_files():
    code = (
        "import sys; from components.models import ModelStore; m = ModelStore();"
        "[m.get(n) for n in ('text-tokenizers', 'bert-wordpiece', 'tekken', 'mistral-sentencepiece')];"
        "sys.exit(sum(n in sys.modules for n in ('torch', 'transformers', 'mistral_common')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_file_that_is_not_the_cards_is_refused(tmp_path):
    (tmp_path / "bpe.json").write_text("{}")
    (tmp_path / "card.json").write_text(json.dumps({"files": {"bpe.json": "0" * 64}}))
    with pytest.raises(RuntimeError, match="SHA-256"):
        vocabularies.bundled(tmp_path)


def test_unknown_and_byte_level_are_read_from_the_file(models):
    found = models.get("text-tokenizers")
    assert found["bpe"].unknown is None and found["bpe"].byte_level
    assert found["words"].tokenizer.id_to_token(found["words"].unknown) == "[UNK]"
    assert not found["words"].byte_level
    assert found["unigram"].log_probabilities and found["bpe"].log_probabilities is None
    assert models.get("bert-wordpiece").unknown == 100


def test_the_recipe_trains_measures_and_writes_a_card(tmp_path, capsys):
    data = tmp_path / "data"
    data.mkdir()
    text = "The cat sat on the mat. A dog barked at 12 cats, and the cats ran away.\n" * 200
    (data / "novels_train.txt").write_text(text)
    (data / "heldout_small.txt").write_text("The dog sat on the cat.")
    text_tokenizers.main(
        ["--data", str(data), "--out", str(tmp_path), "--size", "300", "--megabytes", "0.01"]
    )
    folder = tmp_path / "text-tokenizers"
    card = json.loads((folder / "card.json").read_text())
    assert card["data"][0]["prefix_bytes"] == 10_000
    assert set(vocabularies.bundled(folder)) == {"bpe", "unigram", "wordpiece", "words"}
    bytes_each = {m["name"]: m["value"] for m in card["metrics"]}
    assert bytes_each["bpe: bytes per token"] > 2
    size = vocabularies.bundled(folder)["bpe"].size
    assert 256 < size <= 300 and f"bpe: {size} tokens" in capsys.readouterr().out


def test_the_shipped_card_names_the_files_that_ship():
    card = json.loads((BUNDLED / "text-tokenizers" / "card.json").read_text())
    for name, sha256 in card["files"].items():
        assert hashlib.sha256((BUNDLED / "text-tokenizers" / name).read_bytes()).hexdigest() == sha256
    assert card["bytes"] < 1_000_000 and card["data"][0]["prefix_sha256"]


def test_the_validity_of_a_bpe_encoding_is_decided_by_neighbours(models):
    """Exact next-byte probabilities rest on it: a token string is canonical iff each adjacent pair is."""
    tokenizer = models.get("text-tokenizers")["bpe"].tokenizer
    texts = [tokenizer.decode([i]) for i in range(tokenizer.get_vocab_size())]
    # Tokens that are part of a character are no text of their own and cannot be re-encoded here.
    whole = np.array([i for i, text in enumerate(texts) if tokenizer.encode(text).ids == [i]])
    assert len(whole) > 3500
    random = np.random.default_rng(0)

    def holds(ids):
        return tokenizer.encode("".join(texts[i] for i in ids)).ids == list(ids)

    kept, refused = 0, []
    for _ in range(150):
        walk = [int(random.choice(whole))]
        while len(walk) < 8:
            following = next(int(t) for t in random.choice(whole, 400) if holds([walk[-1], int(t)]))
            walk.append(following)
        kept += holds(walk)
        broken = next((int(t) for t in random.choice(whole, 400) if not holds([walk[3], int(t)])), None)
        if broken is not None:
            refused.append(not holds([*walk[:4], broken, *walk[5:]]))
    assert kept == 150
    assert all(refused) and len(refused) > 100
