"""Following the log as it grows, without gap or repetition.

Times are no order to follow by: a request that arrived earlier can commit later. The leaves are:
they are numbered after the commit, densely. So a follower's position is a number of leaves, and
a row reaches it about a second after its commit, when it is sealed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.core import signing

from audit.reader import AuditQuery, BadCursor, Page, entry
from audit.selection import COLUMNS, equal_conditions
from audit.tree import tree_size
from techno.database.current import store

WAIT_MOST_S = 10
LOOK_EVERY_S = 0.5
_CURSOR_SALT = "audit.tail"
_PREFIX = "t."


class Followers:
    """How many requests may wait for news at once in this process.

    Whoever waits holds a thread; followers get a share of them and no more, so that they never
    starve the requests that decide something.
    """

    def __init__(self, most: int) -> None:
        self._room = threading.Semaphore(most)

    @contextmanager
    def admitted(self) -> Iterator[bool]:
        """Say whether there is room to wait; without it the answer is what there is now."""
        admitted = self._room.acquire(blocking=False)
        try:
            yield admitted
        finally:
            if admitted:
                self._room.release()


def is_tail_cursor(cursor: str) -> bool:
    """Whether ``cursor`` came from a followed page."""
    return cursor.startswith(_PREFIX)


def encode_tail(size: int) -> str:
    """Return the cursor of a follower that has seen the first ``size`` leaves."""
    return _PREFIX + signing.Signer(salt=_CURSOR_SALT, sep=".").sign(str(size))


def decode_tail(cursor: str) -> int:
    """Return how many leaves a follower has seen. Raises :class:`BadCursor`."""
    try:
        text = signing.Signer(salt=_CURSOR_SALT, sep=".").unsign(cursor.removeprefix(_PREFIX))
        return int(text)
    except (signing.BadSignature, ValueError) as error:
        raise BadCursor("cursor must be one that this service returned") from error


def follow(query: AuditQuery, *, wait_s: float, followers: Followers) -> Page:
    """Return what was sealed after the cursor, waiting up to ``wait_s`` for something to come.

    Without a cursor following begins now. ``Page.next`` is where to go on; it is never ``None``.
    Raises :class:`BadCursor` and ``StoreUnavailable``.
    """
    seen = decode_tail(query.cursor) if query.cursor else tree_size(store().reads.rows)
    with followers.admitted() as admitted:
        ends_at_s = time.monotonic() + (wait_s if admitted else 0)
        while True:
            page = _sealed_since(query, seen)
            if page.entries or time.monotonic() >= ends_at_s:
                return page
            seen = decode_tail(page.next or "")
            time.sleep(min(LOOK_EVERY_S, max(0.0, ends_at_s - time.monotonic())))


def _sealed_since(query: AuditQuery, seen: int) -> Page:
    """Return the entries among the next ``limit`` leaves that match, newest first.

    The range of leaves is bounded, not the number of matches: a follower of something rare
    moves on through what it does not want.
    """
    size = tree_size(store().reads.rows)
    end = min(size, seen + query.limit)
    if end <= seen:
        return Page([], encode_tail(seen))
    conditions, values = equal_conditions(query)
    rows = store().reads.rows(
        f"SELECT {COLUMNS} FROM audit_leaves f "  # noqa: S608 - values are parameters
        "JOIN audit_traces t ON t.trace_id = f.trace_id "
        "WHERE f.leaf_index >= %s AND f.leaf_index < %s"
        + "".join(f" AND {condition}" for condition in conditions)
        + " ORDER BY f.leaf_index DESC",
        [seen, end, *values],
    )
    return Page([entry(row) for row in rows], encode_tail(end))
