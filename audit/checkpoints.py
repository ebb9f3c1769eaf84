"""Signing the tree: a checkpoint says "these many rows, this root", and is never taken back.

Before anything is signed, the tree in the database is proven to extend the last checkpoint that
this host remembers outside of the database. A restored, wiped or forked database fails that
proof; it is refused until an operator decides, on record, that its history shall go on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg

from audit.checkpoint import Checkpoint
from audit.merkle import (
    MissingNodeError,
    NodeSource,
    ProofError,
    prove_consistency,
    root_at,
    verify_consistency,
)
from audit.note import Note, NoteError, SigningKey, VerifierKey
from audit.signing import NoSigningKey, SigningDirectory, read_checkpoint
from audit.tree import Query, node_source, tree_size


class DatabaseRefused(Exception):
    """The database's history contradicts what was signed; the text says how, and what to do."""


NEXT_STEP = (
    "Find out what happened to the database. If its history shall go on from here, say so on "
    'record: manage.py audit accept-database --reason "…".'
)


@dataclass(frozen=True, slots=True)
class Signed:
    """A checkpoint and its note; ``fresh`` when it was signed just now."""

    checkpoint: Checkpoint
    note: bytes
    fresh: bool


def make_checkpoint(
    connection: psycopg.Connection[Any],
    directory: SigningDirectory,
    origin: str,
    *,
    accepted: bool = False,
) -> Signed:
    """Sign the tree as it is now, unless that was done already.

    ``accepted`` says that an operator decided, on record, that this history goes on whatever was
    signed before; then nothing is compared. Raises :class:`DatabaseRefused`,
    :class:`NoSigningKey`, ``audit.note.NoteError`` when a key file or the remembered checkpoint
    is damaged, and ``psycopg.Error``.
    """
    with directory.locked():
        keys = signing_keys(connection, directory, origin)
        query = _query(connection)
        source = node_source(query)
        size = tree_size(query)
        last = None if accepted else remembered(connection, directory, keys)
        root = _extends(last, size, source)
        if last is not None and last.size == size and _signed_by_all(directory, keys):
            note = directory.remembered() or b""
            return Signed(last, note, fresh=False)
        checkpoint = Checkpoint(keys[0].verifier.name, size, root)
        note = checkpoint.sign(*keys).encode()
        directory.remember(note)
        connection.execute(
            "INSERT INTO audit_checkpoints (size, root, note) VALUES (%s, %s, %s)",
            [size, root, note.decode()],
        )
        return Signed(checkpoint, note, fresh=True)


def signing_keys(
    connection: psycopg.Connection[Any], directory: SigningDirectory, origin: str
) -> list[SigningKey]:
    """Return the keys that sign, making the first one for a log that has never been signed.

    Their public halves are kept in the database. Raises :class:`NoSigningKey` when the log was
    signed before, by a key that is not here.
    """
    keys = directory.current_keys()
    if not keys:
        if connection.execute("SELECT 1 FROM audit_signing_keys LIMIT 1").fetchone():
            raise NoSigningKey(
                "The log was signed with a key that this host does not have. Bring the directory "
                "of signing keys here, or let the host that has it do the signing."
            )
        keys = [directory.add_key(origin)]
    for key in keys:
        connection.execute(
            "INSERT INTO audit_signing_keys (vkey) VALUES (%s) ON CONFLICT DO NOTHING",
            [key.verifier.vkey],
        )
    return keys


def known_keys(query: Query) -> list[VerifierKey]:
    """Return every public key that has ever signed this log."""
    rows = query("SELECT vkey FROM audit_signing_keys ORDER BY added_at", None)
    return [VerifierKey.parse(vkey) for (vkey,) in rows]


def remembered(
    connection: psycopg.Connection[Any], directory: SigningDirectory, keys: list[SigningKey]
) -> Checkpoint | None:
    """Return the last checkpoint signed here, checked. Raises :class:`DatabaseRefused`."""
    note = directory.remembered()
    if note is None:
        row = connection.execute("SELECT max(size) FROM audit_checkpoints").fetchone()
        if row is not None and row[0] is not None:
            raise DatabaseRefused(
                f"The database has checkpoints up to {row[0]} rows, but this host remembers "
                f"none: its memory outside of the database was removed. {NEXT_STEP}"
            )
        return None
    verifiers = {key.vkey: key for key in known_keys(_query(connection))}
    verifiers.update({key.verifier.vkey: key.verifier for key in keys})
    return read_checkpoint(note, list(verifiers.values()), keys[0].verifier.name)


def _extends(last: Checkpoint | None, size: int, source: NodeSource) -> bytes:
    """Return the root at ``size``, proven to extend ``last``. Raises :class:`DatabaseRefused`."""
    try:
        root = root_at(size, source)
        if last is None:
            return root
        if size < last.size:
            raise DatabaseRefused(
                f"The database has {size} sealed rows, but {last.size} were signed: it was "
                f"restored from an older copy, or wiped. {NEXT_STEP}"
            )
        proof = prove_consistency(last.size, size, source)
        verify_consistency(last.size, size, proof, last.root, root)
    except (ProofError, MissingNodeError) as error:
        raise DatabaseRefused(
            f"The database's history is not the one that was signed "
            f"at {last.size if last else 0} rows: {error}. {NEXT_STEP}"
        ) from error
    return root


def _signed_by_all(directory: SigningDirectory, keys: list[SigningKey]) -> bool:
    """Whether the remembered note bears every current key, so that a new key signs at once."""
    note = directory.remembered()
    if note is None:
        return False
    try:
        names = {line.key_id for line in Note.parse(note).signatures}
    except NoteError:
        return False
    return all(key.verifier.key_id in names for key in keys)


def latest(query: Query) -> tuple[int, str] | None:
    """Return size and note of the newest checkpoint in the database."""
    rows = query("SELECT size, note FROM audit_checkpoints ORDER BY id DESC LIMIT 1", None)
    return (int(rows[0][0]), str(rows[0][1])) if rows else None


def _query(connection: psycopg.Connection[Any]) -> Query:
    def query(sql: str, parameters: Any) -> list[tuple[Any, ...]]:
        return connection.execute(sql, parameters).fetchall()

    return query
