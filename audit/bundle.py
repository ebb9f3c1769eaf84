"""Writes audit bundles: what `audit/verify.py` verifies, for auditors and for archives.

A bundle is a ZIP file; `docs/audit-format.md` says what stands in it. Everything long is streamed,
so a bundle of any size is written at flat memory. The writer does not judge: rows that no longer
fit their leaf hashes are written as they are, because a damaged log must be exportable too. Who
needs to know verifies the bundle that came out.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import IO

from audit.canonical import Row, canonical_json, row_record, timestamp_text
from audit.checkpoint import Checkpoint
from audit.merkle import HASH_BYTES, NodeSource, resolve, span_coordinates
from audit.note import Note, VerifierKey, encode_base64

FORMAT = "techno-audit-bundle/v1"

# The bytes of a bundle depend on its content alone, not on when it was written.
_ZIP_TIMESTAMP = (1980, 1, 1, 0, 0, 0)
_BLOCK_LINES = 200


class BundleError(ValueError):
    """What was given cannot be put together to a bundle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleScope:
    """Which leaves a bundle shows, and what was asked for.

    The leaves are ``[first, end)``. For a time range choose `first` and `end` so that every row
    known to be of that time is among them, and one neighbour more on either side where there is
    one: it shows that the range is closed.
    """

    origin: str
    first: int
    end: int
    created: datetime
    since: datetime | None = None
    """First moment asked for, None for the beginning."""
    until: datetime | None = None
    """First moment no longer asked for, None for the end."""


def write_bundle(
    target: IO[bytes],
    scope: BundleScope,
    *,
    rows: Iterable[tuple[int, Row]],
    leaf_hashes: Iterable[bytes],
    checkpoints: Sequence[Note],
    keys: Sequence[VerifierKey],
    nodes: NodeSource,
) -> int:
    """Write a bundle to `target` and return how many rows it holds.

    `rows` are leaf version and row, `leaf_hashes` the recorded hashes, both from leaf
    ``scope.first`` on, each read once. `checkpoints` are in order of size, within ``[first, end]``;
    only the size of the last, to which everything is proven, may be larger.
    `keys` are all keys whose signatures count, witnesses' too. `nodes` is asked for the subtrees
    that stand for the leaves outside of the range. Raises BundleError when these do not fit
    together.
    """
    sizes = [Checkpoint.parse(note.text).size for note in checkpoints]
    _check(scope, sizes)
    manifest = {
        "format": FORMAT,
        "origin": scope.origin,
        "first": scope.first,
        "end": scope.end,
        "size": sizes[-1],
        "since": None if scope.since is None else timestamp_text(scope.since),
        "until": None if scope.until is None else timestamp_text(scope.until),
        "created": timestamp_text(scope.created),
    }
    with zipfile.ZipFile(target, "w") as archive:
        _write(archive, "manifest.json", canonical_json(manifest) + "\n")
        _write(archive, "keys.txt", "".join(f"{key.vkey}\n" for key in keys))
        _write(
            archive, "checkpoints.txt", "\n".join(note.encode().decode() for note in checkpoints)
        )
        _write(archive, "proof.json", _proof(scope, sizes[-1], nodes))
        _write_leaves(archive, leaf_hashes)
        return _write_rows(archive, scope.first, rows)


def _check(scope: BundleScope, sizes: list[int]) -> None:
    if not sizes:
        raise BundleError("a bundle needs a checkpoint to prove its leaves against")
    if not 0 <= scope.first <= scope.end <= sizes[-1]:
        raise BundleError(f"[{scope.first}, {scope.end}) is not a range of {sizes[-1]} leaves")
    shown = [size for size in sizes if scope.first <= size <= scope.end or size == sizes[-1]]
    if sizes != sorted(shown):
        raise BundleError("the checkpoints are not in order, or not of the range")


def _proof(scope: BundleScope, size: int, nodes: NodeSource) -> str:
    left = span_coordinates(0, scope.first)
    right = span_coordinates(scope.end, size)
    hashes = [encode_base64(h) for h in resolve([(node,) for node in left + right], nodes)]
    proof = {"left": hashes[: len(left)], "right": hashes[len(left) :]}
    return canonical_json(proof) + "\n"


def _write(archive: zipfile.ZipFile, name: str, text: str) -> None:
    with _member(archive, name, zipfile.ZIP_DEFLATED) as stream:
        stream.write(text.encode())


def _write_leaves(archive: zipfile.ZipFile, leaf_hashes: Iterable[bytes]) -> None:
    with _member(archive, "leaves.bin", zipfile.ZIP_STORED) as stream:
        for value in leaf_hashes:
            if len(value) != HASH_BYTES:
                raise BundleError("a leaf hash is not 32 bytes long")
            stream.write(value)


def _write_rows(archive: zipfile.ZipFile, first: int, rows: Iterable[tuple[int, Row]]) -> int:
    index, block = first, list[str]()
    with _member(archive, "rows.jsonl", zipfile.ZIP_DEFLATED) as stream:
        for version, row in rows:
            block.append(canonical_json(row_record(version, index, row)) + "\n")
            index += 1
            if len(block) == _BLOCK_LINES:
                stream.write("".join(block).encode())
                block.clear()
        stream.write("".join(block).encode())
    return index - first


def _member(archive: zipfile.ZipFile, name: str, compression: int) -> IO[bytes]:
    info = zipfile.ZipInfo(name, _ZIP_TIMESTAMP)
    info.compress_type = compression
    info.external_attr = 0o600 << 16
    return archive.open(info, "w", force_zip64=True)
