"""Threads that stay with their connection for a moment, seen from outside."""

from __future__ import annotations

import json
import socket
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import IO, Any

import psutil
import pytest

from techno.processes import wait_until
from techno.web.whole_response import WHOLE_MOST_BYTES
from tests.service import Service, Services

THREADS = 2
KEPT = 8


@pytest.fixture(scope="module")
def narrow(start_service: Services) -> Iterator[Service]:
    """A service of one web process with two threads."""
    with start_service(TECHNO_WORKERS="1", TECHNO_THREADS=str(THREADS)) as service:
        yield service


@pytest.fixture(scope="module")
def asking(narrow: Service) -> bytes:
    """A request that is governed."""
    key = narrow.issue_key("--scope", "diagnostics:read")
    return f"GET /api/memory HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {key}\r\n\r\n".encode()


def _next_answer(answers: IO[bytes]) -> tuple[bytes, bytes]:
    """Read one answer: its head, and the body that the head announces."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = answers.readline()
        assert line, "the connection was closed"
        head += line
    (length,) = (
        int(line.split(b":")[1])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length:")
    )
    return head, answers.read(length)


def _answered(wire: socket.socket, asking: bytes) -> bytes:
    wire.sendall(asking)
    with wire.makefile("rb") as answers:
        head, body = _next_answer(answers)
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nServer:" not in head
    assert b"\r\nConnection: keep-alive\r\n" in head
    return body


def test_more_connections_than_threads_are_all_answered(narrow: Service, asking: bytes) -> None:
    with ExitStack() as stack:
        wires = [
            stack.enter_context(socket.create_connection((narrow.host, narrow.port), 10))
            for _ in range(THREADS * 4)
        ]
        for _ in range(5):
            for wire in wires:
                assert _answered(wire, asking)


def test_a_kept_connection_is_answered_at_once_and_after_a_while(
    narrow: Service, asking: bytes
) -> None:
    with socket.create_connection((narrow.host, narrow.port), 10) as wire:
        for pause_s in (0, 0, 0.005, 0.1, 0):
            time.sleep(pause_s)
            assert _answered(wire, asking)


def test_requests_sent_ahead_are_answered_in_order(narrow: Service, asking: bytes) -> None:
    with socket.create_connection((narrow.host, narrow.port), 10) as wire:
        wire.sendall(asking * 3 + asking.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        received = b""
        while piece := wire.recv(65_536):
            received += piece
    assert received.count(b"HTTP/1.1 200 ") == 4


def _kept(service: Service) -> dict[psutil.Process, int]:
    """The web processes of a service, each with the number of connections that it keeps."""
    return {
        process: sum(
            found.laddr.port == service.port and found.status == psutil.CONN_ESTABLISHED
            for found in process.net_connections("tcp")
        )
        for process in (psutil.Process(row.pid) for row in service.web_workers())
    }


@pytest.fixture(scope="module")
def pair(start_service: Services) -> Iterator[Service]:
    """A service of two web processes."""
    with start_service(TECHNO_WORKERS="2", TECHNO_THREADS=str(KEPT)) as service:
        yield service


def test_kept_connections_are_shared_fairly(pair: Service) -> None:
    key = pair.issue_key("--scope", "diagnostics:read")
    asking = f"GET /api/memory HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {key}\r\n\r\n".encode()
    apart = []
    for _ in range(7):
        with ExitStack() as stack:
            wires = [
                stack.enter_context(socket.create_connection((pair.host, pair.port), 10))
                for _ in range(KEPT)
            ]
            for wire in wires:
                assert _answered(wire, asking)
            counts = _kept(pair).values()
            apart.append(max(counts) - min(counts))
        assert wait_until(lambda: not any(_kept(pair).values()), 5)
    # One that is busy with other things may miss its turn; without turns 4 are the usual.
    assert statistics.median(apart) <= 2, apart


def test_a_process_that_hangs_keeps_no_connection_from_the_others(pair: Service) -> None:
    key = pair.issue_key("--scope", "diagnostics:read")
    asking = f"GET /api/memory HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {key}\r\n\r\n".encode()
    with ExitStack() as stack:
        first = stack.enter_context(socket.create_connection((pair.host, pair.port), 10))
        assert _answered(first, asking)
        (idle,) = (process for process, count in _kept(pair).items() if not count)
        idle.suspend()
        stack.callback(idle.resume)
        for _ in range(3):
            wire = stack.enter_context(socket.create_connection((pair.host, pair.port), 10))
            wire.settimeout(5)
            assert _answered(wire, asking)


def test_answers_for_which_there_is_no_room_yet_come_whole(narrow: Service, asking: bytes) -> None:
    """Some leave at once, some in parts, when the caller reads at last what it asked for."""
    key = narrow.issue_key("--scope", "audit:read")
    many = 120
    with socket.create_connection((narrow.host, narrow.port), 10) as wire:
        for _ in range(100):  # so that there are rows enough for long answers
            _answered(wire, asking)
    request = (
        f"GET /api/audit?limit=100 HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {key}\r\n\r\n".encode()
    )
    with socket.socket() as wire:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        wire.settimeout(20)
        wire.connect((narrow.host, narrow.port))
        wire.sendall(request * many)
        time.sleep(1.0)  # until nothing more fits between the two
        with wire.makefile("rb") as answers:
            for _ in range(many):
                head, body = _next_answer(answers)
                assert head.startswith(b"HTTP/1.1 200 OK\r\n")
                assert len(json.loads(body)["data"]) == 100
    assert len(body) < WHOLE_MOST_BYTES  # else gunicorn would have sent head and body by itself


def test_bodies_behind_one_head_are_each_answered_for_what_they_say(narrow: Service) -> None:
    """Together with the head, after it, in pieces, and several at once."""
    key = narrow.issue_key("--scope", "execute")
    bodies = [b'{"command":"GET_STATUS"}', b'{"command":"NO_SUCHONE"}']
    head = (
        "POST /api/execute HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"X-API-Key: {key}\r\nContent-Length: {len(bodies[0])}\r\n\r\n"
    ).encode()
    told: list[dict[str, Any]] = []

    def read(answers: IO[bytes], count: int) -> None:
        told.extend(json.loads(_next_answer(answers)[1]) for _ in range(count))

    with (
        socket.create_connection((narrow.host, narrow.port), 20) as wire,
        wire.makefile("rb") as answers,
    ):
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for body in (*bodies, *bodies):
            wire.sendall(head + body)
            read(answers, 1)
        for body in bodies:
            wire.sendall(head)
            wire.sendall(body[:5])
            wire.sendall(body[5:])
            read(answers, 1)
        wire.sendall((head + bodies[0] + head + bodies[1]) * 2)
        read(answers, 4)
    assert [each["status"] for each in told] == ["APPROVED", "BLOCKED"] * 5
    assert len({each["trace_id"] for each in told}) == len(told)
    rows = narrow.sql(
        "SELECT count(*) FROM audit_logs WHERE trace_id = ANY(%s::uuid[])",
        [[each["trace_id"] for each in told]],
    )
    assert rows == [(len(told),)]
