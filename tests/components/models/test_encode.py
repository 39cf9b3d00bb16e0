import importlib.util
import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest

from components.models import ModelStore
from components.models.encode import PACKAGE, MiniLM, batches, unit
from components.models.progress import listening

TEXTS = [
    "Oxygen was discovered in 1774.",
    "İstanbul Boğazı iki kıtayı ayırır.",
    "a",
    "🙂 zebra 🙂",
    "word " * 400,
    "The mean of token states is one vector for the whole text, however long the text may be.",
]


def folder() -> Path:
    return Path(importlib.util.find_spec(PACKAGE).submodule_search_locations[0]) / "model"


@pytest.fixture(scope="module")
def minilm():
    return ModelStore().get("minilm")


def test_mean_vectors_are_those_of_sentence_transformers(minilm):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from sentence_transformers import SentenceTransformer

        theirs = SentenceTransformer(str(folder()), device="cpu").encode(TEXTS)
    np.testing.assert_allclose(minilm.mean_vectors(TEXTS), theirs, atol=1e-5)


def test_a_text_has_the_same_vectors_alone_and_in_a_batch(minilm):
    together = minilm.token_states(TEXTS)
    for text, (tokens, states) in zip(TEXTS, together, strict=True):
        ((own_tokens, own_states),) = minilm.token_states([text])
        assert tokens == own_tokens
        np.testing.assert_allclose(states, own_states, atol=1e-5)
        np.testing.assert_allclose(np.linalg.norm(states, axis=1), 1, atol=1e-5)


def test_long_texts_are_cut_and_counted(minilm):
    assert list(minilm.count(TEXTS)) == [len(t) for t, _ in minilm.token_states(TEXTS)]
    assert minilm.count(TEXTS)[4] == 256


def test_special_tokens_can_be_left_out(minilm):
    whole = minilm.encode(TEXTS)
    bare = whole.without_special()
    for i in range(len(TEXTS)):
        assert bare.tokens_of(i) == whole.tokens_of(i)[1:-1]
        np.testing.assert_array_equal(bare.states_of(i), whole.states_of(i)[1:-1])


def test_the_store_knows_its_size(minilm):
    assert sum(p.numel() for p in minilm.parameters()) == 22_713_216


def test_progress_is_reported(minilm):
    heard = []
    with listening(lambda done, total, what: heard.append((done, total))):
        minilm.encode(TEXTS)
    assert heard[-1] == (len(TEXTS), len(TEXTS))


def test_other_weights_are_refused(tmp_path):
    shutil.copytree(folder(), tmp_path / "model")
    weights = tmp_path / "model" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(RuntimeError, match="SHA-256"):
        MiniLM.from_folder(tmp_path / "model")


def test_batches_hold_every_text_once_and_keep_the_limit():
    lengths = np.random.default_rng(0).integers(1, 50, 200)
    found = list(batches(lengths, 300))
    assert sorted(i for batch in found for i in batch) == list(range(200))
    assert all(len(b) == 1 or len(b) * lengths[b].max() <= 300 for b in found)
    assert len(found) < 40


def test_unit_keeps_the_zero_vector():
    np.testing.assert_allclose(
        unit(np.array([[0, 0], [3, 4]], dtype=np.float32)), [[0, 0], [0.6, 0.8]], rtol=1e-6
    )


def test_the_model_was_made_for_256_tokens():
    assert json.loads((folder() / "sentence_bert_config.json").read_text())["max_seq_length"] == 256
