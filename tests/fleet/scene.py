"""What the fleet's tests run, and how they ask for it."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from techno.processes import process_table, read_environment_variable, wait_until
from tests.service import Service

LIMIT_S = 60.0
#: ``mark`` leaves a line for each time that a program really starts.
ACTIONS = r"""
[action.FLEET_MARK]
argv = ["/bin/sh", "-c", "echo $TECHNO_EXECUTION_ID >> DIRECTORY/started; echo done"]

[action.FLEET_ASYNC]
argv = ["/bin/sh", "-c", "echo $TECHNO_EXECUTION_ID >> DIRECTORY/started; echo done; exit 3"]
is_async = true

[action.FLEET_SLOW]
argv = ["/bin/sh", "-c", "echo $TECHNO_EXECUTION_ID >> DIRECTORY/started; sleep 600"]
timeout_s = 600

[action.FLEET_WAIT]
argv = ["/bin/sh", "-c", "sleep 1; echo $TECHNO_EXECUTION_ID"]

[action.FLEET_SHORT]
argv = ["/bin/sh", "-c", "echo $TECHNO_EXECUTION_ID >> DIRECTORY/started; sleep 600"]
timeout_s = 0.5
is_async = true

[action.FLEET_STUBBORN]
argv = ["/bin/sh", "-c", '''trap '' TERM
setsid sh -c 'sleep 601 & sleep 602' &
(sleep 603) & wait; sleep 604''']
timeout_s = 600
is_async = true

[action.FLEET_PRINT]
argv = ["/bin/sh", "-c", '''printf 'a\377b\000c\n'; sleep 0.4
printf 'err\376' >&2; sleep 0.4; printf 'last\303' ''']
timeout_s = 60
is_async = true

[action.FLEET_TALK]
argv = ["/bin/sh", "-c", "i=0; while [ $i -lt 400 ]; do echo line $i; i=$((i+1)); done; sleep 600"]
timeout_s = 600
is_async = true

[action.FLEET_MUCH]
argv = ["/bin/sh", "-c", "head -c 300000 /dev/urandom"]
output_limit_bytes = 200000
timeout_s = 60
is_async = true

[action.FLEET_ELSEWHERE]
argv = ["/bin/sh", "-c", "echo $TECHNO_EXECUTION_ID >> DIRECTORY/started; echo there; exit 4"]
queue = "elsewhere"

[action.FLEET_ONE]
argv = ["/bin/sh", "-c", "echo $TECHNO_EXECUTION_ID >> DIRECTORY/started; sleep 0.3"]
max_running = 1

[action.FLEET_REFUSE]
argv = ["/bin/sh", "-c", "sleep 1"]
max_running = 1
when_full = "refuse"

[action.FLEET_LINE]
argv = ["/bin/sh", "-c", "echo $TECHNO_EXECUTION_ID >> DIRECTORY/started; sleep 0.2"]
max_running = 1
is_async = true
"""


@dataclass
class Scene:
    """The service, and the directory into which its programs write."""

    service: Service
    directory: Path

    def started(self) -> list[str]:
        """The execution id of every program that started, once for each start."""
        path = self.directory / "started"
        return path.read_text().split() if path.exists() else []

    def run_async(self, client: httpx.Client, command: str, **headers: str) -> str:
        """Queue a run and return its execution id."""
        answer = client.post(
            "/api/execute",
            json={"command": command},
            headers={"Prefer": "respond-async", **headers},
        )
        assert answer.status_code == 202, answer.text
        body = answer.json()
        assert body["reason_codes"] == ["E1_queued"], body
        assert answer.headers["Location"] == f"/api/runs/{body['execution_id']}"
        return str(body["execution_id"])

    def ended(self, client: httpx.Client, execution_id: str) -> dict[str, Any]:
        """Wait for a run's end and return what is told of it."""
        ends_at_s = time.monotonic() + LIMIT_S
        while True:
            answer = client.get(f"/api/runs/{execution_id}")
            body: dict[str, Any] = answer.json()
            if answer.status_code == 200:
                assert body["data"]["state"] == "ended"
                return body
            assert answer.status_code == 202, answer.text
            assert time.monotonic() < ends_at_s, body
            time.sleep(0.05)

    def reaches(self, client: httpx.Client, execution_id: str, state: str) -> None:
        """Wait until a run is as far as that."""
        assert wait_until(
            lambda: client.get(f"/api/runs/{execution_id}").json()["data"]["state"] == state,
            LIMIT_S,
        )

    def end_rows(self, execution_id: str) -> list[tuple[Any, ...]]:
        """The audit rows that name a run and were written by a worker or its like."""
        return self.service.sql(
            "SELECT t.status, t.action, t.detail ->> 'request_trace', l.trace_id"
            " FROM audit_traces t JOIN audit_logs l USING (trace_id)"
            " WHERE t.execution_id = %s AND t.method = 'WORKER'",
            [execution_id],
        )


def joined(pieces: list[dict[str, Any]], stream: str = "") -> bytes:
    """The bytes of the pieces of one stream, or of both."""
    return b"".join(
        base64.b64decode(piece["base64"]) for piece in pieces if stream in ("", piece["stream"])
    )


def processes_of(execution_id: str) -> list[int]:
    """The living processes of a run, whatever they did to get away."""
    return [
        process.pid
        for process in process_table().values()
        if not process.is_zombie
        and read_environment_variable(process.pid, "TECHNO_EXECUTION_ID") == execution_id
    ]
