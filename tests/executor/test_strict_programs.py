"""Programs that others could replace: a warning, and with ``TECHNO_STRICT_PROGRAMS`` a refusal."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service import Service, Services

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def strict(start_service: Services) -> Iterator[Service]:
    """A service that runs no program that others could replace."""
    with start_service(TECHNO_STRICT_PROGRAMS="1", TECHNO_WORKERS="1") as service:
        yield service


def program(directory: Path, mode: int) -> Path:
    """Make a program that leaves a mark beside itself when it runs."""
    path = directory / f"leave-mark-{mode:o}"
    path.write_text(f"#!/bin/sh\necho ran > {directory}/mark-{mode:o}\n")
    os.chmod(path, mode)
    return path


def test_a_program_that_others_may_write_does_not_start(strict: Service) -> None:
    directory = strict.directory
    loose, firm = program(directory, 0o777), program(directory, 0o755)
    strict.add_action("RUN_LOOSE", [str(loose)])
    strict.add_action("RUN_FIRM", [str(firm)])
    with strict.client() as client:
        refused = client.post("/api/execute", json={"command": "RUN_LOOSE"}).json()
        assert (refused["status"], refused["reason_codes"]) == ("BLOCKED", ["E6_spawn_failed"])
        assert str(loose) not in str(refused)  # the caller learns of no path
        assert not (directory / "mark-777").exists()
        ran = client.post("/api/execute", json={"command": "RUN_FIRM"}).json()
        assert ran["status"] == "APPROVED", ran
        assert (directory / "mark-755").exists()
    ((state, detail),) = strict.sql(
        "SELECT state, detail FROM command_runs WHERE execution_id = %s",
        [refused["execution_id"]],
    )
    assert state == "ended"
    assert f"{loose} can be written to by others than its owner" in detail
    assert "TECHNO_STRICT_PROGRAMS forbids that" in detail
    told = strict.sql(
        "SELECT status, reason_codes FROM audit_traces WHERE trace_id = %s::uuid",
        [refused["trace_id"]],
    )
    assert told == [("BLOCKED", ["E6_spawn_failed"])]


def test_the_checks_name_it_with_and_without_the_setting(strict: Service) -> None:
    loose = program(strict.directory, 0o757)
    strict.add_action("RUN_NAMED", [str(loose)])
    said = strict.manage_with({}, "check", "--database", "default")
    assert "RUN_NAMED" in said.stderr
    assert "techno.E302" in said.stderr
    warned = strict.manage_with({"TECHNO_STRICT_PROGRAMS": "0"}, "check", "--database", "default")
    assert "RUN_NAMED" in warned.stderr
    assert "techno.W302" in warned.stderr
    assert "techno.E302" not in warned.stderr
