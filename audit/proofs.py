"""Proofs for strangers: that a row is in the log, and that the log only ever grew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import errors

from audit.canonical import LEAF_VERSION, leaf_bytes
from audit.checkpoint import Checkpoint, ProofFile
from audit.checkpoints import known_keys, latest, make_checkpoint
from audit.keeper import keeper_connection, origin, seal_all, signing_directory
from audit.merkle import leaf_hash, prove_consistency, prove_inclusion
from audit.note import Note, VerifierKey
from audit.rows import canonical_row
from audit.sql import statement
from audit.tree import Query, leaf_index, node_source
from techno.database.current import store
from techno.database.errors import translate

#: A caller waits for its proof: whoever else seals meanwhile is waited for so long.
SEAL_WAIT_S = 2


class NoSuchTrace(LookupError):
    """No row has this trace id."""


class NotSealed(LookupError):
    """The row, or the size, is not under a checkpoint yet; it will be within seconds."""


class BadSize(ValueError):
    """A size that the log does not have; the text names the rule."""


@dataclass(frozen=True, slots=True)
class Latest:
    """The newest checkpoint, its note as text, and every key that has signed this log."""

    checkpoint: Checkpoint
    note: str
    keys: tuple[VerifierKey, ...]


@dataclass(frozen=True, slots=True)
class RowProof:
    """That the row is leaf ``index``: its leaf's bytes, the path, and the checkpoint above."""

    index: int
    leaf: bytes
    hash: bytes
    path: tuple[bytes, ...]
    size: int
    note: str

    def file(self) -> bytes:
        """Return the proof as a C2SP ``tlog-proof`` file."""
        return ProofFile(self.index, self.path, self.note.encode()).encode()


def latest_checkpoint() -> Latest:
    """Return the newest checkpoint. Raises :class:`NotSealed` when there is none yet."""
    query: Query = store().reads.rows
    found = latest(query)
    if found is None:
        raise NotSealed("no checkpoint has been signed yet")
    return Latest(
        Checkpoint.parse(Note.parse(found[1].encode()).text), found[1], tuple(known_keys(query))
    )


def prove_row(trace_id: str) -> RowProof:
    """Prove that a row is in the log, sealing it now if it waits.

    Raises :class:`NoSuchTrace`, :class:`NotSealed` and ``StoreUnavailable``.
    """
    query: Query = store().reads.rows
    columns = query(statement("row"), [trace_id])
    if not columns:
        raise NoSuchTrace("no row has this trace id")
    index = leaf_index(query, trace_id)
    found = latest(query)
    if index is None or found is None or found[0] <= index:
        _seal_now()
        index, found = leaf_index(query, trace_id), latest(query)
    if index is None or found is None or found[0] <= index:
        raise NotSealed("the row is not under a checkpoint yet")
    size, note = found
    leaf = leaf_bytes(LEAF_VERSION, canonical_row(columns[0]))
    path = prove_inclusion(index, size, node_source(query))
    return RowProof(index, leaf, leaf_hash(leaf), tuple(path), size, note)


def prove_growth(old: int, new: int | None) -> tuple[int, list[bytes], str]:
    """Prove that the log of ``new`` rows extends that of ``old``.

    ``new`` of ``None`` is the newest checkpoint. Returns the new size, the proof, and the newest
    checkpoint's note. Raises :class:`BadSize`, :class:`NotSealed` and ``StoreUnavailable``.
    """
    query: Query = store().reads.rows
    found = latest(query)
    if found is None:
        raise NotSealed("no checkpoint has been signed yet")
    size = found[0] if new is None else new
    if size > found[0]:
        raise BadSize(f"to must be at most {found[0]}, the newest checkpoint's size.")
    if not 0 <= old <= size:
        raise BadSize(f"from must be between 0 and {size}.")
    return size, prove_consistency(old, size, node_source(query)), found[1]


def _seal_now() -> None:
    """Seal and sign on demand, as the keeper does it. Raises ``StoreError``."""
    try:
        with keeper_connection() as connection:
            connection.execute("SELECT set_config('lock_timeout', %s, false)", [f"{SEAL_WAIT_S}s"])
            seal_all(connection)
            make_checkpoint(connection, signing_directory(), origin())
    except errors.LockNotAvailable:
        return  # somebody else seals; whether our row is under a checkpoint then is looked up
    except psycopg.Error as error:
        raise translate(error) from error


def verifier_texts(keys: tuple[VerifierKey, ...]) -> list[str]:
    """Return keys in the form in which they are given to verifiers."""
    return [key.vkey for key in keys]


def json_proof(proof: RowProof) -> dict[str, Any]:
    """Return a proof for readers of JSON: hashes in hexadecimal, the note as it is."""
    return {
        "index": proof.index,
        "size": proof.size,
        "leaf_hash": proof.hash.hex(),
        "leaf": proof.leaf.decode("ascii"),
        "path": [value.hex() for value in proof.path],
        "checkpoint": proof.note,
    }
