"""The cases of the four endpoints, beside their floors."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from collections.abc import Callable
from dataclasses import replace

from benchmarks.cases import Case, Target, p50_ratio, p99_ratio, requests_ratio
from benchmarks.cpu_time import used_s
from benchmarks.load import Load, Measured, apply
from benchmarks.service import ACTION, PROGRAM, Scene, Server

APPROVED = '"status":"APPROVED"'
A, B, T, OURS = "A bare Django", "B bare DRF", "T DRF + key + ORM row", "ours"
LIMIT, VALUES, PAGED = "posix_spawn, 2 processes", "values() by hand", "CursorPagination"
READERS = 16
_SPAWNERS = 2


def cases(scene: Scene, names: tuple[str, ...], rounds: int, seconds: float) -> list[Case]:
    """Return the cases called `names` (`memory`, `execute`, `audit`)."""
    makers = {"memory": memory, "execute": execute, "audit": audit}
    return [case for name in names for case in makers[name](scene, rounds, seconds)]


def memory(scene: Scene, rounds: int, seconds: float) -> list[Case]:
    """`GET /api/memory`: key checked, row durable, the key's last run looked up."""
    targets = {
        64: [
            Target("requests/s of B", requests_ratio(OURS, B), 0.5),
            Target("requests/s of T", requests_ratio(OURS, T), 2.2),
            Target("p99 of B", p99_ratio(OURS, B), 2, at_least=False),
        ],
        1: [Target("p50 of B", p50_ratio(OURS, B), 2.5, at_least=False)],
    }

    def at(connections: int) -> Case:
        def get(server: Server, path: str, wanted: str = "") -> Callable[[], Measured]:
            return _get(scene, server, path, connections, seconds, wanted)

        return Case(
            f"GET /api/memory, {connections} connection{'s' if connections > 1 else ''}",
            {
                A: get(scene.bare, "/a"),
                B: get(scene.bare, "/b"),
                T: get(scene.team, "/memory"),
                OURS: get(scene.service, "/api/memory", APPROVED),
            },
            # With two workers, keep-alive can put all sixteen on one: reported, not judged.
            rounds if connections != 16 else max(1, rounds - 2),
            targets.get(connections, ()),
        )

    return [at(64), at(16), at(1)]


def execute(scene: Scene, rounds: int, seconds: float) -> list[Case]:
    """`POST /api/execute` of /bin/true: two commits around one process."""

    def post(connections: int) -> Callable[[], Measured]:
        load = Load(
            port=scene.service.port,
            path="/api/execute",
            connections=connections,
            seconds=seconds,
            method="POST",
            headers={"X-API-Key": scene.service.key, "Content-Type": "application/json"},
            body=json.dumps({"command": ACTION}),
            wanted=APPROVED,
        )
        return lambda: _costed(load, scene, scene.service)

    eight, one = f"{OURS}, 8 connections", f"{OURS}, 1 connection"
    return [
        Case(
            f"POST /api/execute of {PROGRAM}",
            {LIMIT: lambda: spawn_limit(seconds), eight: post(8), one: post(1)},
            rounds,
            [
                Target("8 connections, of posix_spawn", requests_ratio(eight, LIMIT), 0.3),
                Target("p50 at 1, ms", lambda each: each[one].p50_ms, 3, at_least=False),
            ],
        )
    ]


def audit(scene: Scene, rounds: int, seconds: float) -> list[Case]:
    """`GET /api/audit?limit=100` against two readers that check nothing and record nothing."""

    def get(server: Server, path: str, wanted: str = "") -> Callable[[], Measured]:
        return _get(scene, server, path, READERS, seconds, wanted)

    get(scene.service, "/api/memory")()  # so that there are more than a hundred rows
    return [
        Case(
            f"GET /api/audit?limit=100, {READERS} connections",
            {
                PAGED: get(scene.readers, "/paged"),
                VALUES: get(scene.readers, "/values"),
                OURS: get(scene.service, "/api/audit?limit=100", APPROVED),
            },
            rounds,
            [
                Target("requests/s of values()", requests_ratio(OURS, VALUES), 1.2),
                Target("requests/s of CursorPagination", requests_ratio(OURS, PAGED), 2),
            ],
        )
    ]


def _get(
    scene: Scene, server: Server, path: str, connections: int, seconds: float, wanted: str
) -> Callable[[], Measured]:
    headers = {"X-API-Key": server.key} if server.key else {}
    load = Load(server.port, path, connections, seconds, headers=headers, wanted=wanted)
    return lambda: _costed(load, scene, server)


def _costed(load: Load, scene: Scene, server: Server) -> Measured:
    """Apply a load and add what each answer cost `server` and the database."""
    web_s = used_s(server.pid, database=False)
    database_s = used_s(scene.service.pid, database=True)
    measured = apply(load)
    web_s = used_s(server.pid, database=False) - web_s
    database_s = used_s(scene.service.pid, database=True) - database_s
    answers = max(1, measured.answered)
    return replace(
        measured, web_us=web_s / answers * 1_000_000, database_us=database_s / answers * 1_000_000
    )


def spawn_limit(seconds: float) -> Measured:
    """How many processes per second two others can start and reap, doing nothing else."""
    context = multiprocessing.get_context("fork")
    counts = context.SimpleQueue()
    spawners = [
        context.Process(target=_spawn_for, args=(seconds, counts)) for _ in range(_SPAWNERS)
    ]
    for spawner in spawners:
        spawner.start()
    results = [counts.get() for _ in spawners]
    for spawner in spawners:
        spawner.join()
    latency_ms = seconds * 1000 * _SPAWNERS / sum(results)
    return Measured(sum(results) / seconds, latency_ms, latency_ms, 0)


def _spawn_for(seconds: float, counts: multiprocessing.SimpleQueue[int]) -> None:
    until, count = time.perf_counter() + seconds, 0
    while time.perf_counter() < until:
        os.waitpid(os.posix_spawn(PROGRAM, [PROGRAM], {}), 0)
        count += 1
    counts.put(count)
