"""What strangers cost: 10,000 wrong keys from one address, and how long a wrong key takes.

``python -m benchmarks.access_strangers flood`` measures a good key alone, and while wrong ones come
from the same address; ``… timing`` measures refusals of a known prefix with a wrong secret beside
those of an unknown prefix, in turns, and compares their distributions; ``… cost`` measures what
both sorts of request cost in processor time.
"""

from __future__ import annotations

import json
import socket
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor

import httpx

from benchmarks import service
from benchmarks.access_scene import Measured, measured
from benchmarks.cpu_time import used_s
from techno.access.key_format import make_key
from techno.governance.key_text import checksum

WRONG = 10_000
#: Requests with the good key on one connection, alone and beside strangers alike.
GOOD = 20
TURNS = 12
TURN_S = 2.0
SNAPSHOT_S = 13.0
TRIES = 4_000
COUNTED = 2_000
PATH = "/api/whoami"
#: Wrong keys a second: what a single stranger may send without filling the processors himself.
PACES = (200, 500)
_ROWS = "SELECT count(*) FROM audit_logs"


def count_rows(scene: Measured) -> int:
    """Return how many audit rows there are."""
    code = f"from techno.database.current import store\nprint(store().reads.row({_ROWS!r})[0])"
    return int(service.manage(scene.environment, "shell", "-v", "0", "-c", code).splitlines()[-1])


def good_key(scene: Measured, requests: int) -> list[float]:
    """Return how many milliseconds each request with the good key took."""
    times = []
    with httpx.Client(base_url=scene.url, headers={"X-API-Key": scene.key}) as client:
        for _ in range(requests):
            begun_s = time.perf_counter()
            assert client.get(PATH).status_code == 200
            times.append((time.perf_counter() - begun_s) * 1000)
    return times


def strangers(url: str, pace: float, seconds: float, most: int) -> dict[int, int]:
    """Send wrong keys, each another one, at this pace; return how often each status came.

    The requests are made beforehand: real strangers use processors of their own.
    """
    told: dict[int, int] = {}
    host, _, port = url.removeprefix("http://").partition(":")
    requests = [
        f"GET {PATH} HTTP/1.1\r\nHost: {host}\r\nX-API-Key: {make_key().text}\r\n\r\n".encode()
        for _ in range(min(most, WRONG))
    ]
    begun_s = time.perf_counter()
    with socket.create_connection((host, int(port))) as connection:
        for number in range(most):
            connection.sendall(requests[number % len(requests)])
            status = _status(connection)
            told[status] = told.get(status, 0) + 1
            ahead_s = begun_s + (number + 1) / pace - time.perf_counter()
            if ahead_s > 0:
                time.sleep(ahead_s)
            if time.perf_counter() - begun_s > seconds:
                break
    return told


