"""Answers leave in one piece, and do not say which program answers.

gunicorn sends the head of an answer and its body one after the other. Each sending goes through
the kernel to the other side and wakes whoever waits there, for the head alone in vain.
"""

from __future__ import annotations

import re
import time
from email.utils import formatdate
from functools import cache, lru_cache
from typing import Any

from gunicorn import util
from gunicorn.http import wsgi
from gunicorn.http.wsgi import Response, base_environ

#: Joining head and body copies both: not worth it for what is sent in many packets anyway.
WHOLE_MOST_BYTES = 65_536


#: Headers of nearly every governed answer. gunicorn finds nothing wrong with them, each time.
_SOUND_HEADERS = frozenset(
    {
        ("Content-Type", "application/json"),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    }
)


_TRACE_ID = re.compile(r"[0-9a-f-]{36}")


@cache
def _base_environ(cfg: Any) -> dict[str, Any]:
    return dict(base_environ(cfg))


def copied_environ(cfg: Any) -> dict[str, Any]:
    """Return what is the same in the environment of each request; gunicorn makes it each time."""
    return _base_environ(cfg).copy()


wsgi.base_environ = copied_environ


@lru_cache(maxsize=1)
def _date(second: int) -> str:
    """Return the date of answers that leave in this second of the epoch (RFC 9110, 5.6.7)."""
    return formatdate(second, usegmt=True)


class WholeResponse(Response):  # type: ignore[misc]
    """gunicorn's writer of answers, for small ones of known length in one call."""

    headers_sent: bool

    def default_headers(self) -> list[str]:
        """Return the first lines; without who we are: it would only help to pick an exploit."""
        connection = "upgrade" if self.upgrade else "close" if self.should_close() else "keep-alive"
        major, minor = self.req.version
        lines = [
            f"HTTP/{major}.{minor} {self.status}\r\n",
            f"Date: {_date(int(time.time()))}\r\n",
            f"Connection: {connection}\r\n",
        ]
        if self.chunked:
            lines.append("Transfer-Encoding: chunked\r\n")
        return lines

    def process_headers(self, headers: Any) -> None:
        """Take the headers of the answer, those not known to be sound as gunicorn checks them."""
        for header in headers:
            name, value = header
            if header in _SOUND_HEADERS or (name == "X-Trace-Id" and _TRACE_ID.fullmatch(value)):
                self.headers.append(header)
            elif name == "Content-Length" and value.isascii() and value.isdigit():
                self.response_length = int(value)
                self.headers.append(header)
            else:
                super().process_headers((header,))

    def write(self, arg: Any) -> None:
        """Send a piece of the body, the head before it."""
        if (
            self.headers_sent
            or self.chunked
            or self._omits_body
            or not isinstance(arg, bytes)
            or len(arg) != self.response_length
            or len(arg) > WHOLE_MOST_BYTES
        ):
            super().write(arg)
            return
        lines = [*self.default_headers(), *map("%s: %s\r\n".__mod__, self.headers), "\r\n"]
        self.headers_sent = True
        self.sent = len(arg)
        util.write(self.sock, "".join(lines).encode("latin-1") + arg)
