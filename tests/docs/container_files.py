"""The container's files, parsed as far as the tests look into them."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from tests.docs.settings_in_code import ROOT

_INSTRUCTION = re.compile(r"^([A-Z]+) (.*)$")


def stages() -> list[list[tuple[str, str]]]:
    """Return the Dockerfile's stages, each a list of instructions with their arguments."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    found: list[list[tuple[str, str]]] = []
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        match = _INSTRUCTION.match(line)
        if match is None:
            assert not line.strip(), line
            continue
        if match.group(1) == "FROM":
            found.append([])
        found[-1].append((match.group(1), re.sub(r"\s+", " ", match.group(2)).strip()))
    return found


def last_stage(instruction: str) -> list[str]:
    """Return what an instruction says in the stage that becomes the image."""
    return [arguments for name, arguments in stages()[-1] if name == instruction]


def health_check() -> list[str]:
    """Return the health check's command."""
    (check,) = last_stage("HEALTHCHECK")
    command: list[str] = json.loads(check.split(" CMD ", 1)[1])
    return command


def image_environment() -> dict[str, str]:
    """Return the variables that the image sets."""
    return dict(part.split("=", 1) for line in last_stage("ENV") for part in line.split())


def compose() -> dict[str, Any]:
    """Return docker-compose.yml."""
    document: dict[str, Any] = yaml.safe_load(
        (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    )
    return document
