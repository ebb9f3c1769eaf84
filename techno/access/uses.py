"""When a key was used last, from where and by what: noted at most once a minute."""

from __future__ import annotations

import time

from techno.access.sql import statement
from techno.database.current import store
from techno.database.errors import StoreError
from techno.gate import Governed

EVERY_S = 60.0
REMEMBERED_MOST = 4096
_noted: dict[str, float] = {}


def note_use(governed: Governed) -> None:
    """Note that the act's key is used; a store that is away is no reason to refuse anybody."""
    prefix = governed.principal.identity
    now_s = time.monotonic()
    if now_s - _noted.get(prefix, -EVERY_S) < EVERY_S:
        return
    if len(_noted) >= REMEMBERED_MOST:
        _noted.clear()
    _noted[prefix] = now_s
    trace = governed.trace
    try:
        store().reads.rows(statement("touch_key"), [trace.client_address, trace.user_agent, prefix])
    except StoreError:
        _noted.pop(prefix, None)
