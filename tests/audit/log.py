"""What the tests of the log do again and again, from outside of the service."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import psycopg

from techno.embedded.layout import BOOTSTRAP_ROLE
from tests.service import Service

SEALED_WITHIN_S = 30.0


def run_action(client: httpx.Client, command: str = "CLOCK", **body: Any) -> dict[str, Any]:
    """Run an action and return the answer."""
    answer = client.post("/api/execute", json={"command": command, **body})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def wait_until_sealed(service: Service, trace_id: str) -> int:
    """Return the leaf of a row, which the keeper gives it within seconds."""
    ends_at = time.monotonic() + SEALED_WITHIN_S
    while True:
        found = service.sql(
            "SELECT leaf_index FROM audit_leaves WHERE trace_id = %s::uuid", [trace_id]
        )
        if found:
            return int(found[0][0])
        assert time.monotonic() < ends_at, f"{trace_id} was not sealed"
        time.sleep(0.2)


@contextmanager
def intruder(service: Service) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """Be a superuser whom no trigger binds; only an embedded server lets us."""
    with service.connect(BOOTSTRAP_ROLE) as connection:
        connection.execute("SET session_replication_role = replica")
        yield connection


def verify(service: Service, *arguments: str) -> tuple[int, str]:
    """Run ``audit verify``; return its exit code and what it printed."""
    done = service.manage("audit", "verify", "--jobs", "1", *arguments, check=False)
    return done.returncode, done.stdout + done.stderr
