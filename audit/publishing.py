"""Letting others follow: tiles and checkpoints in a directory, at an address, with witnesses.

What is published is what an outsider needs to catch us: who keeps an older checkpoint notices a
log that was rewritten, and a witness signs only what extends the last it saw. Publishing fails on
its own; the log goes on, and the next checkpoint tries again.
"""

from __future__ import annotations

import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg
import structlog
from psycopg.types.json import set_json_loads

from audit.canonical import leaf_bytes
from audit.checkpoint import Checkpoint, add_checkpoint_request
from audit.merkle import MissingNodeError, ProofError, prove_consistency, root_at
from audit.note import COSIGNATURE, Note, NoteError, VerifierKey, parse_signatures
from audit.rows import canonical_row, loads
from audit.tiles import Tile, encode_entries, encode_hashes, tiles_between
from audit.tree import node_source
from audit.verification import leaves_with_rows

log = structlog.get_logger(__name__)

TIMEOUT_S = 10.0
ANSWER_LIMIT_BYTES = 65_536
RETRIES = 2


class PublishFailed(Exception):
    """A checkpoint could not be handed over; the text says to whom and why."""


def publish_tiles(connection: psycopg.Connection[Any], directory: Path, note: Note) -> int:
    """Bring a directory of static tiles up to a checkpoint; return how many files were written.

    The checkpoint comes last, so that a reader never finds one whose tiles are not there. Rows
    that were archived before their tiles were written leave their entry bundle out. Raises
    :class:`PublishFailed` when the directory holds another history, ``OSError``, ``psycopg.Error``.
    """
    set_json_loads(loads, connection)
    size = Checkpoint.parse(note.text).size
    old = _published_size(connection, directory, size)
    written = 0
    for tile in tiles_between(old, size):
        content = _content(connection, tile)
        if content is not None:
            _write(directory / tile.path, content)
            written += 1
    _write(directory / "checkpoint", note.encode())
    return written + 1


def _published_size(connection: psycopg.Connection[Any], directory: Path, size: int) -> int:
    """Return up to which size a directory has our tiles; 0 when it has none.

    Tiles never change, so a directory of another history is not continued. Raises
    :class:`PublishFailed`.
    """
    try:
        published = Checkpoint.parse(Note.parse((directory / "checkpoint").read_bytes()).text)
    except FileNotFoundError:
        return 0
    except NoteError as error:
        raise PublishFailed(f"{directory / 'checkpoint'} is damaged: {error}") from error
    if published.size <= size:
        source = node_source(_query(connection))
        if root_at(published.size, source) == published.root:
            return published.size
    raise PublishFailed(
        f"{directory} holds the tiles of another history than ours, up to {published.size} rows: "
        "move it away, and tell those who read it why"
    )


def _content(connection: psycopg.Connection[Any], tile: Tile) -> bytes | None:
    """Return a tile's bytes."""
    if tile.level is not None:
        coordinates = tile.coordinates()
        nodes = node_source(_query(connection))(coordinates)
        return encode_hashes([nodes[coordinate] for coordinate in coordinates])
    leaves = tile.leaves()
    rows = list(leaves_with_rows(connection, leaves.start, leaves.stop))
    if len(rows) != len(leaves) or any(columns[0] is None for columns in rows):
        return None
    return encode_entries([leaf_bytes(columns[23], canonical_row(columns)) for columns in rows])


def _write(path: Path, content: bytes) -> None:
    """Put a file in place whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_bytes(content)
    draft.rename(path)


def post_checkpoint(address: str, note: Note) -> None:
    """Hand a checkpoint to an HTTPS endpoint of one's own. Raises :class:`PublishFailed`."""
    status, answer = _post(address, note.encode())
    if not 200 <= status < 300:
        raise PublishFailed(f"{_shown(address)} answered {status}: {answer[:200]!r}")


