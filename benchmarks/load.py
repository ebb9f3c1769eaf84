"""A closed-loop HTTP load generator: one process, one epoll loop, the standard library only.

Each connection sends its next request as soon as the last answer is complete. The request's bytes
are made once; of an answer only the status line, Content-Length and one wanted piece of text are
looked at. Run as a program it reads a `Load` as JSON on stdin and writes a `Measured` to stdout.
"""

from __future__ import annotations

import json
import select
import socket
import subprocess
import sys
import time
from array import array
from dataclasses import asdict, dataclass, field

_CONNECT_LIMIT_S = 10.0
_POLL_S = 0.5
_RECEIVE_BYTES = 262_144
_OUTPUT_LIMIT_S = 120.0


@dataclass(frozen=True)
class Load:
    """What to send, and how hard: `wanted` must stand in every good answer (empty: any 2xx)."""

    port: int
    path: str
    connections: int
    seconds: float
    warm_up_s: float = 0.3
    method: str = "GET"
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    wanted: str = ""

    def request(self) -> bytes:
        """Return the bytes of one request."""
        lines = [f"{self.method} {self.path} HTTP/1.1", f"Host: 127.0.0.1:{self.port}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        if self.body:
            lines.append(f"Content-Length: {len(self.body.encode())}")
        return ("\r\n".join(lines) + "\r\n\r\n" + self.body).encode()


@dataclass(frozen=True)
class Measured:
    """What came of it. `generator_share` is the generator's own use of one core.

    `answered` counts those of the warm-up too. `web_us` and `database_us` are the processor
    microseconds of each request, filled in by who knows the server's processes.
    """

    requests_per_s: float
    p50_ms: float
    p99_ms: float
    errors: int
    answered: int = 0
    generator_share: float = 0.0
    web_us: float = 0.0
    database_us: float = 0.0


def apply(load: Load) -> Measured:
    """Run `load` in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-I", __file__],
        input=json.dumps(asdict(load)),
        capture_output=True,
        text=True,
        timeout=load.seconds + load.warm_up_s + _OUTPUT_LIMIT_S,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"the load generator failed: {done.stderr.strip()[-500:]}")
    return Measured(**json.loads(done.stdout))


class _Connection:
    """One socket and what has come of its current answer."""

    __slots__ = ("awaited", "received", "sent_at", "socket")

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), _CONNECT_LIMIT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.received = b""
        self.awaited = 0
        self.sent_at = 0.0


class _Generator:
    """All connections of one load."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._request = load.request()
        self._wanted = load.wanted.encode()
        self._poll = select.epoll()
        self._open: dict[int, _Connection] = {}
        self._latencies_s = array("d")
        self._errors = 0

    def run(self) -> Measured:
        for _ in range(self._load.connections):
            self._connect()
        for connection in list(self._open.values()):
            self._send(connection)
        self._drive(time.perf_counter() + self._load.warm_up_s)
        warmed_up = len(self._latencies_s)
        self._latencies_s, self._errors = array("d"), 0
        cpu_s, began_at = time.process_time(), time.perf_counter()
        self._drive(began_at + self._load.seconds)
        took_s, cpu_s = time.perf_counter() - began_at, time.process_time() - cpu_s
        ordered = sorted(self._latencies_s)
        return Measured(
            requests_per_s=len(ordered) / took_s,
            p50_ms=_quantile_ms(ordered, 0.50),
            p99_ms=_quantile_ms(ordered, 0.99),
            errors=self._errors,
            answered=len(ordered) + warmed_up,
            generator_share=cpu_s / took_s,
        )

    def _connect(self) -> _Connection:
        connection = _Connection(self._load.port)
        self._open[connection.socket.fileno()] = connection
        self._poll.register(connection.socket, select.EPOLLIN)
        return connection

    def _send(self, connection: _Connection) -> None:
        connection.received, connection.awaited = b"", 0
        connection.sent_at = time.perf_counter()
        if connection.socket.send(self._request) != len(self._request):
            raise RuntimeError("the request does not fit into the socket's buffer")

    def _drive(self, until: float) -> None:
        """Answer and send on until that moment; answers under way then are left for the next."""
        clock, opened, poll = time.perf_counter, self._open, self._poll
        latencies_s, wait = self._latencies_s, _POLL_S
        while clock() < until:
            for descriptor, _ in poll.poll(wait):
                connection = opened[descriptor]
                try:
                    data = connection.socket.recv(_RECEIVE_BYTES)
                except (ConnectionError, BlockingIOError):
                    data = b""
                if not data:
                    self._replace(connection)
                    continue
                data = connection.received = connection.received + data
                if not connection.awaited:
                    connection.awaited = _length_of_answer(data)
                if not connection.awaited or len(data) < connection.awaited:
                    continue
                latencies_s.append(clock() - connection.sent_at)
                if not data.startswith(b"HTTP/1.1 2") or self._wanted not in data:
                    self._errors += 1
                self._send(connection)

    def _replace(self, connection: _Connection) -> None:
        """The server closed: an error, and a new connection in its place."""
        self._errors += 1
        del self._open[connection.socket.fileno()]
        self._poll.unregister(connection.socket)
        connection.socket.close()
        self._send(self._connect())


def _length_of_answer(data: bytes) -> int:
    """Return how many bytes the answer has with its head, 0 while the head is incomplete."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return 0
    at = data.find(b"Content-Length: ", 0, end)
    if at < 0:
        raise RuntimeError("the answer has no Content-Length")
    at += len(b"Content-Length: ")
    return end + 4 + int(data[at : data.find(b"\r\n", at)])


def _quantile_ms(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000 if ordered else 0.0


if __name__ == "__main__":
    measured = _Generator(Load(**json.load(sys.stdin))).run()
    json.dump(asdict(measured), sys.stdout)
