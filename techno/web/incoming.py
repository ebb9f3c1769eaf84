"""How requests are read from a connection.

Consoles and agents keep their connections and send the same request line and headers again and
again. What gunicorn made of them once is true of the same bytes on the same connection: it is
remembered there, and taken apart no more. The memory ends with the connection and knows nothing of
any other.
"""

from __future__ import annotations

import io
from typing import Any

from gunicorn.http import errors, wsgi
from gunicorn.http.body import Body, LengthReader
from gunicorn.http.message import Request
from gunicorn.http.parser import RequestParser

#: Different heads that a connection remembers, and how long one may be. Four of 1.7 kB with 25
#: headers each were measured to take 42 kB.
HEADS_REMEMBERED = 4
HEAD_MOST_BYTES = 2_048
_END = b"\r\n\r\n"


class ArrivedBody(io.BytesIO):
    """A body that came whole with its head: reading it never waits."""

    has_arrived = True


class RememberedRequest(Request):  # type: ignore[misc]
    """A request that tells how far it was read when reading it failed.

    Its body tells as ``has_arrived`` whether reading it would never wait: small ones come with
    the head. ``known_head`` is set where the head came before.
    """

    known_head: KnownHead | None = None
    _closes: bool | None = None

    def __init__(self, *args: Any) -> None:
        """Read line and headers; what is raised carries this request."""
        try:
            super().__init__(*args)
        except errors.ParseException as error:
            error.unread_request = self
            raise
        reader = self.body.reader
        self.body.has_arrived = isinstance(reader, LengthReader) and reader.length <= len(
            self.unreader.buf.getvalue()
        )

    def should_close(self) -> bool:
        """Whether no other request follows on the connection. gunicorn asks three times."""
        if self._closes is None or self.must_close:
            self._closes = bool(super().should_close())
        return self._closes

    def _peer_is_trusted_proxy(self) -> bool:
        """Without trusted proxies no peer is one; gunicorn would take its address apart first."""
        if not self.cfg.forwarded_allow_ips and isinstance(self.peer_addr, tuple):
            return False
        return bool(super()._peer_is_trusted_proxy())


class KnownHead:
    """A request line with its headers, and what gunicorn made of these bytes on this connection.

    ``environ`` is what they become for the application, once somebody asked for it.
    """

    __slots__ = ("_found", "_length", "environ")

    def __init__(self, request: RememberedRequest) -> None:
        """Take over from a request that was just read and that nobody saw yet."""
        self._found = request.__dict__.copy()
        self._length: int = self._found.pop("body").reader.length
        self.environ: dict[str, Any] | None = None

    def again(self, unreader: Any, behind: bytes, number: int) -> RememberedRequest:
        """Return the connection's next request, whose head this is; ``behind`` came after it."""
        request = RememberedRequest.__new__(RememberedRequest)
        request.__dict__.update(self._found)
        request.known_head, request.req_number = self, number
        if len(behind) >= self._length:
            request.body = ArrivedBody(behind[: self._length])
            if len(behind) > self._length:
                unreader.unread(behind[self._length :])
        else:
            if behind:
                unreader.unread(behind)
            request.body = Body(LengthReader(unreader, self._length))
        return request


class PatientParser(RequestParser):  # type: ignore[misc]
    """Reads the requests of a connection, and leaves the socket alone where there is no need."""

    mesg_class = RememberedRequest
    mesg: Any

    def __init__(self, *args: Any) -> None:
        """Read from a connection that has just come."""
        super().__init__(*args)
        self._known: dict[bytes, KnownHead] = {}
        self._may_remember = self.cfg.proxy_protocol == "off"

    def finish_body(self, deadline: float | None = None, max_bytes: int | None = None) -> bool:
        """Discard what was not read of the body. Whether all of it was found, as in gunicorn."""
        body = self.mesg.body if self.mesg else None
        if type(body) is ArrivedBody:
            return True
        if body is not None and not body.failed:
            reader = body.reader
            if isinstance(reader, LengthReader) and reader.length == 0:
                return True
        return bool(super().finish_body(deadline, max_bytes))

    def __next__(self) -> Any:
        """Return the next request, or end where none may follow, as in gunicorn."""
        before = self.mesg
        if before is not None and (before.should_close() or not self.finish_body()):
            raise StopIteration
        data = self.unreader.read()
        if not data:
            raise StopIteration
        self.req_count += 1
        end = data.find(_END) + len(_END)
        known = self._known.get(data[:end])
        if known is not None:
            self.mesg = known.again(self.unreader, data[end:], self.req_count)
            return self.mesg
        self.unreader.unread(data)
        self.mesg = self.mesg_class(self.cfg, self.unreader, self.source_addr, self.req_count)
        if self._may_remember and len(_END) <= end <= HEAD_MOST_BYTES:
            self._remember(data[:end], data[end:])
        return self.mesg

    next = __next__

    def _remember(self, head: bytes, behind: bytes) -> None:
        """Keep what ``head`` became, if nothing but these bytes had a part in it."""
        request = self.mesg
        if (
            not isinstance(request.body.reader, LengthReader)  # it was sent in chunks
            or request._expected_100_continue
            or request.should_close()
            or self.unreader.buf.getvalue() != behind
        ):
            return
        if len(self._known) >= HEADS_REMEMBERED:
            del self._known[next(iter(self._known))]
        self._known[head] = KnownHead(request)


_gunicorn_create = wsgi.create


def create(req: Any, sock: Any, client: Any, server: Any, cfg: Any, **others: Any) -> Any:
    """Return a request's response and environment, as gunicorn makes them."""
    known = getattr(req, "known_head", None)
    if known is None or others:
        return _gunicorn_create(req, sock, client, server, cfg, **others)
    if known.environ is None:
        response, environ = _gunicorn_create(req, sock, client, server, cfg)
        # Without what is one request's own, which knows that request, and it its head.
        kept = known.environ = environ.copy()
        del kept["wsgi.input"], kept["wsgi.early_hints"]
        return response, environ
    response = wsgi.Response(req, sock, cfg)
    environ = known.environ.copy()
    environ["wsgi.input"] = req.body
    environ["wsgi.early_hints"] = wsgi._make_early_hints_callback(req, sock, response)
    return response, environ


wsgi.create = create
