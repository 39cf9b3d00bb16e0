import pytest

from components.models import ModelStore
from components.vision import MODEL, Picture


@pytest.fixture(scope="session")
def untrained(tmp_path_factory):
    """A store whose network has random weights but the real geometry."""
    import torch

    from components.models.recipes._run import publish
    from components.models.store import build_net

    folder = tmp_path_factory.mktemp("models")
    arguments = {"size": 128, "patch": 8, "width": 32, "depth": 8, "heads": 2, "hidden": 64}
    arguments |= {"classes": 8, "shapes": 6, "colours": 8, "textures": 4}
    torch.manual_seed(0)
    net = build_net("dense_vit", arguments)
    publish(folder / MODEL, "dense_vit", arguments, net.state_dict(), {})
    return ModelStore(folder=folder)


@pytest.fixture(scope="session")
def bundled():
    """The store with the trained network."""
    return ModelStore()


@pytest.fixture(scope="session")
def picture():
    return Picture.of_scene(5)
