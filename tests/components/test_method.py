import sys
import textwrap
from dataclasses import dataclass

import pytest

from components.errors import InputError
from components.method import Card, Family, Finding, Method, choice, knob, switch

CARD = Card("Made", "Nobody", 2026, "https://example.org", "c", "f", "d")


@dataclass(frozen=True)
class Made(Method):
    card = CARD
    share: float = knob(0.5, 0.0, 1.0, 0.1, "Share")
    rounds: int = knob(3, 1, 9, 1, "Rounds")
    rule: str = choice("a", ("a", "b"), "Rule")
    fast: bool = switch(True, "Fast")

    @classmethod
    def check(cls, models):
        return Finding("1", "1", True, "nothing", "none")


@pytest.mark.parametrize(("knobs", "says"), [
    ({"share": 1.5}, "0 to 1"), ({"share": float("nan")}, "not a number"), ({"share": True}, "not a number"),
    ({"share": "half"}, "not a number"), ({"rule": "c"}, "a, b"), ({"fast": 1}, "true nor false"),
])
def test_a_knob_outside_its_range_is_refused(knobs, says):
    with pytest.raises(InputError, match=says):
        Made(**knobs)


def test_sliders_send_whole_numbers_as_floats():
    assert Made(rounds=5.0).rounds == 5
    assert isinstance(Made(rounds=5.0).rounds, int)
    assert hash(Made(rounds=5.0)) == hash(Made(rounds=5))


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A family's folder with two methods of one base, as a real package."""
    folder = tmp_path / "made_family"
    folder.mkdir()
    (folder / "__init__.py").write_text(
        "from components.method import Family\nfamily = Family(__name__)\n", encoding="utf-8"
    )
    body = """
    from dataclasses import dataclass
    from made_family import family
    from components.method import Card
    from tests.components.test_method import Made

    @family.add
    @dataclass(frozen=True)
    class One(Made):
        card = Card("{title}", "N", 2026, "u", "c", "f", "d", system={system})
    """
    for name, title, system in (("peer", "A peer", None), ("paper", "Z paper", 3)):
        code = textwrap.dedent(body.format(title=title, system=system))
        (folder / f"{name}.py").write_text(code, encoding="utf-8")
    (folder / "_shared.py").write_text("raise RuntimeError('private')", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    import made_family

    yield made_family
    for name in [n for n in sys.modules if n.startswith("made_family")]:
        del sys.modules[name]


def test_the_folder_is_the_registry(package):
    family: Family = package.family
    assert family.names() == ("paper", "peer")  # numbered systems first, whatever their title
    assert family.create("peer", rounds=2).rounds == 2
    assert family["paper"].name == "paper"


def test_unknown_names_and_knobs_are_refused_with_the_nearest(package):
    with pytest.raises(InputError, match="did you mean 'paper'"):
        package.family["papper"]
    with pytest.raises(InputError, match="no knob 'speed'"):
        package.family.create("peer", speed=1)


def test_two_methods_in_one_module_are_an_error(package):
    from made_family import peer

    second = type("Second", (peer.One,), {"__module__": peer.__name__})
    with pytest.raises(TypeError, match="two methods"):
        package.family.add(second)
