"""Requests that no HTTP library would send, over a plain socket."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterable
from datetime import timedelta
from urllib.parse import urlsplit

import httpx

from tests.service import Service

ANSWER_LIMIT_S = 20.0


def ask(
    service: Service,
    method: str,
    target: str,
    headers: Iterable[tuple[str, str | bytes]] = (),
    body: bytes = b"",
    *,
    hang_up: bool = False,
) -> httpx.Response:
    """Send exactly this and return the answer. ``hang_up`` sends no more once all is sent.

    Nothing is added but ``Host``: no length, no encoding, no key.
    """
    lines = [f"{method} {target} HTTP/1.1".encode("latin-1"), b"Host: localhost"]
    for name, value in headers:
        raw = value if isinstance(value, bytes) else value.encode("latin-1")
        lines.append(name.encode("latin-1") + b": " + raw)
    return send(service, b"\r\n".join(lines) + b"\r\n\r\n" + body, hang_up=hang_up)


def send(service: Service, request: bytes, *, hang_up: bool = False) -> httpx.Response:
    """Send these bytes and return the answer."""
    words = request.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
    method, target = words[0], words[1] if len(words) > 1 else ""
    with socket.create_connection((service.host, service.port), timeout=ANSWER_LIMIT_S) as wire:
        wire.sendall(request)
        if hang_up:
            wire.shutdown(socket.SHUT_WR)
        answer = http.client.HTTPResponse(wire, method=method)
        answer.begin()
        content = answer.read()
    path = urlsplit(target).path
    if (
        not path.startswith("/") or ".." in path
    ):  # which httpx would resolve, and the server does not
        path = "/"
    response = httpx.Response(
        answer.status,
        headers=answer.getheaders(),
        content=content,
        request=httpx.Request(method, f"{service.url}{path}"),
    )
    response.elapsed = timedelta()  # which schemathesis wants to know
    return response


def execute(
    service: Service,
    body: bytes,
    *headers: tuple[str, str | bytes],
    length: int | str | None = None,
    media_type: str = "application/json",
    hang_up: bool = False,
) -> httpx.Response:
    """Send ``body`` to execute with the first key; ``length`` is what Content-Length claims."""
    return ask(
        service,
        "POST",
        "/api/execute",
        [
            ("X-API-Key", service.key),
            ("Content-Type", media_type),
            ("Content-Length", str(len(body) if length is None else length)),
            *headers,
        ],
        body,
        hang_up=hang_up,
    )
