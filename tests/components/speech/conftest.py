"""Models for tests that need the encoder's shape, not its knowledge."""

import pytest

from components.models import ModelStore
from components.models.encode_speech import NAME


@pytest.fixture(scope="session")
def random_models(tmp_path_factory):
    """A store whose speech encoder has random weights."""
    import torch

    from components.models.recipes._run import publish
    from components.models.store import build_net

    torch.manual_seed(0)
    arguments = {"width": 16, "bands": 40, "dim": 8, "expand": 2}
    folder = tmp_path_factory.mktemp("models")
    state = build_net("syllable_encoder", arguments).state_dict()
    publish(folder / NAME, "syllable_encoder", arguments, state, {})
    return ModelStore(folder=folder)


@pytest.fixture(scope="session")
def models():
    """The bundled models."""
    return ModelStore()
