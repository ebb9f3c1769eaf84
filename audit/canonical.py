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
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from json.encoder import encode_basestring_ascii as _quote
from typing import Any
from uuid import UUID

LEAF_VERSION = 1
"""The version that new leaves are sealed with."""

LEAF_LIMIT_BYTES = 65_535
"""Largest leaf: its length must fit the 16 bits that tlog-tiles gives to an entry."""

SALT_BYTES = 16

INTEGER_LIMIT = 2**53 - 1
"""Integers beyond this, either way, are not read alike by all JSON parsers."""

PERSONAL_FIELDS = frozenset({"session_id", "user_agent", "user_ip"})

Row = Mapping[str, Any]

canonical_json = json.JSONEncoder(
    ensure_ascii=True, sort_keys=True, separators=(",", ":"), allow_nan=False
).encode
"""The canonical JSON of this format: keys by code point, no white space, ASCII only."""


class CanonicalError(ValueError):
    """The row is not one that this version of the leaf format can express."""


def leaf_bytes(version: int, row: Row) -> bytes:
    """The bytes to hash for `row` under leaf format `version`.

    Every row the tables can hold has a leaf, however much another program wrote there: when the
    leaf would exceed LEAF_LIMIT_BYTES, its digest stands for it. Raises CanonicalError for an
    unknown version, a missing or unknown field, a value of the wrong type, text that is not
    Unicode, and for values beside the commitments that should have replaced them.
    """
    if version != LEAF_VERSION:
        raise CanonicalError(f"leaf format version {version!r} is unknown")
    text = _leaf_v1(row)
    if "\\ud" in text:  # a surrogate, or the backslash of somebody's text
        _refuse_lone_surrogates(text)
    data = _HEADER_V1 + text.encode("ascii")
    if len(data) > LEAF_LIMIT_BYTES:
        return _HEADER_V1 + b"sha256:" + sha256(data).hexdigest().encode("ascii")
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
    salt, companion = _salt(row["salt"]), row["companion"]
    return {
        **row,
        "session_id": None,
        "user_ip": None,
        "companion": None if companion is None else {**companion, "user_agent": None},
        "salt": None,
        "commitments": {
            field: commitment(salt, field, value)
            for field, value in zip(sorted(PERSONAL_FIELDS), _personal_values(row), strict=True)
        },
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


def timestamp_text(moment: datetime) -> str:
    """``YYYY-MM-DDTHH:MM:SS.ffffffZ``; CanonicalError when `moment` has no time zone."""
    if moment.tzinfo is None:
        raise CanonicalError("a timestamp without a time zone names no moment")
    text = moment.astimezone(UTC).isoformat()[:-6]  # ends in +00:00
    return text + "Z" if len(text) == 26 else text + ".000000Z"


# Version 1. One writer for each type, one table for each object. The tables stand in code point
# order of the names, because that is the order of the leaf.

_HEADER_V1 = b"techno-audit-leaf/v1\n"

_SEPARATOR = b"\x00"

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SALT_HEX = re.compile(r"[0-9a-f]{32}")
_COMMITMENT = re.compile(r"sha256:[0-9a-f]{64}")
_TIMESTAMP = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z"
    # What timestamptz holds beyond the years 1 to 9999, as PostgreSQL prints it in UTC.
    r"|-?infinity"
    r"|[1-9][0-9]{4,5}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?\+00"
    r"|[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?\+00 BC"
)


def _text(value: Any) -> str:
    return "null" if value is None else _quote(value)


def _integer(value: Any) -> str:
    if value is None:
        return "null"
    if type(value) is not int:
        raise TypeError("not an integer")
    if not -INTEGER_LIMIT <= value <= INTEGER_LIMIT:
        raise ValueError("an integer beyond 2**53 - 1")
    return str(value)


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return _integer(value) if isinstance(value, int) else _text(value)


def _flat_object(value: Any) -> str:
    if value is None:
        return "null"
    if not isinstance(value, dict):
        raise TypeError("not an object")
    return "{" + ",".join([f"{_quote(key)}:{_scalar(value[key])}" for key in sorted(value)]) + "}"


