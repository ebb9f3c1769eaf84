"""``.env.example`` names every setting, with the default that the code has."""

from __future__ import annotations

import re

import pytest
import yaml

from tests.docs.settings_in_code import ROOT, settings_in_code

EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8")
_SETTING = re.compile(r"^# ([A-Z][A-Z0-9_]*)=(.*)$", re.MULTILINE)
EXAMPLE_SETTINGS = dict(_SETTING.findall(EXAMPLE))


def compose_variables() -> dict[str, str]:
    """Return the variables of docker-compose.yml that the code does not read, with defaults."""
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    found = re.findall(r"\$\{([A-Z_]+)(?::-([^}]*)|:\?[^}]*)?\}", text)
    code = settings_in_code()
    defaults: dict[str, str] = {}
    for name, default in found:
        if name not in code:
            defaults[name] = defaults.get(name) or default
    return defaults


def test_the_code_is_found_to_read_its_settings() -> None:
    settings = settings_in_code()
    assert settings["TECHNO_PORT"].default == "8000"
    assert settings["TECHNO_PORT"].most == "65535"
    assert {"DATABASE_URL", "SECRET_KEY", "TECHNO_ENV_FILE", "TECHNO_WORKERS"} <= settings.keys()


def test_every_setting_stands_in_the_example_and_nothing_else() -> None:
    wanted = settings_in_code().keys() | compose_variables().keys()
    assert set(EXAMPLE_SETTINGS) == wanted


def test_each_setting_stands_there_once() -> None:
    names = [name for name, _ in _SETTING.findall(EXAMPLE)]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("name", sorted(EXAMPLE_SETTINGS))
def test_the_default_shown_is_the_default(name: str) -> None:
    setting = settings_in_code().get(name)
    default = setting.default if setting else compose_variables()[name]
    assert EXAMPLE_SETTINGS[name] == default


@pytest.mark.parametrize("name", sorted(EXAMPLE_SETTINGS))
def test_each_setting_is_explained_above_it(name: str) -> None:
    lines = EXAMPLE.splitlines()
    above = lines[next(i for i, line in enumerate(lines) if line.startswith(f"# {name}=")) - 1]
    assert above.startswith("# ")
    assert above.rstrip().endswith(".")


def test_the_container_gets_every_setting_that_it_does_not_fix() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    passed = set(compose["services"]["web"]["environment"])
    fixed = {
        "TECHNO_HOST", "TECHNO_PORT", "TECHNO_VAR_DIR", "TECHNO_ENV_FILE",  # by the image
        "TECHNO_APP_ROLE", "TECHNO_DEBUG",  # one role is made; nobody debugs in a container
    }  # fmt: skip
    assert passed == settings_in_code().keys() - fixed
