"""The hub's real loading code, on tiny random checkpoints of the real architectures served by a local hub."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from transformers import (
    BertConfig,
    BertModel,
    Dinov2Config,
    Dinov2Model,
    HubertConfig,
    HubertModel,
    ViTConfig,
    ViTModel,
)

from components.errors import InputError
from components.models import hub
from components.settings import Settings

SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
HUBERT = {**SMALL, "conv_dim": (8, 8), "conv_kernel": (10, 3), "conv_stride": (5, 2),
          "num_feat_extract_layers": 2, "num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 2}
NETS = {
    "bert": (BertModel, BertConfig(vocab_size=50, **SMALL), {"input_ids": torch.arange(5)[None]}),
    "vit": (ViTModel, ViTConfig(image_size=16, patch_size=8, **SMALL),
            {"pixel_values": torch.ones(1, 3, 16, 16)}),
    "dinov2": (Dinov2Model, Dinov2Config(image_size=28, patch_size=14, **SMALL),
               {"pixel_values": torch.ones(1, 3, 28, 28)}),
    "hubert": (HubertModel, HubertConfig(**HUBERT), {"input_values": torch.ones(1, 800)}),
}


@pytest.mark.parametrize("kind", NETS)
def test_a_checkpoint_folder_gives_the_same_network(kind, tmp_path):
    cls, config, inputs = NETS[kind]
    torch.manual_seed(0)
    original = cls(config).eval()
    original.save_pretrained(tmp_path)
    loaded = hub.load_folder(tmp_path)
    with torch.no_grad():
        expected = original(**inputs).last_hidden_state
        assert torch.allclose(loaded(**inputs).last_hidden_state, expected, atol=1e-6)
    assert not loaded.training and not any(p.requires_grad for p in loaded.parameters())


def test_an_unknown_architecture_is_refused(tmp_path):
    config = json.dumps({"model_type": "evil", "auto_map": {"AutoModel": "evil.Evil"}})
    (tmp_path / "config.json").write_text(config, encoding="utf-8")
    with pytest.raises(InputError, match="'evil' is not known"):
        hub.load_folder(tmp_path)


def test_sylber_state_dict_loads_and_a_foreign_key_is_refused(tmp_path):
    torch.manual_seed(0)
    original = HubertModel(HubertConfig(**HUBERT)).eval()
    state = original.state_dict()
    state.pop("masked_spec_embed", None)
    torch.save(state, tmp_path / "sylber.ckpt")
    loaded = hub._load_sylber(tmp_path / "sylber.ckpt", **HUBERT)
    with torch.no_grad():
        wave = torch.randn(1, 800)
        assert torch.equal(loaded(wave).last_hidden_state, original(wave).last_hidden_state)
    state["stranger"] = torch.zeros(1)
    torch.save(state, tmp_path / "sylber.ckpt")
    with pytest.raises(RuntimeError, match="stranger"):
        hub._load_sylber(tmp_path / "sylber.ckpt", **HUBERT)


@pytest.mark.parametrize(("mode", "name", "says"), [
    ("off", "google-bert/bert-base-uncased", "off here"),
    ("curated", "someone/else", "not on this host's list"),
    ("any", "../../etc", "no repository name"), ("any", "a/b/c", "no repository name"),
])
def test_what_a_host_does_not_allow_is_refused_before_any_request(mode, name, says):
    with pytest.raises(InputError, match=says):
        hub.load(name, Settings(hub=mode, hub_endpoint="http://127.0.0.1:9"))


@pytest.fixture
def local_hub(tmp_path, monkeypatch):
    """A hub on this machine that serves one repository, tiny/bert, from a folder."""
    folder = tmp_path / "repository"
    cls, config, _ = NETS["bert"]
    cls(config).save_pretrained(folder)
    sha = "a" * 40

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args):
            pass

        def do_HEAD(self):
            self.do_GET(body=False)

        def do_GET(self, body=True):
            name = self.path.split("?")[0].rsplit("/", 1)[-1]
            if self.path.startswith("/api/models/tiny/bert"):
                siblings = [{"rfilename": p.name, "size": p.stat().st_size} for p in folder.iterdir()]
                content = json.dumps({"id": "tiny/bert", "sha": sha, "siblings": siblings}).encode()
            elif (folder / name).exists():
                content = (folder / name).read_bytes()
            else:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("ETag", f'"{hash(name) & 0xFFFFFFFF:08x}"')
            self.send_header("X-Repo-Commit", sha)
            self.end_headers()
            if body:
                self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    yield f"http://127.0.0.1:{server.server_address[1]}", folder
    server.shutdown()
    server.server_close()


def test_the_whole_way_from_the_hub_to_a_network(local_hub):
    endpoint, _ = local_hub
    net = hub.load("tiny/bert", Settings(hub="any", hub_endpoint=endpoint))
    assert net(torch.arange(5)[None]).last_hidden_state.shape == (1, 5, 16)


def test_too_large_and_pickled_weights_are_refused(local_hub):
    endpoint, folder = local_hub
    (folder / "model.safetensors").write_bytes(b"0" * (3 << 20))
    with pytest.raises(InputError, match="weighs 3 MB; 1 MB fit"):
        hub.load("tiny/bert", Settings(hub="any", hub_endpoint=endpoint, hub_largest_mb=1))
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"holds no model\.safetensors"):
        hub.load("tiny/bert", Settings(hub="any", hub_endpoint=endpoint))


def test_an_unreachable_hub_is_said_in_one_sentence(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    with pytest.raises(InputError, match="could not be reached"):
        hub.load("tiny/bert", Settings(hub="any", hub_endpoint="http://127.0.0.1:9"))
