"""Queries on one connection, each text prepared once, each question one exchange with libpq.

A cursor of psycopg costs several times what such a query costs the server. What stays psycopg's
is the conversion of values, both ways: a row looks as if a cursor had fetched it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from psycopg import errors, generators
from psycopg.abc import Buffer, PQGen
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import ExecStatus, Format, TransactionStatus
from psycopg.pq.abc import PGresult

from techno.database.connection import DeadlineConnection

Parameters = Sequence[Any] | Mapping[str, Any] | None

#: A connection that has prepared more texts than this is done with: people make up the lists'
#: questions, and each prepared one takes memory of the server's.
PREPARED_MOST = 200

_PLACEHOLDER = re.compile(r"%(?:%|s|\(([A-Za-z_][A-Za-z0-9_]*)\)s)")
_TEXTS_REMEMBERED = 512


class PointQueries:
    """Runs queries on ``connection``, which is in autocommit and used by one thread at a time."""

    __slots__ = ("_prepared", "_transformer", "connection")

    def __init__(self, connection: DeadlineConnection) -> None:
        self.connection = connection
        self._transformer = Transformer(connection)
        #: By text and types of the parameters, for these decide what the text means.
        self._prepared: dict[tuple[str, tuple[int, ...]], bytes] = {}

    @property
    def is_reusable(self) -> bool:
        """Whether the connection is of use for another query."""
        return (
            self.connection.pgconn.transaction_status == TransactionStatus.IDLE
            and len(self._prepared) <= PREPARED_MOST
        )

    def rows(self, sql: str, parameters: Parameters = None) -> list[tuple[Any, ...]]:
        """Return all rows of a query, none for a statement without a result.

        ``sql`` has psycopg's placeholders, ``%s`` or ``%(name)s``, unless there are no
        parameters. Raises ``psycopg.Error``.
        """
        text, values = (sql, ()) if not parameters else _positional(sql, parameters)
        dumped = self._transformer.dump_sequence(values, [PyFormat.AUTO] * len(values))
        types = self._transformer.types or ()
        formats = self._transformer.formats
        connection = self.connection
        connection.keep_plans_young()
        result = connection.wait(self._exchange(text, dumped, types, formats))
        if result.status == ExecStatus.TUPLES_OK:
            self._transformer.set_pgresult(result)
            return self._transformer.load_rows(0, result.ntuples, tuple)
        if result.status == ExecStatus.COMMAND_OK:
            return []
        raise errors.error_from_result(result, encoding=connection.info.encoding)

    def _exchange(
        self,
        text: str,
        values: Sequence[Buffer | None],
        types: tuple[int, ...],
        formats: Sequence[Format] | None,
    ) -> PQGen[PGresult]:
        """Send one query, prepared before unless it was, and return what came of it."""
        pgconn = self.connection.pgconn
        name = self._prepared.get((text, types))
        if name is None:
            name = b"techno_read_%d" % len(self._prepared)
            pgconn.send_prepare(name, text.encode(self.connection.info.encoding), types)
            prepared: PGresult = (yield from generators.execute(pgconn))[-1]
            if prepared.status != ExecStatus.COMMAND_OK:
                return prepared
            self._prepared[text, types] = name
        pgconn.send_query_prepared(name, values, formats)
        result: PGresult = (yield from generators.execute(pgconn))[-1]
        return result


def _positional(sql: str, parameters: Sequence[Any] | Mapping[str, Any]) -> tuple[str, list[Any]]:
    """Return ``sql`` with the server's placeholders, and its values in their order."""
    text, names = _converted(sql)
    if isinstance(parameters, Mapping):
        return text, [parameters[name] for name in names]
    if len(names) != len(parameters) or any(names):
        raise errors.ProgrammingError(
            f"{len(names)} placeholders, {len(parameters)} parameters in their order"
        )
    return text, list(parameters)


@lru_cache(_TEXTS_REMEMBERED)
def _converted(sql: str) -> tuple[str, tuple[str, ...]]:
    """Return ``sql`` with ``$1``… and the name of each parameter, empty for one without."""
    names: list[str] = []

    def number(found: re.Match[str]) -> str:
        if found[0] == "%%":
            return "%"
        name = found[1] or ""
        if not name or name not in names:
            names.append(name)
            return f"${len(names)}"
        return f"${names.index(name) + 1}"

    return _PLACEHOLDER.sub(number, sql), tuple(names)
