"""Canonical bytes of one audit row: what is hashed into a leaf of the audit log's Merkle tree.

`docs/audit-format.md` is the specification, and `audit/verify.py` a second implementation of it
that shares no line with this one. A version, once leaves were sealed with it, never changes: a
new need makes a new version.

A *row* is a mapping with exactly the keys of ROW_FIELDS, None wherever there is nothing:

- ``trace_id``, ``timestamp``, ``reason_codes``, ``session_id``, ``user_ip``: the five columns.
- ``companion``: a mapping with exactly COMPANION_FIELDS, or None for a row that another program
  wrote into the table.
- ``salt``: 16 random bytes (or their hex), made once for this row.
- ``commitments``: a mapping with exactly PERSONAL_FIELDS once those were erased, before that None.

The personal fields never enter a salted leaf themselves; their commitments do. So erasing the
values and the salt leaves the leaf as it was, and what remains can still be verified, while the
commitments tell nobody what was erased. All three go together, because they share the salt.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any

from audit import leaf_v1
from audit.leaf_v1 import (
    COMPANION_FIELDS,
    PERSONAL_FIELDS,
    ROW_FIELDS,
    SALT_BYTES,
    CanonicalError,
    salt_bytes,
    timestamp_text,
)

__all__ = [
    "COMPANION_FIELDS",
    "LEAF_LIMIT_BYTES",
    "LEAF_VERSION",
    "PERSONAL_FIELDS",
    "ROW_FIELDS",
    "SALT_BYTES",
    "CanonicalError",
    "Row",
    "canonical_json",
    "commitment",
    "leaf_bytes",
    "reason_codes_from_jsonb",
    "redacted",
    "row_record",
    "timestamp_text",
]

LEAF_VERSION = 1
"""The version that new leaves are sealed with."""

LEAF_LIMIT_BYTES = 65_535
"""Largest leaf: its length must fit the 16 bits that tlog-tiles gives to an entry."""

Row = Mapping[str, Any]

canonical_json = json.JSONEncoder(
    ensure_ascii=True, sort_keys=True, separators=(",", ":"), allow_nan=False
).encode
"""The canonical JSON of this format: keys by code point, no white space, ASCII only."""


def leaf_bytes(version: int, row: Row) -> bytes:
    """The bytes to hash for `row` under leaf format `version`.

    Every row the tables can hold has a leaf, however much another program wrote there: when the
    leaf would exceed LEAF_LIMIT_BYTES, its digest stands for it. Raises CanonicalError for an
    unknown version, a missing or unknown field, a value of the wrong type, text that is not
    Unicode, and for values beside the commitments that should have replaced them.
    """
    if version != LEAF_VERSION:
        raise CanonicalError(f"leaf format version {version!r} is unknown")
    text = leaf_v1.leaf_text(row)
    if "\\ud" in text:  # a surrogate, or the backslash of somebody's text
        _refuse_lone_surrogates(text)
    data = leaf_v1.HEADER + text.encode("ascii")
    if len(data) > LEAF_LIMIT_BYTES:
        return leaf_v1.HEADER + b"sha256:" + sha256(data).hexdigest().encode("ascii")
    return data


def commitment(salt: bytes, field: str, value: str | None) -> str | None:
    """What stands in the leaf for a personal value; None for None, which hides nothing."""
    if value is None:
        return None
    return "sha256:" + sha256(salt + field.encode() + b"\x00" + value.encode()).hexdigest()


def redacted(row: Row) -> dict[str, Any]:
    """`row` with personal values and salt erased and their commitments kept: the same leaf.

    Raises CanonicalError for a row without a salt, whose leaf holds the values themselves.
    """
    if row["commitments"] is not None:
        return dict(row)
    if row["salt"] is None:
        raise CanonicalError("a row without a salt cannot be redacted provably")
    salt, companion = salt_bytes(row["salt"]), row["companion"]
    values = {
        "session_id": row["session_id"],
        "user_agent": None if companion is None else companion["user_agent"],
        "user_ip": row["user_ip"],
    }
    return {
        **row,
        "session_id": None,
        "user_ip": None,
        "companion": None if companion is None else {**companion, "user_agent": None},
        "salt": None,
        "commitments": {field: commitment(salt, field, value) for field, value in values.items()},
    }


def reason_codes_from_jsonb(text: str) -> list[str] | str:
    """The ``reason_codes`` of a row, from PostgreSQL's text of the column.

    A list when it is a list of texts, as the contract has it; for whatever else another program
    may have put there, the text itself, so that this row too has a leaf.
    """
    try:
        codes = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if isinstance(codes, list) and all(isinstance(code, str) for code in codes):
        return codes
    return text


def row_record(version: int, index: int, row: Row) -> dict[str, Any]:
    """`row` as the JSON object that stands for leaf `index` in a bundle's ``rows.jsonl``."""
    salt, timestamp = row["salt"], row["timestamp"]
    return {
        **row,
        "version": version,
        "index": index,
        "trace_id": str(row["trace_id"]),
        "timestamp": timestamp_text(timestamp) if isinstance(timestamp, datetime) else timestamp,
        "salt": salt.hex() if isinstance(salt, bytes) else salt,
    }


def _refuse_lone_surrogates(text: str) -> None:
    try:
        json.dumps(json.loads(text), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise CanonicalError("a lone surrogate is not Unicode text") from None