def _codes(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ",".join([_quote(code) for code in value]) + "]"
    return _text(value)  # another program's jsonb that is no list of texts, as PostgreSQL prints it


def _timestamp(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, datetime):
        return f'"{timestamp_text(value)}"'
    if not _TIMESTAMP.fullmatch(value):
        raise ValueError(f"{value!r} is not a canonical timestamp")
    return f'"{value}"'


def _uuid(value: Any) -> str:
    if isinstance(value, UUID):
        return f'"{value}"'
    if not _UUID.fullmatch(value):
        raise ValueError(f"{value!r} is not a lower-case UUID")
    return f'"{value}"'


def _commitment(value: Any) -> str:
    if value is None:
        return "null"
    if not _COMMITMENT.fullmatch(value):
        raise ValueError("not sha256: and 64 hex digits")
    return f'"{value}"'


def _table(**writers: Callable[[Any], str]) -> tuple[tuple[str, str, Callable[[Any], str]], ...]:
    return tuple((name, f'"{name}":', writers[name]) for name in sorted(writers))


_COLUMNS_V1 = _table(reason_codes=_codes, timestamp=_timestamp, trace_id=_uuid)
_COMPANION_V1 = _table(
    action=_text,
    detail=_flat_object,
    duration_ms=_integer,
    execution_id=_text,
    host=_text,
    http_status=_integer,
    key_prefix=_text,
    message=_text,
    method=_text,
    path=_text,
    principal_kind=_text,
    principal_label=_text,
    status=_text,
)
_PLAIN_V1 = _table(session_id=_text, user_agent=_text, user_ip=_text)
_COMMITTED_V1 = _table(session_id=_commitment, user_agent=_commitment, user_ip=_commitment)

ROW_FIELDS = frozenset(name for name, _, _ in _COLUMNS_V1) | {
    "session_id",
    "user_ip",
    "companion",
    "salt",
    "commitments",
}
COMPANION_FIELDS = frozenset(name for name, _, _ in _COMPANION_V1) | {"user_agent"}


def _leaf_v1(row: Row) -> str:
    _expect_fields("the row", row, ROW_FIELDS)
    companion = row["companion"]
    if companion is not None:
        _expect_fields("the companion", companion, COMPANION_FIELDS)
    known = "null" if companion is None else "{" + _members(_COMPANION_V1, companion) + "}"
    return f'{{"companion":{known},"personal":{_personal(row)},{_members(_COLUMNS_V1, row)}}}'


def _personal(row: Row) -> str:
    salt, commitments = row["salt"], row["commitments"]
    session_id, user_agent, user_ip = values = _personal_values(row)
    if commitments is not None:
        if salt is not None or any(value is not None for value in values):
            raise CanonicalError("a redacted row still has its salt or a personal value")
        _expect_fields("commitments", commitments, PERSONAL_FIELDS)
        return '{"form":"committed",' + _members(_COMMITTED_V1, commitments) + "}"
    if salt is None:
        plain = dict(zip(sorted(PERSONAL_FIELDS), values, strict=True))
        return '{"form":"plain",' + _members(_PLAIN_V1, plain) + "}"
    salt = _salt(salt)
    try:
        return (
            f'{{"form":"committed","session_id":{_hidden(salt, b"session_id", session_id)}'
            f',"user_agent":{_hidden(salt, b"user_agent", user_agent)}'
            f',"user_ip":{_hidden(salt, b"user_ip", user_ip)}}}'
        )
    except (AttributeError, UnicodeEncodeError):
        raise CanonicalError("session_id, user_agent or user_ip is not Unicode text") from None


def _hidden(salt: bytes, field: bytes, value: str | None) -> str:
    """JSON of :func:`commitment`, short of calls: three for every row of a verification."""
    if value is None:
        return "null"
    return f'"sha256:{sha256(salt + field + _SEPARATOR + value.encode()).hexdigest()}"'


def _personal_values(row: Row) -> tuple[Any, Any, Any]:
    """Session, agent and address: the order of the names."""
    companion = row["companion"]
    user_agent = None if companion is None else companion["user_agent"]
    return row["session_id"], user_agent, row["user_ip"]


def _members(table: tuple[tuple[str, str, Callable[[Any], str]], ...], values: Row) -> str:
    parts = []
    for name, label, write in table:
        try:
            parts.append(label + write(values[name]))
        except (TypeError, ValueError) as error:
            raise CanonicalError(f"{name}: {error}") from None
    return ",".join(parts)


def _salt(salt: Any) -> bytes:
    if isinstance(salt, bytes) and len(salt) == SALT_BYTES:
        return salt
    if isinstance(salt, str) and _SALT_HEX.fullmatch(salt):
        return bytes.fromhex(salt)
    raise CanonicalError("the salt is not 16 bytes")


def _expect_fields(what: str, values: Any, fields: frozenset[str]) -> None:
    if type(values) is not dict and not isinstance(values, Mapping):
        raise CanonicalError(f"{what} is not an object")
    if values.keys() != fields:
        wrong = sorted(map(repr, values.keys() ^ fields))
        raise CanonicalError(f"{what} lacks or should not have: {', '.join(wrong)}")


def _refuse_lone_surrogates(text: str) -> None:
    try:
        json.dumps(json.loads(text), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise CanonicalError("a lone surrogate is not Unicode text") from None
