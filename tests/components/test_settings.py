import pytest

from components.settings import Settings, SettingsError


def test_defaults_without_environment():
    assert Settings.from_env({"PATH": "x", "HOME": "y"}) == Settings()


def test_values_are_cast():
    settings = Settings.from_env({"TOKENSCOPE_PORT": "8000", "TOKENSCOPE_HUB": "curated"})
    assert (settings.port, settings.hub) == (8000, "curated")


@pytest.mark.parametrize(("key", "value", "says"), [
    ("TOKENSCOPE_PROT", "1", "did you mean TOKENSCOPE_PORT"),
    ("TOKENSCOPE_PORT", "eighty", "whole number"),
    ("TOKENSCOPE_PORT", "70000", "65535"),
    ("TOKENSCOPE_PORT", "²", "whole number"),
    ("TOKENSCOPE_HUB", "on", "off, curated, any"),
    ("TOKENSCOPE_XYZZY", "1", "not a setting"),
])
def test_what_does_not_fit_is_named(key, value, says):
    with pytest.raises(SettingsError, match=key) as error:
        Settings.from_env({key: value})
    assert says in str(error.value)
