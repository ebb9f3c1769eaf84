"""Reading the audit log at some size: every filter, alone and together, at several depths.

A statement is measured as the service puts it to the database: prepared, again and again, so that
a plan made for all values shows itself as well. `EXPLAIN` tells the server's own time and the plan.
"""

from __future__ import annotations

import itertools
import json
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from audit.selection import AuditQuery, Direction, Position, select
from techno.database.connection import DeadlineConnection

LIMIT = 50
REPEATS = 9
FILTERS = ("status", "action", "key", "session_id", "user_ip", "reason_code")


@dataclass(frozen=True)
class Case:
    """One question at one place of the log."""

    name: str
    place: str
    query: AuditQuery
    start: Position | None


@dataclass(frozen=True)
class Timing:
    """Milliseconds: in the server (planning and execution), and of the prepared statement."""

    server_ms: float
    prepared_ms: float
    rows: int
    plan: dict[str, Any]


def sample(connection: DeadlineConnection, depth: float) -> dict[str, str]:
    """Return the values of a row that has a reason code, ``depth`` (0 oldest, 1 newest) deep."""
    row = connection.execute(
        """WITH ends AS (SELECT min("timestamp") AS first, max("timestamp") AS last
                         FROM audit_traces)
           SELECT c.code, t.status, t.action, t.key_prefix, t.session_id, t.user_ip,
                  t."timestamp"::text, t.trace_id::text
           FROM ends, audit_trace_codes c JOIN audit_traces t USING (trace_id)
           WHERE c."timestamp" >= first + (last - first) * %s::float8
           ORDER BY c."timestamp", c.trace_id LIMIT 1""",
        [depth],
    ).fetchone()
    if row is None:
        raise RuntimeError("no row has a reason code")
    names = ("reason_code", "status", "action", "key", "session_id", "user_ip", "timestamp")
    return dict(zip((*names, "trace_id"), row, strict=True))


def cases(connection: DeadlineConnection) -> Iterator[Case]:
    """Yield every question at every place."""
    middle, old = sample(connection, 0.5), sample(connection, 0.02)
    places = {
        "newest": None,
        "middle, older": Position(middle["timestamp"], middle["trace_id"]),
        "middle, newer": Position(middle["timestamp"], middle["trace_id"], Direction.NEWER),
        "near the oldest": Position(old["timestamp"], old["trace_id"]),
        "newer than the oldest": Position(old["timestamp"], old["trace_id"], Direction.NEWER),
    }
    for name, query in questions(connection, middle):
        for place, start in places.items():
            yield Case(name, place, query, start)


def questions(
    connection: DeadlineConnection, row: dict[str, str]
) -> Iterator[tuple[str, AuditQuery]]:
    """Yield what is asked: filters with the values of one row of the log's middle."""
    plain = AuditQuery(limit=LIMIT)
    yield "all", plain
    for status in ("APPROVED", "BLOCKED", "EXPIRED", "WARNING", "NEUTRAL"):
        yield f"status={status}", replace(plain, status=status)
    for name, value in (
        ("action", "audit.read"),
        ("action", "NO_SUCH_ACTION"),
        ("key", "sim00000"),
        ("key", "sim00039"),
        ("reason_code", "G0_auth_not_configured"),
        ("reason_code", "no_such_code"),
    ):
        yield f"{name}={value}", replace(plain, **{name: value})
    for size in (1, 2, 3):
        for names in itertools.combinations(FILTERS, size):
            chosen = {name: row[name] for name in names}
            yield " + ".join(names), replace(plain, **chosen)
    yield "execution_id", replace(plain, execution_id="run_" + row["trace_id"].replace("-", ""))
    yield "trace_id", replace(plain, trace_id=row["trace_id"])
    codes = "G0_auth_not_configured,E12_timeout,G13_rate_limited"
    for both in (False, True):
        word = "all" if both else "any"
        several = replace(plain, reason_code=codes, all_codes=both)
        yield f"{word} of three codes", several
        yield f"{word} of three codes + status", replace(several, status="BLOCKED")
        yield f"{word} of three codes + key", replace(several, key=row["key"])
    yield "a minute", _minute(connection, plain, row)
    yield "a minute + status", _minute(connection, replace(plain, status="BLOCKED"), row)
    yield "until the middle", replace(_minute(connection, plain, row), since=None)


def _minute(connection: DeadlineConnection, query: AuditQuery, row: dict[str, str]) -> AuditQuery:
    since, until = connection.execute(
        "SELECT t, t + interval '1 minute' FROM (SELECT %s::timestamptz AS t) AS moment",
        [row["timestamp"]],
    ).fetchone() or (None, None)
    return replace(query, since=since, until=until)


def measure(connection: DeadlineConnection, case: Case) -> Timing:
    """Ask the question several times; the least time counts, for others use the machine too."""
    statement, parameters = select(case.query, case.start)
    explain = f"EXPLAIN (ANALYZE, TIMING OFF, BUFFERS, FORMAT JSON) {statement}"
    plans: list[dict[str, Any]] = []
    prepared: list[float] = []
    rows = 0
    for _ in range(REPEATS):
        began_s = time.perf_counter()
        rows = len(connection.execute(statement, parameters).fetchall())
        prepared.append((time.perf_counter() - began_s) * 1000)
        if len(prepared) > 1 and sum(prepared) > 3000:
            break
    for _ in range(3):
        row = connection.execute(explain, parameters, prepare=False).fetchone()
        plans.append(row[0][0] if row else {})
    best = min(plans, key=lambda plan: plan["Planning Time"] + plan["Execution Time"])
    later = prepared[5:] or prepared  # from the sixth time on a plan for all values may be used
    return Timing(
        server_ms=best["Planning Time"] + best["Execution Time"],
        prepared_ms=min(statistics.median(later), min(later) * 2),
        rows=rows,
        plan=best,
    )


def compare(
    small: DeadlineConnection, large: DeadlineConnection, plans: Path
) -> list[tuple[str, Timing, Timing]]:
    """Ask every question of a small log and of a large one in turns: the machine's load changes.

    Returns the name of each question with both timings, and writes the large log's plans.
    """
    found = [
        (f"{one.name} | {one.place}", measure(small, one), measure(large, other))
        for one, other in zip(cases(small), cases(large), strict=True)
    ]
    plans.write_text(
        json.dumps(
            {
                name: {"small_ms": few.server_ms, "ms": many.server_ms, "plan": many.plan}
                for name, few, many in found
            },
            indent=1,
        )
    )
    return found
