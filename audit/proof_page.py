"""What the portal's page about the proof shows: the newest checkpoint, the keys, what waits."""

from __future__ import annotations

from typing import Any

from audit.condition import journal_condition, proof_condition
from audit.journal import JournalUnavailable
from audit.note import encode_base64
from audit.proofs import NotSealed, latest_checkpoint
from techno.database.current import store

#: Of the newest cosignatures so many are looked at, to name each witness once.
COSIGNATURES_SEEN = 50
_COSIGNATURES_SQL = """
SELECT witness, checkpoint_size, received_at FROM audit_cosignatures
ORDER BY checkpoint_size DESC, witness LIMIT %s
"""
_CHECKPOINT_SQL = "SELECT made_at FROM audit_checkpoints ORDER BY id DESC LIMIT 1"


def read_proof() -> dict[str, Any]:
    """Return the context of the page. Raises ``StoreUnavailable``."""
    return {
        "checkpoint": _checkpoint(),
        "condition": proof_condition(),
        "journal": _journal(),
        "witnesses": _witnesses(),
    }


def _checkpoint() -> dict[str, Any] | None:
    """Return the newest checkpoint; ``None`` when nothing was signed yet."""
    try:
        found = latest_checkpoint()
    except NotSealed:
        return None
    made = store().reads.row(_CHECKPOINT_SQL)
    return {
        "origin": found.checkpoint.origin,
        "size": found.checkpoint.size,
        "root": encode_base64(found.checkpoint.root),
        "note": found.note,
        "keys": [key.vkey for key in found.keys],
        "made_at": made[0] if made else None,
    }


def _journal() -> dict[str, Any]:
    """Return the journal's condition, or why it cannot be told."""
    try:
        return {"found": journal_condition()}
    except JournalUnavailable as error:
        return {"cause": str(error)}


def _witnesses() -> list[dict[str, Any]]:
    """Return what each witness has cosigned last."""
    newest: dict[str, dict[str, Any]] = {}
    for name, size, received_at in store().reads.rows(_COSIGNATURES_SQL, [COSIGNATURES_SEEN]):
        newest.setdefault(name, {"name": name, "size": size, "received_at": received_at})
    return list(newest.values())