def ask_witness(
    connection: psycopg.Connection[Any], address: str, keys: Sequence[VerifierKey], note: Note
) -> None:
    """Ask a witness to cosign a checkpoint (C2SP ``add-checkpoint``), and keep what it signed.

    ``address`` is the witness's prefix; ``keys`` are the cosigning keys that we accept from it.
    A witness that knows another size says so, and is asked again from there. Raises
    :class:`PublishFailed` and ``psycopg.Error``.
    """
    checkpoint = Checkpoint.parse(note.text)
    row = connection.execute(
        "SELECT max(checkpoint_size) FROM audit_cosignatures WHERE witness = ANY (%s)",
        [[key.name for key in keys]],
    ).fetchone()
    known = int(row[0]) if row and row[0] is not None else 0
    for _ in range(RETRIES):
        try:
            proof = prove_consistency(known, checkpoint.size, node_source(_query(connection)))
        except (ProofError, MissingNodeError) as error:
            raise PublishFailed(
                f"no proof leads from {known} to {checkpoint.size} rows: {error}"
            ) from error
        status, answer = _post(
            urllib.parse.urljoin(f"{address.rstrip('/')}/", "add-checkpoint"),
            add_checkpoint_request(known, proof, note),
        )
        if status == 200:
            _keep(connection, checkpoint.size, note, keys, answer)
            return
        if status != 409:
            break
        known = _size_known(address, answer, checkpoint.size)
    raise PublishFailed(f"the witness {_shown(address)} answered {status}: {answer[:200]!r}")


def _size_known(address: str, answer: bytes, size: int) -> int:
    """Return the size that a witness says it knows. Raises :class:`PublishFailed`."""
    text = answer.decode("ascii", "replace").strip()
    if not (text.isascii() and text.isdigit()) or int(text) > size:
        raise PublishFailed(
            f"the witness {_shown(address)} knows another history than ours: {text[:100]!r}"
        )
    return int(text)


def _keep(
    connection: psycopg.Connection[Any],
    size: int,
    note: Note,
    keys: Sequence[VerifierKey],
    answer: bytes,
) -> None:
    """Check a witness's signatures and keep them. Raises :class:`PublishFailed`."""
    accepted = [key for key in keys if key.key_type == COSIGNATURE]
    try:
        lines = parse_signatures(answer.decode("utf-8"))
        verified = note.with_signatures(*lines).verify(accepted)
    except (NoteError, UnicodeDecodeError) as error:
        raise PublishFailed(f"a witness's cosignature does not verify: {error}") from error
    for signature in verified:
        line = next(line for line in lines if line.key_id == signature.key.key_id)
        connection.execute(
            "INSERT INTO audit_cosignatures (checkpoint_size, witness, line) VALUES (%s, %s, %s) "
            "ON CONFLICT DO NOTHING",
            [size, signature.key.name, line.line()],
        )


def _post(address: str, body: bytes) -> tuple[int, bytes]:
    """Post ``body``; return status and answer. Raises :class:`PublishFailed`."""
    parts = urllib.parse.urlsplit(address)
    if parts.scheme != "https" and parts.hostname not in ("127.0.0.1", "localhost", "::1"):
        raise PublishFailed(f"{_shown(address)} must be an https address")
    request = urllib.request.Request(  # noqa: S310 - the scheme was checked
        address, data=body, method="POST", headers={"Content-Type": "text/plain; charset=utf-8"}
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
            return answer.status, answer.read(ANSWER_LIMIT_BYTES)
    except urllib.error.HTTPError as error:
        return error.code, error.read(ANSWER_LIMIT_BYTES)
    except OSError as error:
        raise PublishFailed(f"{_shown(address)} cannot be reached: {error}") from error


def _shown(address: str) -> str:
    """Return an address without user name, password and query: those may be secrets."""
    parts = urllib.parse.urlsplit(address)
    return f"{parts.scheme}://{parts.hostname or ''}{parts.path}"


def _query(connection: psycopg.Connection[Any]) -> Any:
    return lambda sql, parameters: connection.execute(sql, parameters).fetchall()
