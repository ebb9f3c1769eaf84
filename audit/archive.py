"""Moving old months out of the database, and keeping the proof.

A month goes into a bundle; the bundle is read back and verified, row by row, by the independent
verifier; only then are the partitions dropped, by their owner. The leaves stay, so
every checkpoint that was ever signed still verifies.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql

from audit.export import export_bundle
from audit.verify import Damage, Unreadable, verify

PARENTS = ("audit_trace_codes", "audit_traces", "audit_logs")
_CHUNK_BYTES = 1_048_576


class ArchiveRefused(Exception):
    """The month stays where it is; the text says why."""


@dataclass(frozen=True, slots=True)
class Month:
    """One monthly partition: ids from ``from_id`` up to before ``to_id``."""

    name: str
    from_id: UUID
    to_id: UUID


@dataclass(frozen=True, slots=True)
class Archived:
    """A month's bundle, verified."""

    month: Month
    path: Path
    sha256: str
    first_leaf: int
    end_leaf: int
    rows: int


_MONTHS_SQL = r"""
SELECT substring(c.relname FROM 'audit_logs_(y\d{4}m\d{2})$'),
       (regexp_match(pg_get_expr(c.relpartbound, c.oid), 'FROM \(''([^'']+)''\)'))[1]::uuid,
       (regexp_match(pg_get_expr(c.relpartbound, c.oid), 'TO \(''([^'']+)''\)'))[1]::uuid
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'audit_logs'::regclass AND c.relname ~ '^audit_logs_y\d{4}m\d{2}$'
ORDER BY 1
"""


def months_before(connection: psycopg.Connection[Any], moment: datetime) -> list[Month]:
    """Return the months whose every row is older than ``moment``, oldest first."""
    row = connection.execute("SELECT audit_uuid_floor_v1(%s)", [moment]).fetchone()
    floor = row[0] if row else UUID(int=0)
    months = [Month(*found) for found in connection.execute(_MONTHS_SQL).fetchall()]
    return [month for month in months if month.to_id <= floor]


def archived_leaves(connection: psycopg.Connection[Any]) -> int:
    """Return below which leaf everything stands in archives."""
    row = connection.execute("SELECT coalesce(max(end_leaf), 0) FROM audit_archives").fetchone()
    return int(row[0]) if row else 0


def archive_month(
    connection: psycopg.Connection[Any], month: Month, directory: Path
) -> Archived | None:
    """Write and verify a month's bundle in ``directory``; ``None`` for a month without rows.

    A bundle that is there already, from an attempt that was interrupted, is verified and used.
    Raises :class:`ArchiveRefused`, ``OSError`` and ``psycopg.Error``; nothing was dropped then.
    """
    bounds = connection.execute(
        "SELECT count(*), min(f.leaf_index), max(f.leaf_index) + 1, count(f.leaf_index) "
        "FROM audit_logs l LEFT JOIN audit_leaves f ON f.trace_id = l.trace_id "
        "WHERE l.trace_id >= %s AND l.trace_id < %s",
        [month.from_id, month.to_id],
    ).fetchone()
    rows, first, end, sealed = bounds or (0, 0, 0, 0)
    if rows == 0:
        return None
    if sealed != rows:
        raise ArchiveRefused(f"{rows - sealed} rows of {month.name} are not sealed yet")
    # Bundles follow each other without a gap. A row of this month that was sealed among the last
    # month's rows stands in that month's bundle already, which holds every leaf of its range.
    first = max(first, archived_leaves(connection))
    path = directory / f"audit-{month.name}-{first}-{end}.zip"
    if end <= first:
        raise ArchiveRefused(f"all rows of {month.name} stand in an older bundle; drop it by hand")
    if not path.exists():
        _write(connection, path, first, end)
    _verify(path, first, end)
    return Archived(month, path, _digest(path), first, end, rows)


def drop_month(
    connection: psycopg.Connection[Any], archived: Archived, *, recorded_in: str
) -> None:
    """Drop a month whose bundle was verified, and note where its rows went."""
    month = archived.month
    with connection.transaction():
        connection.execute("SET LOCAL lock_timeout = '10s'")
        for parent in PARENTS:
            connection.execute(
                sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(f"{parent}_{month.name}"))
            )
        connection.execute(
            "INSERT INTO audit_archives (name, from_id, to_id, first_leaf, end_leaf, row_count, "
            "sha256, recorded_in) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            [
                archived.path.name,
                month.from_id,
                month.to_id,
                archived.first_leaf,
                archived.end_leaf,
                archived.rows,
                archived.sha256,
                recorded_in,
            ],
        )


def _write(connection: psycopg.Connection[Any], path: Path, first: int, end: int) -> None:
    """Write a bundle whole and durably, or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("xb") as target:
            export_bundle(connection, target, leaves=(first, end))
            target.flush()
            os.fsync(target.fileno())
        draft.rename(path)
        descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    finally:
        draft.unlink(missing_ok=True)


def _verify(path: Path, first: int, end: int) -> None:
    """Read the bundle back. Every leaf of the range is then known to be in it, row for row."""
    try:
        verify(str(path))
        with zipfile.ZipFile(path) as archive:
            manifest = json.loads(archive.read("manifest.json"))
    except (Damage, Unreadable, OSError, ValueError) as error:
        raise ArchiveRefused(f"the bundle {path.name} does not verify: {error}") from error
    if (manifest["first"], manifest["end"]) != (first, end):
        raise ArchiveRefused(f"the bundle {path.name} holds other leaves than {first} to {end - 1}")


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
