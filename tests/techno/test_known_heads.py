"""A head that came before on its connection: what is made of it is what gunicorn would make."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.http.parser import RequestParser
from hypothesis import given
from hypothesis import strategies as st

from techno.web import incoming

PEER = ("192.0.2.7", 40_000)
SERVER = ("127.0.0.1", 8000)
BODY = b'{"command":"GET_STATUS"}'

CONFIG = Config()
#: Each with what follows it; the lengths of bodies are right, too long or no numbers at all.
REQUESTS = (
    b"GET /api/memory?a=1 HTTP/1.1\r\nHost: a\r\nX-API-Key: one\r\n\r\n",
    b"GET /api/memory?a=1 HTTP/1.1\r\nHost: a\r\nX-API-Key: two\r\n\r\n",
    b"GET /api/%C3%A9 HTTP/1.1\r\nHost: a\r\nX-Twice: 1\r\nX-Twice: 2\r\n\r\n",
    b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.0\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    b"POST /api/execute HTTP/1.1\r\nHost: a\r\nContent-Length: 24\r\n\r\n" + BODY,
    b"POST /api/execute HTTP/1.1\r\nHost: a\r\nContent-Length: 24\r\n\r\n" + BODY.swapcase(),
    b"POST /api/execute HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 24\r\n\r\n" + BODY,
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"GET / HTTP/1.1\r\nNo name\r\n\r\n",
    b"nonsense\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: " + b"a" * 5_000 + b"\r\n\r\n",
)


class _Wire:
    """What gunicorn sends before the application is asked."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def send(self, data: bytes) -> None:
        self.sent.append(data)


def _cut(stream: bytes, sizes: Sequence[int]) -> Iterator[bytes]:
    """Yield the stream in pieces of these sizes, and the rest in one."""
    for size in sizes:
        if stream:
            yield stream[:size]
            stream = stream[size:]
    if stream:
        yield stream


def _understood(parser_class: Any, create: Any, stream: bytes, sizes: Sequence[int]) -> list[Any]:
    """Return what a connection's requests are for the application, and how the reading ends."""
    seen: list[Any] = []
    wire = _Wire()
    parser = parser_class(CONFIG, _cut(stream, sizes), PEER)
    try:
        for number, request in enumerate(parser):
            _, environ = create(request, wire, PEER, SERVER, CONFIG)
            body = environ["wsgi.input"]
            # Some applications read what they were sent, some do not.
            read = body.read() if number % 2 == 0 else b""
            told = {
                name: value
                for name, value in environ.items()
                if name not in ("wsgi.input", "wsgi.errors", "wsgi.early_hints", "gunicorn.socket")
            }
            environ["CHANGED"] = environ["REQUEST_METHOD"] = "by the application"
            seen.append((told, read, request.should_close(), request.version, request.req_number))
    except Exception as error:
        seen.append(type(error))
    return [*seen, wire.sent]


@given(
    st.lists(st.sampled_from(REQUESTS), min_size=1, max_size=3).flatmap(
        lambda few: st.lists(st.sampled_from(few), max_size=12)
    ),
    st.lists(st.integers(1, 400), max_size=30),
)
def test_a_connection_is_understood_as_gunicorn_understands_it(
    requests: list[bytes], sizes: list[int]
) -> None:
    stream = b"".join(requests)
    ours = _understood(incoming.PatientParser, incoming.create, stream, sizes)
    assert ours == _understood(RequestParser, incoming._gunicorn_create, stream, sizes)


def _parser(*pieces: bytes) -> incoming.PatientParser:
    return incoming.PatientParser(CONFIG, iter(pieces), PEER)


def test_a_head_is_taken_apart_once(monkeypatch: pytest.MonkeyPatch) -> None:
    taken_apart = []
    parse = incoming.RememberedRequest._parse_python

    def counted(self: Any, *args: Any) -> Any:
        taken_apart.append(self)
        return parse(self, *args)

    monkeypatch.setattr(incoming.RememberedRequest, "_parse_python", counted)
    post, other = REQUESTS[8], REQUESTS[9]
    bodies = [request.body.read() for request in _parser(post, other, post + other, post)]
    assert bodies == [BODY, BODY.swapcase(), BODY, BODY.swapcase(), BODY]
    assert len(taken_apart) == 1


def test_a_request_goes_with_its_answer() -> None:
    """What is remembered of its head holds nothing of the request."""
    parser = _parser(*[REQUESTS[8]] * 4)
    asked = []
    gc.disable()
    try:
        for request in parser:
            asked.append(weakref.ref(request))
            incoming.create(request, _Wire(), PEER, SERVER, CONFIG)
        parser.mesg = None
        del request
        assert [ask() for ask in asked] == [None] * 4
    finally:
        gc.enable()


def test_no_more_heads_are_remembered_than_a_few() -> None:
    heads = [f"GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n".encode() for number in range(50)]
    parser = _parser(*heads)
    assert [request.path for request in parser] == [f"/{number}" for number in range(50)]
    assert list(parser._known) == heads[-incoming.HEADS_REMEMBERED :]


def test_long_heads_are_not_remembered() -> None:
    parser = _parser(REQUESTS[-1] * 2)
    assert len(list(parser)) == 2
    assert not parser._known
