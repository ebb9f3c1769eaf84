"""The whole log, verified from its data: rows, tree, checkpoints, this host's memory, journal."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from audit import spill
from audit.checkpoints import known_keys
from audit.keeper import signing_directory
from audit.note import VerifierKey
from audit.tree_verification import (
    Findings,
    Tree,
    checked,
    signed_checkpoints,
    verify_journal,
    verify_redactions,
    verify_strays,
    verify_tree,
)
from audit.verification import DEADLINE_S, PATIENT, Damage, verify_rows
from techno.database.connection import DeadlineConnection, connect
from techno.database.current import connection_parameters

REMEMBERED = "the checkpoint remembered outside of the database"


@dataclass(frozen=True, slots=True)
class Verified:
    """What a verification found: ``damage`` is empty for a whole log.

    ``sealed`` rows were hashed, but for the ``archived`` ones, which stand in bundles;
    ``unsealed`` wait for their leaves and ``waiting`` in the journal. ``checkpoints`` were held
    against the tree, the last at ``last`` rows, by the keys in ``vkeys``.
    """

    damage: tuple[Damage, ...]
    sealed: int
    archived: int
    unsealed: int
    checkpoints: int
    last: int
    vkeys: tuple[str, ...]
    waiting: int
    took_s: float


def verify_log(
    given: Sequence[VerifierKey] = (),
    *,
    jobs: int | None = None,
    progress: Callable[[int, int], None] = lambda done, size: None,
) -> Verified:
    """Verify everything in one snapshot.

    Only the ``given`` keys are believed, or all that this installation knows. ``jobs`` processes
    hash rows (one for each core); ``progress`` is told how many rows of how many are done. Raises
    ``psycopg.Error``, ``audit.journal.JournalUnavailable``, ``audit.note.NoteError``.
    """
    started_s = time.monotonic()
    parameters = connection_parameters()
    with connect(
        parameters, deadline_s=DEADLINE_S, name="techno-verify", settings=PATIENT
    ) as connection:
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        (snapshot,) = connection.execute("SELECT pg_export_snapshot()").fetchone() or ("",)
        (size,) = connection.execute(
            "SELECT greatest((SELECT size FROM audit_tree), "
            "(SELECT coalesce(max(leaf_index) + 1, 0) FROM audit_leaves))"
        ).fetchone() or (0,)
        (unsealed,) = connection.execute("SELECT count(*) FROM audit_unsealed").fetchone() or (0,)
        keys = list(given) or _known(connection)
        memory = signing_directory().remembered()
        tree, rest = Tree(), Findings()
        remembered = list(checked(memory, keys, REMEMBERED, rest)) if memory is not None else []

        def build() -> None:
            """Build the tree, in this process, while others read the rows."""
            nonlocal tree
            signed = heapq.merge(
                signed_checkpoints(connection, keys, rest),
                remembered,
                key=lambda each: each.checkpoint.size,
            )
            tree = verify_tree(connection, size, signed, rest)
            rest.add(*verify_strays(connection), *verify_redactions(connection))

        progress(0, size)
        rows, archived = verify_rows(
            parameters,
            snapshot,
            size,
            jobs=jobs,
            progress=lambda done: progress(done, size),
            meanwhile=build,
        )
    found, waiting = verify_journal(spill.journal())
    findings = Findings()
    findings.add(*rows, *rest.damage, *found)
    return Verified(
        damage=tuple(findings.damage),
        sealed=size,
        archived=archived,
        unsealed=unsealed,
        checkpoints=tree.checkpoints,
        last=tree.last,
        vkeys=tuple(key.vkey for key in keys),
        waiting=waiting,
        took_s=time.monotonic() - started_s,
    )


def _known(connection: DeadlineConnection) -> list[VerifierKey]:
    """Return all keys that this installation knows."""

    def query(sql: Any, parameters: Any) -> Any:
        return connection.execute(sql, parameters).fetchall()

    stored = {key.vkey: key for key in known_keys(query)}
    stored.update({key.verifier.vkey: key.verifier for key in signing_directory().current_keys()})
    return list(stored.values())
