"""Driver errors, translated once: callers tell outages from refusals by type, never by text."""

from __future__ import annotations

import psycopg
from psycopg import errors


class StoreError(Exception):
    """The database did not do what was asked. The message is for operators, not for callers."""


class StoreUnavailable(StoreError):
    """The database cannot take or give anything now: down, full, read-only, hung, overloaded."""


class StoreSlow(StoreUnavailable):
    """The database answers, but this query took too long and was ended by the server."""


class DuplicateKey(StoreError):
    """A row with this key exists already; ``constraint`` names the rule that refused it."""

    def __init__(self, message: str, constraint: str) -> None:
        super().__init__(message)
        self.constraint = constraint


class DataRefused(StoreError):
    """The row itself cannot be stored (a value out of range, a broken reference)."""


class ValueMissing(DataRefused):
    """A row lacks a value that it must have; ``column`` names where."""

    def __init__(self, message: str, column: str) -> None:
        super().__init__(message)
        self.column = column


#: SQLSTATE classes and codes that mean "not now" rather than "never".
_OUTAGE_CLASSES = ("08", "53", "57", "58", "25", "XX", "40", "55")


def translate(error: psycopg.Error) -> StoreError:
    """Return what a driver error means to us; without an SQLSTATE it is an outage."""
    state = error.sqlstate or ""
    text = f"{type(error).__name__} {state}: {str(error).strip().splitlines()[:1]}"
    if isinstance(error, errors.UniqueViolation):
        return DuplicateKey(text, error.diag.constraint_name or "")
    if isinstance(error, errors.NotNullViolation):
        return ValueMissing(text, error.diag.column_name or "")
    if isinstance(error, errors.QueryCanceled):
        return StoreSlow(text)
    if not state or state.startswith(_OUTAGE_CLASSES):
        return StoreUnavailable(text)
    return DataRefused(text)
