"""Lists that are read by position: the next rows after a place in an index, never row number n.

A list that only grows cannot be counted or skipped into at a bearable price. Page one thousand
costs what page one costs when a page is "the newest rows before this one".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from django.core import signing
from django.db.models import Model, Q, QuerySet

Row = TypeVar("Row")
M = TypeVar("M", bound=Model)


class BadCursor(ValueError):
    """The cursor was not made by this list."""


@dataclass(frozen=True, slots=True)
class KeysetPage(Generic[Row]):
    """Rows, newest first, and the cursor of the older ones (empty at the end)."""

    rows: list[Row]
    older: str = ""


@dataclass(frozen=True, slots=True)
class Keyset:
    """The order of one list: a time and, where times are equal, an identity; both descending.

    There must be an index on both in this order. ``salt`` keeps the cursors of one list from
    being used in another.
    """

    moment: str
    identity: str
    salt: str

    def page(self, rows: QuerySet[M], *, cursor: str, limit: int) -> KeysetPage[M]:
        """Return the ``limit`` newest of ``rows`` before ``cursor``. Raises :class:`BadCursor`."""
        if cursor:
            rows = rows.filter(self._before(*self.decode(cursor)))
        ordered = rows.order_by(f"-{self.moment}", f"-{self.identity}")
        found = list(ordered[: limit + 1])
        more = len(found) > limit
        return KeysetPage(found[:limit], self.encode(found[limit - 1]) if more else "")

    def _before(self, moment: datetime, identity: str) -> Q:
        # The first condition alone is what the index is searched by; the rest breaks ties.
        return Q(**{f"{self.moment}__lte": moment}) & (
            Q(**{f"{self.moment}__lt": moment}) | Q(**{f"{self.identity}__lt": identity})
        )

    def encode(self, row: Any) -> str:
        """Return the signed position of ``row``; safe in a URL as it is."""
        moment: datetime = getattr(row, self.moment)
        position = f"{moment.isoformat()}~{getattr(row, self.identity)}".encode()
        return self._signer().sign(signing.b64_encode(position).decode())

    def decode(self, cursor: str) -> tuple[datetime, str]:
        """Return the position that ``cursor`` stands for. Raises :class:`BadCursor`."""
        try:
            encoded = self._signer().unsign(cursor)
            position = signing.b64_decode(encoded.encode("ascii")).decode()
            moment, identity = position.split("~", 1)
            return datetime.fromisoformat(moment), identity
        except (signing.BadSignature, ValueError) as error:
            raise BadCursor("the cursor is not one of this list") from error

    def _signer(self) -> signing.Signer:
        return signing.Signer(salt=self.salt, sep=".")
