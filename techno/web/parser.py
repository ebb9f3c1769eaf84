"""Reading a request body: bounded, within a deadline, and strictly JSON."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from gunicorn.http.errors import ParseException
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

from techno.governance.reason_codes import ReasonCode
from techno.governance.verdict import refuse
from techno.web.exceptions import Refused

#: A caller that announced a body must deliver it within this time.
BODY_READ_S = 5.0
CHUNK_BYTES = 65_536
MISSING = "The body is shorter than its Content-Length says."


class _Duplicate(ValueError):
    """A JSON object names the same key twice."""


class StrictJSONParser(BaseParser):
    """JSON as the contract wants it: UTF-8, one value, no duplicate keys, no NaN."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        """Return the parsed body. Raises ``ParseError`` (G10) and ``Refused`` (G7)."""
        request = parser_context["request"]._request
        return parse_json(read_body(request))


def read_body(request: Any) -> bytes:
    """Return the whole body, announced by Content-Length or sent in chunks.

    Raises :class:`Refused` when it is over the limit, ``ParseError`` when it ends early or does
    not arrive in time.
    """
    limit = settings.BODY_LIMIT_BYTES
    environ = request.META
    chunked = "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower()
    announced = None if chunked else int(environ.get("CONTENT_LENGTH") or 0)
    if announced is not None and announced > limit:
        raise too_large(limit)
    stream = environ["wsgi.input"]
    # Nothing is to be waited for when the body came with the head (techno.web.incoming).
    has_arrived = getattr(stream, "has_arrived", False)
    socket = None if has_arrived else environ.get("gunicorn.socket")
    before = socket.gettimeout() if socket is not None else None
    try:
        if socket is not None:
            socket.settimeout(BODY_READ_S)
        body = _read(stream, limit + 1 if announced is None else announced)
    except TimeoutError as error:
        raise ParseError("The body did not arrive in time.") from error
    except (OSError, ParseException) as error:
        raise ParseError("The body could not be read to its end.") from error
    finally:
        if socket is not None:
            socket.settimeout(before)
    if len(body) > limit:
        raise too_large(limit)
    if announced is not None and len(body) < announced:
        raise ParseError(MISSING)
    return body


def _read(stream: Any, size: int) -> bytes:
    """Read up to ``size`` bytes, or to the end."""
    parts: list[bytes] = []
    while size > 0:
        part = stream.read(min(size, CHUNK_BYTES))
        if not part:
            break
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def too_large(limit: int) -> Refused:
    """The refusal of a body over ``limit`` bytes."""
    return Refused(
        refuse(
            ReasonCode.G7_PAYLOAD_LIMIT,
            message=f"The request body is larger than {limit} bytes.",
        )
    )


def parse_json(body: bytes) -> Any:
    """Return the JSON value in ``body``. Raises ``ParseError`` naming the rule it breaks."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ParseError("The body is not valid UTF-8.") from error
    try:
        return _DECODER.decode(text)
    except _Duplicate as error:
        raise ParseError(f"The body is ambiguous: {error}.") from error
    except RecursionError as error:
        raise ParseError("The body is nested too deeply.") from error
    except ValueError as error:
        raise ParseError("The body is not valid JSON.") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Duplicate("an object names one key twice")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


#: Made once: ``json.loads`` with such rules would make one for each body.
_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant)
