"""Times that a calendar has. PostgreSQL's reach further, and another writer may have used them.

Such a row is shown at the calendar's nearer end, so that whoever reads a list can parse every time
in it. What really stands there is in the row, in its leaf and in its place in the order.
"""

from __future__ import annotations

FIRST = "0001-01-01 00:00:00+00"
LAST = "9999-12-31 23:59:59.999+00"


def within_calendar(column: str) -> str:
    """Return the SQL expression for the time in ``column``, brought into the calendar."""
    return f"least(greatest({column}, timestamptz '{FIRST}'), timestamptz '{LAST}')"
