"""Optional checkpoints from a model hub: off unless allowed, safetensors only, never remote code.

`curated` allows the list below at its pinned revisions; `any` allows every repository of a known
architecture, at the revision its main branch has when it is first asked for. What is loaded is the plain
architecture of transformers; the one exception is Sylber, published as a bare state dict of a nine-layer
HuBERT.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.errors import InputError
from components.settings import Settings

ARCHITECTURES = ("bert", "distilbert", "roberta", "xlm-roberta", "hubert", "vit", "dinov2", "deit")
SIDE_FILES = ("config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt")
SYLBER_LAYERS = 9


@dataclass(frozen=True)
class Checkpoint:
    """One curated repository: its pinned revision, its weights file, and what it is for."""

    repository: str
    revision: str
    weights: str
    purpose: str


CURATED = (
    Checkpoint("sentence-transformers/all-MiniLM-L6-v2", "c9745ed1d9f207416be6d2e6f8de32d1f16199bf",
               "model.safetensors", "English sentence encoder"),
    Checkpoint("google-bert/bert-base-uncased", "86b5e0934494bd15c9632b12f734a8a67f723594",
               "model.safetensors", "English masked language model"),
)


def load(name: str, settings: Settings) -> Any:
    """Return the network of repository `name` (owner/name) in evaluation mode, kept in the hub's cache."""
    checkpoint = _allowed(name, settings)
    return load_folder(_fetch(checkpoint, settings), checkpoint.weights)


def _allowed(name: str, settings: Settings) -> Checkpoint:
    """Refuse what this host does not allow, before any request is made."""
    if settings.hub == "off":
        raise InputError(
            f"Hub checkpoints are off here, so {name[:80]!r} cannot be loaded; use the bundled models."
        )
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", name) or ".." in name:
        raise InputError(f"{name[:80]!r} is no repository name; give owner/name.")
    for checkpoint in CURATED:
        if checkpoint.repository == name:
            return checkpoint
    if settings.hub == "curated":
        listed = ", ".join(c.repository for c in CURATED)
        raise InputError(f"{name!r} is not on this host's list; choose one of {listed}.")
    weights = "sylber.ckpt" if name.split("/")[1] == "sylber" else "model.safetensors"
    return Checkpoint(name, "main", weights, "asked for by name")


def _fetch(checkpoint: Checkpoint, settings: Settings) -> Path:
    """Check what the repository holds and how large it is, then download the files that are needed."""
    from huggingface_hub import HfApi, hf_hub_download

    # the base of whichever HTTP client the library brings, which it re-exports without saying so
    from huggingface_hub.errors import HTTPError, LocalEntryNotFoundError  # type: ignore[attr-defined]

    try:
        facts = HfApi(endpoint=settings.hub_endpoint).model_info(
            checkpoint.repository, revision=checkpoint.revision, files_metadata=True, timeout=10
        )
        sizes = {f.rfilename: f.size or 0 for f in facts.siblings or ()}
        if checkpoint.weights not in sizes:
            raise InputError(
                f"{checkpoint.repository} holds no {checkpoint.weights}; one with safetensors weights fits."
            )
        megabytes = sizes[checkpoint.weights] / 2**20
        if megabytes > settings.hub_largest_mb:
            raise InputError(
                f"{checkpoint.repository} weighs {megabytes:,.0f} MB; {settings.hub_largest_mb:,} MB fit."
            )
        wanted = [checkpoint.weights, *(name for name in SIDE_FILES if sizes.get(name, 1 << 40) < 32 << 20)]
        paths = [
            hf_hub_download(checkpoint.repository, name, revision=facts.sha, endpoint=settings.hub_endpoint)
            for name in wanted
        ]
    except (HTTPError, LocalEntryNotFoundError, OSError) as error:
        raise InputError(
            f"The hub could not be reached for {checkpoint.repository} ({type(error).__name__}); "
            "go on with the bundled models, or try again later."
        ) from None
    return Path(paths[0]).parent


def load_folder(folder: Path, weights: str = "model.safetensors") -> Any:
    """Load a folder: config.json and safetensors of a known architecture, or Sylber's state dict."""
    if weights == "sylber.ckpt":
        return _load_sylber(folder / weights)
    kind = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type")
    if kind not in ARCHITECTURES:
        raise InputError(f"The architecture {str(kind)[:40]!r} is not known; {', '.join(ARCHITECTURES)} are.")
    from transformers import AutoModel

    net = AutoModel.from_pretrained(
        folder, use_safetensors=True, trust_remote_code=False, local_files_only=True
    )
    return net.float().eval().requires_grad_(False)


def _load_sylber(path: Path, **changes: Any) -> Any:
    """Load Sylber (2410.07168): HuBERT-base cut to nine layers; only the mask embedding may be missing."""
    import torch
    from transformers import HubertConfig, HubertModel

    state = torch.load(path, map_location="cpu", weights_only=True)
    net = HubertModel(HubertConfig(**{"num_hidden_layers": SYLBER_LAYERS} | changes))
    missing, unexpected = net.load_state_dict(state, strict=False)
    if set(missing) - {"masked_spec_embed"} or unexpected:
        raise RuntimeError(f"{path.name} does not fit: missing {missing[:3]}, unexpected {unexpected[:3]}")
    return net.requires_grad_(False).train(False)
