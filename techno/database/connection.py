"""A psycopg connection that gives up by itself when the server stops answering."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import psycopg
from psycopg import errors, sql
from psycopg.abc import PQGen

RV = TypeVar("RV")

#: What every connection of ours sets. Compiling a plan takes the server half a second, and up to
#: PostgreSQL 17 the planner thinks it worth that where a plan holds what it was told to avoid.
COMMON_SETTINGS = {"jit": "off"}

#: Connecting may take this long; psycopg rounds smaller values up to two seconds.
CONNECT_TIMEOUT_S = 2
DEFAULT_DEADLINE_S = 10.0
#: How often a wait looks at its deadline and at Ctrl-C.
WAIT_INTERVAL_S = 0.1
#: A connection plans anew after so many uses, and each time that it had so many times as many.
PLANS_ANEW_AFTER = 16
PLANS_ANEW_FACTOR = 4


class DeadlineExceeded(psycopg.OperationalError):
    """The server did not answer in time. The connection was closed; what it did is not known."""


class DeadlineConnection(psycopg.Connection[Any]):
    """A connection on which no single query lasts longer than ``deadline_s`` seconds.

    The deadline is watched here, on the client; nothing depends on the server being alive enough
    to honour a timeout. When it passes, the connection is closed, because a late answer on it
    would be taken for the next query's.
    """

    deadline_s: float = DEFAULT_DEADLINE_S

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Wrap libpq's connection; nothing is prepared on it yet."""
        super().__init__(*args, **kwargs)
        #: The texts of the statements that ``techno.database.batch`` has prepared here.
        self.prepared_texts: set[str] = set()
        self._uses = 0
        self._plans_anew_at = PLANS_ANEW_AFTER

    def keep_plans_young(self) -> None:
        """Note one more use, and have the server plan anew after 16, 64, 256 of them, and so on.

        A plan made while a table was new is kept while the table grows, until statistics are
        made, a minute later at best. Of a dozen rows any index will do: PostgreSQL 18 may choose
        one that begins with another column, and goes through all of it for each row wanted. The
        more a connection is used the more rows there may be, and the planner sees how many pages
        there are. To be called outside of a transaction. Raises ``psycopg.Error``.
        """
        self._uses += 1
        if self._uses >= self._plans_anew_at:
            self._plans_anew_at *= PLANS_ANEW_FACTOR
            self.execute("DISCARD PLANS", prepare=False)

    def wait(
        self, gen: PQGen[RV], interval: float = WAIT_INTERVAL_S, timeout: float | None = None
    ) -> RV:
        """Drive ``gen`` to its end. Raises :class:`DeadlineExceeded`."""
        limit_s = self.deadline_s if timeout is None else min(timeout, self.deadline_s)
        try:
            return super().wait(gen, min(interval, limit_s), limit_s)
        except errors._WaitTimeout as error:
            self.pgconn.finish()
            raise DeadlineExceeded(f"PostgreSQL gave no answer within {limit_s:g} s") from error


def connect(
    parameters: dict[str, Any],
    *,
    deadline_s: float,
    name: str,
    settings: Mapping[str, str] | None = None,
) -> DeadlineConnection:
    """Open an autocommit connection whose every query ends within ``deadline_s``.

    It prepares what it repeats, speaks UTF-8, and tells times in UTC. ``parameters`` are
    psycopg's, ``name`` shows in ``pg_stat_activity``, and ``settings`` are the server's for this
    connection. Raises ``psycopg.OperationalError`` when the server cannot be reached.
    """
    options: dict[str, Any] = {
        "connect_timeout": CONNECT_TIMEOUT_S,
        **parameters,
        "client_encoding": "UTF8",
        "application_name": name,
    }
    connection = DeadlineConnection.connect(**options, autocommit=True)
    connection.deadline_s = deadline_s
    try:
        wanted = {"TimeZone": "UTC", **COMMON_SETTINGS, **(settings or {})}
        connection.execute(
            sql.SQL("; ").join(
                sql.SQL("SET {} = {}").format(sql.Identifier(key), sql.Literal(value))
                for key, value in wanted.items()
            )
        )
    except BaseException:
        connection.close()
        raise
    connection.prepare_threshold = 1
    return connection
