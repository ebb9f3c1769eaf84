"""A copy of the live keys' digests on this host, for when the database is away.

It lets a key that was live a short while ago ask for diagnostics, and nothing else, for
``KEY_SNAPSHOT_S`` seconds after the copy was made, from its networks and in its hours as ever. No
secret is in it; the file is private all the same. A revocation reaches it with the next copy.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import orjson
from django.conf import settings

from techno.access.key_format import NO_DIGEST, matches
from techno.access.known_key import COLUMNS, principal_of
from techno.access.sql import statement
from techno.database.current import store
from techno.governance.principal import Principal

FILE_MODE = 0o600
#: How often the file is looked at again while the database is away.
LOOK_EVERY_S = 1.0

_lock = threading.Lock()
_loaded: tuple[float, dict[str, Any]] = (float("-inf"), {})


def snapshot_path() -> Path:
    """Return where the copy is kept."""
    return Path(settings.VAR_DIR) / "key_snapshot.json"


def write_snapshot() -> None:
    """Copy the live keys. Raises ``StoreUnavailable`` and ``OSError``; the old copy stays then."""
    rows = store().reads.rows(statement("live_keys"))
    document = {
        "made_at": time.time(),
        "keys": {
            prefix: {
                "digest": digest,
                **dict(zip(COLUMNS, columns, strict=True)),
                "expires_at": expires,
            }
            for prefix, digest, *columns, expires in rows
        },
    }
    path = snapshot_path()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, FILE_MODE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(orjson.dumps(document))
    draft.rename(path)


def find_in_snapshot(prefix: str, digests: tuple[str, ...]) -> Principal | None:
    """Return the provisional principal of a key that was live when the copy was made.

    Costs the same for an unknown prefix. A copy that is too old, whose time lies in the future,
    or that another release wrote serves nobody.
    """
    document = _document()
    age_s = time.time() - float(document.get("made_at", 0))
    entry = document.get("keys", {}).get(prefix)
    matched = matches(digests, entry["digest"] if entry else NO_DIGEST)
    if not matched or entry is None or not 0 <= age_s <= settings.KEY_SNAPSHOT_S:
        return None
    expires_at_s = entry["expires_at"]
    if expires_at_s is not None and time.time() >= expires_at_s:
        return None
    try:
        columns = [entry[name] for name in COLUMNS]
        return principal_of(prefix, columns, expires_at_s, provisional=True)
    except (KeyError, ValueError):
        return None


def _document() -> dict[str, Any]:
    """Return the copy, read again at most once a second; empty when there is none to read."""
    global _loaded
    looked_s, document = _loaded
    if time.monotonic() - looked_s < LOOK_EVERY_S:
        return document
    with _lock:
        try:
            document = orjson.loads(snapshot_path().read_bytes())
        except (OSError, orjson.JSONDecodeError):
            document = {}
        _loaded = (time.monotonic(), document)
    return document
