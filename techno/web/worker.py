"""The web process, which answers also what it cannot read: with an envelope and a row.

gunicorn refuses a request whose line, headers or framing are broken before any application sees
it, with a page of its own. Under a governed path, such a refusal must be like every other; where
the path itself could not be read, it counts as one of the API's. gunicorn's master imports this:
nothing here loads Django before a worker has.
"""

from __future__ import annotations

import select
import socket
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from gunicorn import http
from gunicorn.http import errors
from gunicorn.workers.gthread import ThreadWorker

from techno.web.balance import CONNECTIONS, NOBODY
from techno.web.incoming import PatientParser

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponseBase

    from techno.governance.verdict import Verdict

#: How long a thread waits for its connection's next request, and so the longest that a new
#: connection waits for a thread although no request is under way.
FOLLOWING_MS = 20
#: For how long a process leaves a connection to one that has fewer, and how often it looks.
GIVE_WAY_S = 0.002
GIVE_WAY_LOOK_S = 0.000_2
_UNREAD_PATH = "/api"
_TOO_LARGE = {
    errors.LimitRequestLine: HTTPStatus.REQUEST_URI_TOO_LONG,
    errors.LimitRequestHeaders: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
}


class SteadySocket(socket.socket):
    """A connection whose mode is only changed when it is another one.

    Each change is a system call for which Python gives the interpreter lock away, and gunicorn
    asks for the mode that there is already before every request.
    """

    __slots__ = ()

    def setblocking(self, flag: bool) -> None:
        """Have calls wait, or not."""
        if flag is not self.getblocking():
            super().setblocking(flag)


http.RequestParser = PatientParser


class GovernedWorker(ThreadWorker):  # type: ignore[misc]
    """gunicorn's threaded worker, whose own refusals are governed too.

    While there are no more connections than threads, a thread stays with its connection for a
    moment after each answer. gunicorn would hand the connection to the main thread, to be handed
    to a thread again with the next request: four changes of threads that cost as much processor
    time as a small request does.

    A process with more connections than another lets that one take the next (``balance``).
    ``place`` is its own among the numbers of connections, given to it by the master.
    """

    place: int | None = None
    _nr_conns = 0
    _gives_way_until_s = 0.0

    @property
    def nr_conns(self) -> int:
        """How many connections this process has; gunicorn counts them."""
        return self._nr_conns

    @nr_conns.setter
    def nr_conns(self, count: int) -> None:
        self._nr_conns = count
        if self.place is not None:
            CONNECTIONS.write(self.place, count if self.alive else NOBODY)

    def init_process(self) -> None:
        """Serve, with the settings at hand: they are read two dozen times a request."""
        for name, setting in self.cfg.settings.items():
            self.cfg.__dict__.setdefault(name, setting.get())
        self.nr_conns = 0
        super().init_process()

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Take no more connections: nobody gives way to this process any more."""
        super().handle_exit(sig, frame)
        self.nr_conns = self._nr_conns

    def accept(self, listener: Any) -> None:
        """Take a connection that has come, unless another process has fewer and takes it."""
        if self._nr_conns > CONNECTIONS.least():
            now_s = time.monotonic()
            if not self._gives_way_until_s:
                self._gives_way_until_s = now_s + GIVE_WAY_S
            if now_s < self._gives_way_until_s:
                time.sleep(GIVE_WAY_LOOK_S)
                return
        self._gives_way_until_s = 0.0
        super().accept(listener)

    def handle(self, conn: Any) -> Any:
        """Answer a request, and those that follow it closely on the same connection."""
        if type(conn.sock) is socket.socket:
            conn.sock.__class__ = SteadySocket
        kept = super().handle(conn)
        while kept is True and self._follows_soon(conn):
            kept = super().handle(conn)
        return kept

    def _follows_soon(self, conn: Any) -> bool:
        """Wait a moment for the next request; not when somebody else might need this thread."""
        if self.nr_conns > self.cfg.threads or not self.alive or conn.is_http2:
            return False
        if conn.parser.unreader.buf.getvalue():  # it is here already
            return True
        waiting = select.poll()
        waiting.register(conn.sock, select.POLLIN)
        return bool(waiting.poll(FOLLOWING_MS))

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer a governed request that could not be read; leave all else to gunicorn."""
        unread = getattr(exc, "unread_request", None)
        if unread is not None and isinstance(addr, tuple):
            answer = _answer(unread.method or "", unquote(unread.path or ""), str(addr[0]), exc)
            if answer:
                client.sendall(answer)
                return
        super().handle_error(req, client, addr, exc)


def _answer(method: str, path: str, peer: str, error: BaseException) -> bytes:
    """Record the refusal and return the whole answer, nothing for a path that is not governed."""
    from django.http import HttpRequest

    from techno.web.answers import plain_answer
    from techno.web.direct import is_governed
    from techno.web.middleware import GovernedRequests

    if path and not is_governed(path):
        return b""
    request = HttpRequest()
    request.method = method
    request.path = request.path_info = path or _UNREAD_PATH
    request.META = {"REMOTE_ADDR": peer}

    def refuse_unread(request: HttpRequest) -> HttpResponseBase:
        governed = request.governed  # type: ignore[attr-defined]
        governed.detail["unread"] = type(error).__name__
        return plain_answer(request, governed, _verdict(error))

    response: Any = GovernedRequests(refuse_unread, refuse_unread)(request)
    status = HTTPStatus(response.status_code)
    lines = [f"HTTP/1.1 {status.value} {status.phrase}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in response.items()]
    head = "\r\n".join([*lines, "", ""]).encode("ascii")
    return head if method == "HEAD" else head + bytes(response.content)


def _verdict(error: BaseException) -> Verdict:
    from techno.governance.reason_codes import ReasonCode
    from techno.governance.verdict import refuse

    too_large = _TOO_LARGE.get(type(error))
    if too_large is None:
        return refuse(
            ReasonCode.G10_BODY_PARSE_ERROR, message="The request is not well-formed HTTP."
        )
    return refuse(
        ReasonCode.G7_PAYLOAD_LIMIT,
        http_status=too_large,
        message="The request's line or headers are larger than the service accepts.",
    )
