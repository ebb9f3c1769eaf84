"""The container's files fit the project: what they copy, set, mount and ask is there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

from tests.docs.container_files import (
    compose,
    health_check,
    image_environment,
    last_stage,
    stages,
)
from tests.docs.settings_in_code import ROOT, SOURCES, settings_in_code
from tests.service import Service

COPIED = {line.split()[0] for line in last_stage("COPY") if not line.startswith("--from")}


def test_the_image_holds_all_that_runs_and_nothing_else() -> None:
    assert {*SOURCES, "templates"} == COPIED
    assert all((ROOT / name).exists() for name in COPIED)


def test_what_is_copied_is_not_ignored() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    wanted = [line for line in lines if line and not line.startswith("#")]
    assert wanted[0] == "*"
    assert {line[1:] for line in wanted if line.startswith("!")} == COPIED | {"requirements.txt"}


def test_the_image_runs_as_a_user_without_rights_and_without_an_installer() -> None:
    assert last_stage("USER") == ["techno"]
    for arguments in last_stage("RUN"):
        assert not re.search(r"\b(pip|apt|apt-get)\b", arguments)
    (packages,) = [arguments for name, arguments in stages()[0] if name == "RUN"]
    assert "--without-pip" in packages
    assert "--only-binary :all:" in packages


def test_the_image_sets_only_settings_that_exist() -> None:
    own = {name for name in image_environment() if name.startswith("TECHNO_")}
    assert own <= settings_in_code().keys()
    assert image_environment()["TECHNO_VAR_DIR"] == last_stage("VOLUME")[0]
    assert image_environment()["TECHNO_PORT"] == last_stage("EXPOSE")[0]


def test_the_entrypoint_is_the_one_command_that_serves() -> None:
    (entrypoint,) = last_stage("ENTRYPOINT")
    assert json.loads(entrypoint) == ["python", "manage.py", "serve"]
    assert last_stage("STOPSIGNAL") == ["SIGTERM"]


def run_health_check(port: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *health_check()[1:]]
    environment = {"PATH": os.environ["PATH"], "TECHNO_PORT": str(port)}
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=30, check=False
    )


@pytest.mark.slow
def test_the_health_check_passes_a_service_that_answers_and_fails_without_one(
    service: Service,
) -> None:
    assert health_check()[0] == "python"
    assert run_health_check(service.port).returncode == 0
    assert run_health_check(1).returncode != 0


def test_compose_keeps_the_roles_apart() -> None:
    web = compose()["services"]["web"]
    assert web["environment"]["DATABASE_URL"].startswith("postgres://techno_app:")
    assert web["environment"]["TECHNO_MIGRATION_DATABASE_URL"].startswith(
        "postgres://techno_owner:"
    )
    assert "env_file" not in web  # it would hand PostgreSQL's superuser to the web processes
    assert web["depends_on"]["postgres"]["condition"] == "service_healthy"


def test_compose_gives_the_service_no_more_than_it_needs() -> None:
    web = compose()["services"]["web"]
    assert web["read_only"] is True
    assert web["cap_drop"] == ["ALL"]
    assert web["security_opt"] == ["no-new-privileges:true"]
    assert web["volumes"] == [f"techno:{image_environment()['TECHNO_VAR_DIR']}"]


def test_compose_makes_the_roles_with_the_file_of_the_documentation() -> None:
    postgres = compose()["services"]["postgres"]
    (mounted,) = [item for item in postgres["volumes"] if item.startswith("./")]
    source, target, _ = mounted.split(":")
    assert (ROOT / source).is_file()
    assert target.startswith("/docker-entrypoint-initdb.d/")
    asked = set(re.findall(r"\\getenv \w+ (\w+)", (ROOT / source).read_text(encoding="utf-8")))
    assert asked <= postgres["environment"].keys()
