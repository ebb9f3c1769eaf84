"""Version 1 of the leaf: its JSON, written straight into one text.

Frozen. Leaves were sealed with exactly these bytes, so nothing here changes any more; a new need
makes a `leaf_v2` beside it. Written out by hand instead of through `json`, because verifying a
log means doing this for every row of it. `audit.canonical` is the way in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from json.encoder import encode_basestring_ascii as _quote
from typing import Any
from uuid import UUID

HEADER = b"techno-audit-leaf/v1\n"

INTEGER_LIMIT = 2**53 - 1
"""Integers beyond this, either way, are not read alike by all JSON parsers."""

SALT_BYTES = 16

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


class CanonicalError(ValueError):
    """The row is not one that this version of the leaf format can express."""


# ---- One writer for each type of value: JSON text, or TypeError or ValueError.


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


def timestamp_text(moment: datetime) -> str:
    """``YYYY-MM-DDTHH:MM:SS.ffffffZ``; CanonicalError when `moment` has no time zone."""
    if moment.tzinfo is None:
        raise CanonicalError("a timestamp without a time zone names no moment")
    text = moment.astimezone(UTC).isoformat()[:-6]  # ends in +00:00
    return text + "Z" if len(text) == 26 else text + ".000000Z"


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


_Writers = Mapping[str, Callable[[Any], str]]

_COMPANION: _Writers = {
    **dict.fromkeys(("action", "execution_id", "host", "key_prefix", "message", "method"), _text),
    **dict.fromkeys(("path", "principal_kind", "principal_label", "status", "user_agent"), _text),
    "detail": _flat_object,
    "duration_ms": _integer,
    "http_status": _integer,
}
_COLUMNS: _Writers = {"reason_codes": _codes, "timestamp": _timestamp, "trace_id": _uuid}
_COMMITMENTS: _Writers = dict.fromkeys(("session_id", "user_agent", "user_ip"), _commitment)

COMPANION_FIELDS = frozenset(_COMPANION)
PERSONAL_FIELDS = frozenset(_COMMITMENTS)
ROW_FIELDS = frozenset({*_COLUMNS, "session_id", "user_ip", "companion", "salt", "commitments"})


# ---- One writer for each object. Their members stand in code point order of the names.


def leaf_text(row: Mapping[str, Any]) -> str:
    """JSON of the leaf of `row`. Raises CanonicalError, naming the field that does not fit."""
    expect_fields("the row", row, ROW_FIELDS)
    companion = row["companion"]
    known = "null" if companion is None else _companion(companion)
    personal = _personal(row)
    try:
        return (
            f'{{"companion":{known},"personal":{personal}'
            f',"reason_codes":{_codes(row["reason_codes"])}'
            f',"timestamp":{_timestamp(row["timestamp"])},"trace_id":{_uuid(row["trace_id"])}}}'
        )
    except (TypeError, ValueError):
        _name_misfits(row, _COLUMNS)
        raise


def _companion(values: Mapping[str, Any]) -> str:
    expect_fields("the companion", values, COMPANION_FIELDS)
    text = _text
    try:
        return (
            f'{{"action":{text(values["action"])},"detail":{_flat_object(values["detail"])}'
            f',"duration_ms":{_integer(values["duration_ms"])}'
            f',"execution_id":{text(values["execution_id"])},"host":{text(values["host"])}'
            f',"http_status":{_integer(values["http_status"])}'
            f',"key_prefix":{text(values["key_prefix"])},"message":{text(values["message"])}'
            f',"method":{text(values["method"])},"path":{text(values["path"])}'
            f',"principal_kind":{text(values["principal_kind"])}'
            f',"principal_label":{text(values["principal_label"])}'
            f',"status":{text(values["status"])}}}'
        )
    except (TypeError, ValueError):
        _name_misfits(values, _COMPANION)
        raise


def _personal(row: Mapping[str, Any]) -> str:
    salt, commitments, companion = row["salt"], row["commitments"], row["companion"]
    session_id, user_ip = row["session_id"], row["user_ip"]
    user_agent = None if companion is None else companion["user_agent"]
    if commitments is not None:
        if any(value is not None for value in (salt, session_id, user_agent, user_ip)):
            raise CanonicalError("a redacted row still has its salt or a personal value")
        expect_fields("commitments", commitments, PERSONAL_FIELDS)
        _name_misfits(commitments, _COMMITMENTS)
        return _form("committed", *(_commitment(commitments[f]) for f in sorted(PERSONAL_FIELDS)))
    try:
        if salt is None:
            return _form("plain", _text(session_id), _text(user_agent), _text(user_ip))
        salt = salt_bytes(salt)
        return _form(
            "committed",
            _hidden(salt, b"session_id\x00", session_id),
            _hidden(salt, b"user_agent\x00", user_agent),
            _hidden(salt, b"user_ip\x00", user_ip),
        )
    except UnicodeEncodeError:
        raise CanonicalError("a lone surrogate is not Unicode text") from None
    except (TypeError, AttributeError):
        raise CanonicalError("session_id, user_agent or user_ip is not text") from None


def _form(form: str, session_id: str, user_agent: str, user_ip: str) -> str:
    return (
        f'{{"form":"{form}","session_id":{session_id}'
        f',"user_agent":{user_agent},"user_ip":{user_ip}}}'
    )


def _hidden(salt: bytes, field: bytes, value: str | None) -> str:
    if value is None:
        return "null"
    return f'"sha256:{sha256(salt + field + value.encode()).hexdigest()}"'


def salt_bytes(salt: bytes | str) -> bytes:
    """A salt's 16 bytes, from these or from their hex. Raises CanonicalError."""
    if isinstance(salt, bytes) and len(salt) == SALT_BYTES:
        return salt
    if isinstance(salt, str) and _SALT_HEX.fullmatch(salt):
        return bytes.fromhex(salt)
    raise CanonicalError("the salt is not 16 bytes")


def expect_fields(what: str, values: Any, fields: frozenset[str]) -> None:
    """Raise CanonicalError unless `values` is a mapping with exactly these `fields`."""
    if type(values) is not dict and not isinstance(values, Mapping):
        raise CanonicalError(f"{what} is not an object")
    if values.keys() != fields:
        wrong = sorted(map(repr, values.keys() ^ fields))
        raise CanonicalError(f"{what} lacks or should not have: {', '.join(wrong)}")


def _name_misfits(values: Mapping[str, Any], writers: _Writers) -> None:
    """Raise CanonicalError for the first value that its writer cannot write, if there is one."""
    for name, write in writers.items():
        try:
            write(values[name])
        except (TypeError, ValueError) as error:
            raise CanonicalError(f"{name}: {error}") from None
