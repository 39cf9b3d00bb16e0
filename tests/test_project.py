"""The repository agrees with itself: requirements, README, assets, licences."""

import hashlib
import json
import re
import tomllib
from pathlib import Path

import pytest

from components import catalogue

ROOT = Path(__file__).resolve().parents[1]
MEBIBYTE = 1 << 20


def test_a_demo_space_installs_what_pyproject_names():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    listed = [line for line in lines if line and not line.startswith(("#", "--"))]
    assert listed == project["dependencies"]


def test_the_readme_holds_the_table_of_the_systems_as_the_cards_have_it():
    readme = catalogue.README.read_text(encoding="utf-8")
    assert catalogue.rewritten(readme) == readme, "run python -m components.catalogue"
    assert len(re.findall(r"arxiv\.org/abs/", catalogue.table())) == 24


def test_the_readme_names_both_commands_and_the_front_matter_of_a_space():
    readme = catalogue.README.read_text(encoding="utf-8")
    assert "python -m pip install -e . && python app.py" in readme
    assert "python -m pip install -e '.[test]' && python -m pytest" in readme
    front = readme.split("---")[1]
    assert "sdk: gradio" in front and "app_file: app.py" in front
    for image in re.findall(r"!\[[^]]*\]\(([^)]+)\)", readme):
        assert (ROOT / image).is_file()


def test_numbered_cards_agree_with_the_catalogue():
    for system in catalogue.SYSTEMS:
        for _, cls in catalogue.running(system):
            assert system.arxiv in cls.card.url, f"{cls.name}: {cls.card.url} is not {system.arxiv}"


CARDS = sorted((ROOT / "assets" / "models").glob("*/card.json"))


@pytest.mark.parametrize("path", CARDS, ids=lambda p: p.parent.name)
def test_every_model_card_is_complete_and_true_to_its_weights(path):
    card = json.loads(path.read_text(encoding="utf-8"))
    for key in ("licence", "recipe", "seed", "data", "metrics", "limits"):
        assert card.get(key) not in (None, "", []), f"{path.parent.name}: {key}"
    for metric in card["metrics"]:
        assert {"name", "value", "n", "on"} <= set(metric), metric
        assert metric["n"] > 0
    weights = path.parent / "model.safetensors"
    if weights.exists():
        assert hashlib.sha256(weights.read_bytes()).hexdigest() == card["sha256"]


def test_assets_stay_small_and_hold_no_code_and_no_pickles():
    files = [p for p in (ROOT / "assets").rglob("*") if p.is_file()]
    assert sum(p.stat().st_size for p in files if "models" in p.parts) <= 80 * MEBIBYTE
    for path in files:
        assert path.stat().st_size <= 12 * MEBIBYTE, path
        assert path.suffix not in {".py", ".js", ".pkl", ".pt", ".pth", ".bin", ".ckpt", ".npy"}, path


def test_every_sample_names_its_source_and_licence():
    samples = ROOT / "assets" / "samples"
    sources = json.loads((samples / "SOURCES.json").read_text(encoding="utf-8"))
    for entry in sources.values():
        assert {"what", "author", "licence", "made"} <= set(entry)
    for path in samples.rglob("*"):
        if path.is_file() and path.name != "SOURCES.json":
            relative = path.relative_to(samples).as_posix()
            named = any(f"{relative}/".startswith(key.rstrip("/") + "/") for key in sources)
            assert named, f"{relative} is in no entry of SOURCES.json"
