"""The log as lines of JSON, any number of them, at flat memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import orjson

from audit.reader import LIMIT_MOST, AuditQuery, fetch_logs

MEDIA_TYPE = "application/x-ndjson"


def lines(query: AuditQuery, *, most: int | None) -> Iterator[bytes]:
    """Yield up to ``most`` entries (all for ``None``), one JSON object a line, a page at a time.

    The first page is read before anything is yielded, so that what is wrong with the question is
    told as an answer and not as a broken stream. Raises what ``fetch_logs`` raises.
    """
    left = most
    size = LIMIT_MOST if left is None else min(LIMIT_MOST, left)
    page = fetch_logs(replace(query, limit=size))

    def following() -> Iterator[bytes]:
        nonlocal page, left
        while True:
            yield b"".join(
                orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE) for entry in page.entries
            )
            if left is not None:
                left -= len(page.entries)
            if page.next is None or (left is not None and left <= 0):
                return
            size = LIMIT_MOST if left is None else min(LIMIT_MOST, left)
            page = fetch_logs(replace(query, limit=size, cursor=page.next))

    return following()
