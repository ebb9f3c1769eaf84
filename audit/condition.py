"""How the log is: what waits where, since when, and whether signing goes on."""

from __future__ import annotations

import time
from dataclasses import dataclass

from audit import spill
from audit.keeper import signing_directory
from audit.tree import waiting
from techno.database.current import store

_SQL = """
SELECT (SELECT size FROM audit_tree),
       c.size, extract(epoch FROM now() - c.made_at)::float8
FROM (SELECT 1) AS always
LEFT JOIN LATERAL (
    SELECT size, made_at FROM audit_checkpoints ORDER BY id DESC LIMIT 1) c ON true
"""


@dataclass(frozen=True, slots=True)
class JournalCondition:
    """What waits in this host's journal; ``oldest_s`` and ``last_replay_s`` are ages."""

    records: int
    bytes: int
    oldest_s: float | None
    last_replay_s: float | None
    damaged_segments: int
    has_reserve: bool


@dataclass(frozen=True, slots=True)
class ProofCondition:
    """How far sealing and signing are; ``refusal`` tells why nothing is signed, if so."""

    sealed_rows: int
    unsealed_rows: int
    unsealed_s: float
    signed_rows: int | None
    signed_s: float | None
    refusal: str


def journal_condition() -> JournalCondition:
    """Return the journal's condition; it needs no database. Raises ``JournalUnavailable``."""
    depth = spill.depth()
    now = time.time()
    return JournalCondition(
        records=depth.records,
        bytes=depth.bytes,
        oldest_s=None if depth.oldest is None else max(0.0, now - depth.oldest),
        last_replay_s=None if depth.last_replay is None else max(0.0, now - depth.last_replay),
        damaged_segments=depth.damaged_segments,
        has_reserve=depth.has_reserve,
    )


def proof_condition() -> ProofCondition:
    """Return how far the proof is. Raises ``StoreUnavailable``."""
    query = store().reads.rows
    sealed, signed, signed_s = query(_SQL)[0]
    rows, since_s = waiting(query)
    return ProofCondition(sealed, rows, since_s, signed, signed_s, signing_directory().refusal())
