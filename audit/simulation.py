"""Plausible history at the speed of COPY, for tests and benchmarks.

The rows are what the recorder would have written: real codes with their statuses, sessions that
come back, keys of different use, days that are busier than nights. They go through the same
triggers; nothing but the recorder's Python is passed by.
"""

from __future__ import annotations

import math
import os
import random
import secrets
import uuid
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import combinations
from multiprocessing import get_context
from typing import Any

import orjson
import psycopg

from techno.database.connection import DeadlineConnection, connect
from techno.governance.reason_codes import ReasonCode
from techno.governance.status import Status

_MARK = "techno-test-database"
_CHUNK_ROWS = 25_000
_DEADLINE_S = 600.0
_ACTIONS = ("GET_STATUS", "DISK_USAGE", "LIST_PROCESSES", "UPTIME", "MEMORY_USAGE")
_READS = (
    ("audit.read", "/api/audit"),
    ("memory.read", "/api/memory"),
    ("metrics.read", "/api/diagnostic/metrics"),
)
_CODES = tuple(ReasonCode)
#: How many of the rows with a code have another one.
_SECOND_CODE = 0.1
_COLUMNS = (
    "trace_id",
    "timestamp",
    "reason_codes",
    "session_id",
    "user_ip",
    "status",
    "action",
    "method",
    "path",
    "http_status",
    "duration_ms",
    "principal_kind",
    "principal_label",
    "key_prefix",
    "execution_id",
    "message",
    "host",
    "user_agent",
    "detail",
    "salt",
)
#: Where in a row what the entry of a reason code repeats stands.
_SHARED = tuple(
    _COLUMNS.index(name)
    for name in (
        "timestamp",
        "trace_id",
        "status",
        "action",
        "key_prefix",
        "session_id",
        "user_ip",
    )
)


def mark_for_tests(connection: psycopg.Connection[Any]) -> None:
    """Let a database without history say that it is one for tests.

    A database that has rows is left unmarked.
    """
    if connection.execute("SELECT 1 FROM audit_logs LIMIT 1").fetchone() is None:
        connection.execute(
            "INSERT INTO audit_simulation (mark) VALUES (%s) ON CONFLICT DO NOTHING", [_MARK]
        )


def may_simulate(connection: psycopg.Connection[Any]) -> bool:
    """Whether the database says that it is one for tests."""
    row = connection.execute("SELECT 1 FROM audit_simulation WHERE mark = %s", [_MARK]).fetchone()
    return row is not None


def simulate(
    connection: psycopg.Connection[Any],
    parameters: dict[str, Any],
    *,
    rows: int,
    days: float,
    jobs: int | None = None,
) -> None:
    """Write ``rows`` rows over the ``days`` before now, oldest first but for neighbours.

    Several processes do it, each on a connection of its own made with ``parameters``: half of the
    work is Python's. Raises ``psycopg.Error``.
    """
    start = datetime.now(UTC) - timedelta(days=days)
    connection.execute("SELECT audit_make_partitions_v1(%s, 3)", [math.ceil(days / 28)])
    chunks = [(first, min(rows, first + _CHUNK_ROWS)) for first in range(0, rows, _CHUNK_ROWS)]
    with ProcessPoolExecutor(
        max_workers=max(1, min(jobs or os.cpu_count() or 1, len(chunks))),
        mp_context=get_context("spawn"),
        initializer=_open,
        initargs=(parameters,),
    ) as pool:
        for _ in pool.map(partial(_write, start, days * 86_400 / max(1, rows)), chunks):
            pass


_connection: DeadlineConnection | None = None


def _open(parameters: dict[str, Any]) -> None:
    """Connect a worker process."""
    global _connection
    _connection = connect(parameters, deadline_s=_DEADLINE_S, name="techno-simulate")


def _write(start: datetime, step_s: float, bounds: tuple[int, int]) -> None:
    """Make and write the rows with these numbers."""
    if _connection is None:
        raise RuntimeError("the worker process was not opened")
    chance = random.Random(secrets.randbits(64))  # noqa: S311 - made-up history, no secret
    made = [_row(chance, start + timedelta(seconds=step_s * index)) for index in range(*bounds)]
    with _connection.transaction(), _connection.cursor() as cursor:
        _copy(cursor, made)


def _copy(cursor: psycopg.Cursor[Any], made: list[tuple[Any, ...]]) -> None:
    """Write companions and codes first, as the recorder's statement does, then the rows."""
    names = ", ".join(f'"{name}"' for name in _COLUMNS)
    with cursor.copy(f"COPY audit_traces ({names}) FROM STDIN") as copy:
        for row in made:
            copy.write_row(row)
    names = ", ".join(f'"{name}"' for name in ("code", "also", *(_COLUMNS[at] for at in _SHARED)))
    with cursor.copy(f"COPY audit_trace_codes ({names}) FROM STDIN") as copy:
        for row in made:
            if row[2] != "[]":
                codes = sorted(orjson.loads(row[2]))
                shared = [row[at] for at in _SHARED]
                for code, also in [*((code, "") for code in codes), *combinations(codes, 2)]:
                    copy.write_row((code, also, *shared))
    names = ", ".join(f'"{name}"' for name in _COLUMNS[:5])
    with cursor.copy(f"COPY audit_logs ({names}) FROM STDIN") as copy:
        for row in made:
            copy.write_row(row[:5])


def _row(chance: random.Random, moment: datetime) -> tuple[Any, ...]:
    """Make one row of the given time."""
    moment += timedelta(seconds=chance.random() * 0.001)
    unix_ms = int(moment.timestamp() * 1000)
    trace_id = _uuid7(chance, unix_ms)
    timestamp = f"{moment:%Y-%m-%dT%H:%M:%S}.{unix_ms % 1000:03d}Z"
    ran = chance.random() < 0.4
    refused = chance.random() < 0.06
    code = chance.choice(_CODES) if refused else None
    codes = {code.code} if code else set()
    if code and chance.random() < _SECOND_CODE:
        codes.add(chance.choice(_CODES).code)
    status = (code.value.status or Status.APPROVED) if code else Status.APPROVED
    action, path = (chance.choice(_ACTIONS), "/api/execute") if ran else chance.choice(_READS)
    key = min(int(chance.expovariate(0.15)), 39)
    return (
        trace_id,
        timestamp,
        orjson.dumps(sorted(codes)).decode(),
        f"session-{int(moment.timestamp()) // 1800 % 100_000}-{chance.randrange(8)}",
        f"10.{key}.{chance.randrange(4)}.{chance.randrange(1, 255)}",
        status.value,
        action,
        "POST" if ran else "GET",
        path,
        (code.value.http_status or 200) if code else 200,
        int(math.exp(chance.gauss(1.5, 1.0))),
        "api_key",
        f"simulated key {key}",
        f"sim{key:05d}",
        f"run_{trace_id.replace('-', '')}" if ran else None,
        code.value.meaning if code else "",
        "simulated",
        "console/1.0",
        "{}",
        f"{chance.getrandbits(128):032x}",
    )


def _uuid7(chance: random.Random, unix_ms: int) -> str:
    value = (unix_ms << 80) | (0x7 << 76) | (chance.getrandbits(12) << 64)
    return str(uuid.UUID(int=value | (0x2 << 62) | chance.getrandbits(62)))
