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
import signal
from collections.abc import Sequence
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
from techno.launch import follow_parent

_MARK = "techno-test-database"
_CHUNK_ROWS = 25_000
_DEADLINE_S = 600.0
#: How COPY writes that there is nothing.
_NULL = r"\N"
_ACTIONS = ("GET_STATUS", "DISK_USAGE", "LIST_PROCESSES", "UPTIME", "MEMORY_USAGE")
_READS = (
    ("audit.read", "/api/audit"),
    ("memory.read", "/api/memory"),
    ("metrics.read", "/api/diagnostic/metrics"),
)
_CODES = tuple(ReasonCode)
#: Shares: of rows with a reason code, of those with another one, of rows that ran something.
_REFUSED, _SECOND_CODE, _RAN = 0.06, 0.1, 0.4
#: Some keys are used much, most of them little; most answers take few milliseconds. Drawn once:
#: drawing for each row would cost as much as all the rest of it.
_SHAPE = random.Random(1)  # noqa: S311
_KEYS = [min(int(_SHAPE.expovariate(0.15)), 39) for _ in range(1024)]
_DURATIONS_MS = [str(int(math.exp(_SHAPE.gauss(1.5, 1.0)))) for _ in range(1024)]
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
        initargs=(os.getpid(), parameters),
    ) as pool:
        for _ in pool.map(partial(_write, start, days * 86_400 / max(1, rows)), chunks):
            pass


_connection: DeadlineConnection | None = None


def _open(parent: int, parameters: dict[str, Any]) -> None:
    """Connect a worker process; it ends with its parent."""
    global _connection
    follow_parent(signal.SIGKILL, parent)
    _connection = connect(parameters, deadline_s=_DEADLINE_S, name="techno-simulate")


def _write(start: datetime, step_s: float, bounds: tuple[int, int]) -> None:
    """Make and write the rows with these numbers."""
    if _connection is None:
        raise RuntimeError("the worker process was not opened")
    chance = random.Random(secrets.randbits(64))  # noqa: S311 - made-up history, no secret
    made = [_row(chance, start + timedelta(seconds=step_s * index)) for index in range(*bounds)]
    with _connection.transaction(), _connection.cursor() as cursor:
        _copy(cursor, made)


def _copy(cursor: psycopg.Cursor[Any], made: list[tuple[str, ...]]) -> None:
    """Write companions and codes first, as the recorder's statement does, then the rows."""
    entries = []
    for row in made:
        if row[2] != "[]":
            codes = sorted(orjson.loads(row[2]))
            shared = [row[at] for at in _SHARED]
            pairs = [*((code, "") for code in codes), *combinations(codes, 2)]
            entries += [(code, also, *shared) for code, also in pairs]
    _copy_into(cursor, "audit_traces", _COLUMNS, made)
    _copy_into(
        cursor,
        "audit_trace_codes",
        ("code", "also", *(_COLUMNS[at] for at in _SHARED)),
        entries,
    )
    _copy_into(cursor, "audit_logs", _COLUMNS[:5], [row[:5] for row in made])


def _copy_into(
    cursor: psycopg.Cursor[Any], table: str, columns: Sequence[str], rows: list[tuple[str, ...]]
) -> None:
    """Copy rows of texts in which COPY finds nothing to escape."""
    names = ", ".join(f'"{name}"' for name in columns)
    with cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
        copy.write("".join(["\t".join(row) + "\n" for row in rows]))


def _row(chance: random.Random, moment: datetime) -> tuple[str, ...]:
    """Make one row of the given time, as COPY takes it."""
    unix_s = moment.timestamp()
    trace_id = _uuid7(chance, int(unix_s * 1000))
    code = chance.choice(_CODES) if chance.random() < _REFUSED else None
    ran = chance.random() < _RAN
    action, path = (chance.choice(_ACTIONS), "/api/execute") if ran else chance.choice(_READS)
    key = _KEYS[chance.getrandbits(10)]
    address = chance.getrandbits(10)
    return (
        trace_id,
        moment.isoformat(timespec="milliseconds"),
        _codes(chance, code) if code else "[]",
        f"session-{int(unix_s) // 1800 % 100_000}-{chance.getrandbits(3)}",
        f"10.{key}.{address >> 8}.{address & 0xFF}",
        (code.value.status or Status.APPROVED).value if code else "APPROVED",
        action,
        "POST" if ran else "GET",
        path,
        str(code.value.http_status or 200) if code else "200",
        _DURATIONS_MS[chance.getrandbits(10)],
        "api_key",
        f"simulated key {key}",
        f"sim{key:05d}",
        f"run_{trace_id.replace('-', '')}" if ran else _NULL,
        code.value.meaning if code else "",
        "simulated",
        "console/1.0",
        "{}",
        f"{chance.getrandbits(128):032x}",
    )


def _codes(chance: random.Random, code: ReasonCode) -> str:
    """Return the row's codes as JSON."""
    codes = {code.code}
    if chance.random() < _SECOND_CODE:
        codes.add(chance.choice(_CODES).code)
    return orjson.dumps(sorted(codes)).decode()


def _uuid7(chance: random.Random, unix_ms: int) -> str:
    value = (unix_ms << 80) | (0x7 << 76) | (chance.getrandbits(12) << 64)
    digits = f"{value | (0x2 << 62) | chance.getrandbits(62):032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