def _status(connection: socket.socket) -> int:
    """Read one answer, whole, and return its status."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += _piece(connection)
    head, _, body = received.partition(b"\r\n\r\n")
    left = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]) - len(body)
    while left > 0:
        left -= len(_piece(connection))
    return int(head[9:12])


def _piece(connection: socket.socket) -> bytes:
    piece = connection.recv(65_536)
    if not piece:
        raise ConnectionError("the service closed the connection")
    return piece


def summary(times: list[float]) -> dict[str, float]:
    """Return the figures of a series."""
    parts = statistics.quantiles(times, n=100)
    return {
        "mean_ms": round(statistics.fmean(times), 3),
        "p50_ms": round(parts[49], 3),
        "p99_ms": round(parts[98], 3),
    }


def flood() -> None:
    """Measure the good key alone, then beside strangers; and count the rows of 10,000 of them.

    The strangers are a process of their own. Turns are short and many: the machine has other
    work, and what that changes from one minute to the next must not be taken for an effect.
    """
    with measured() as scene, ProcessPoolExecutor(1) as elsewhere:
        time.sleep(SNAPSHOT_S)  # until the host's copy of live keys has the good one
        elsewhere.submit(strangers, scene.url, 1e9, 3.0, 100).result()
        good_key(scene, 300)
        for pace in PACES:
            alone: list[float] = []
            beside: list[float] = []
            told: dict[int, int] = {}
            slower: list[float] = []
            for turn in range(TURNS):
                quiet, crowded = list[float](), list[float]()
                for is_crowded in (turn % 2 == 0, turn % 2 != 0):
                    if not is_crowded:
                        ends_at_s = time.perf_counter() + TURN_S
                        while time.perf_counter() < ends_at_s:
                            quiet += good_key(scene, GOOD)
                        continue
                    sending = elsewhere.submit(strangers, scene.url, pace, TURN_S, WRONG)
                    while not sending.done():
                        crowded += good_key(scene, GOOD)
                    for status, count in sending.result().items():
                        told[status] = told.get(status, 0) + count
                slower.append(100 * (statistics.median(crowded) / statistics.median(quiet) - 1))
                alone += quiet
                beside += crowded
            found = {"alone": summary(alone), "beside": summary(beside), "statuses": told}
            print(json.dumps({"pace": pace, **found,
                              "slower_percent": round(statistics.median(slower), 1),
                              "lowest": round(min(slower), 1), "highest": round(max(slower), 1)}),
                  flush=True)  # fmt: skip
        before = count_rows(scene)
        begun_s = time.perf_counter()
        told = elsewhere.submit(strangers, scene.url, 1e9, 600.0, WRONG).result()
        took_s = time.perf_counter() - begun_s
        added = count_rows(scene) - before
        print(json.dumps({"wrong": WRONG, "took_s": round(took_s, 1), "statuses": told,
                          "rows": added}), flush=True)  # fmt: skip


def cost() -> None:
    """Measure what a good request and a stranger's cost the service in processor time.

    That does not depend on what else the machine does: at so many strangers a second, theirs is
    the share of the processors that a good key no longer has.
    """
    with measured(TECHNO_WORKERS="1") as scene:
        good_key(scene, 300)
        strangers(scene.url, 1e9, 600.0, 100)  # from here on they are refused unread
        found = {}
        for name, ask in (
            ("good", lambda: good_key(scene, COUNTED)),
            ("stranger", lambda: strangers(scene.url, 1e9, 50.0, COUNTED)),
            ("nothing", lambda: time.sleep(5)),
        ):
            before = [used_s(scene.pid, database=which) for which in (False, True)]
            ask()
            after = [used_s(scene.pid, database=which) for which in (False, True)]
            service_s, database_s = (b - a for a, b in zip(before, after, strict=True))
            found[name] = {"service_us": round(service_s / COUNTED * 1e6),
                           "database_us": round(database_s / COUNTED * 1e6)}  # fmt: skip
        print(json.dumps({"each_of": COUNTED, **found}))


def timing() -> None:
    """Measure both refusals in turns, with the limit on refusals out of the way."""
    with measured(TECHNO_REFUSALS_A_MINUTE_MOST="1000000", TECHNO_WORKERS="1") as scene:
        prefix = scene.key.split("_")[1]
        known, unknown = [], []
        with httpx.Client(base_url=scene.url) as client:
            for turn in range(2 * TRIES + 400):
                text = make_key().text
                if turn % 2:
                    body = f"techno_{prefix}_{text.split('_')[2][:43]}"
                    text = body + checksum(body)
                begun_s = time.perf_counter()
                assert client.get(PATH, headers={"X-API-Key": text}).status_code == 401
                took_ms = (time.perf_counter() - begun_s) * 1000
                if turn >= 400:
                    (known if turn % 2 else unknown).append(took_ms)
        print(json.dumps({"known prefix": summary(known), "unknown prefix": summary(unknown),
                          "tries_each": TRIES, **compared(known, unknown)}))  # fmt: skip


def compared(one: list[float], other: list[float]) -> dict[str, float]:
    """Return how far two series are apart: Kolmogorov and Smirnov's distance, and Mann-Whitney's.

    At 4,000 each, a distance below 0.0304 is what two samples of one distribution show 95 times
    of 100; ``chance`` is how often one of the first is above one of the second, 0.5 for equals.
    """
    merged = sorted([(value, 0) for value in one] + [(value, 1) for value in other])
    seen, distance, below = [0, 0], 0.0, 0
    for _, which in merged:
        seen[which] += 1
        if which == 0:
            below += seen[1]
        distance = max(distance, abs(seen[0] / len(one) - seen[1] / len(other)))
    chance = below / (len(one) * len(other))
    spread = (1 / len(one) + 1 / len(other)) / 12
    return {
        "ks_distance": round(distance, 4),
        "ks_limit_95": round(1.358 * (1 / len(one) + 1 / len(other)) ** 0.5, 4),
        "chance": round(chance, 4),
        "z": round((chance - 0.5) / spread**0.5, 2),
    }


if __name__ == "__main__":
    {"flood": flood, "timing": timing, "cost": cost}[sys.argv[1]]()
