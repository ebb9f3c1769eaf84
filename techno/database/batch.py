"""Several statements, one transaction, one exchange with the server.

What psycopg's cursors, pipelines and transactions do besides (adapting, fetching, nesting) costs
more processor time than the statements themselves, and gives the interpreter lock away once for
each; this talks to libpq directly. Errors are psycopg's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from hashlib import sha256

from psycopg import errors, generators
from psycopg.abc import PQGen
from psycopg.pq import ExecStatus, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult

from techno.database.connection import DeadlineConnection

_DONE = frozenset({ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK})

_NAME_DIGITS = 32


def transact(connection: DeadlineConnection, commands: Sequence[tuple[str, bytes]]) -> None:
    """Run ``commands`` in one transaction and return when it is committed.

    Each is a statement with the one placeholder ``%s``, and its parameter as text in UTF-8, which
    is what every connection of ours speaks (``techno.database.connection``). ``connection`` must be
    in autocommit and outside of a transaction. Raises ``psycopg.Error``: nothing was committed
    then, unless the connection was lost while it waited for the answer. A connection on which
    the exchange did not come to its end is closed.
    """
    connection.keep_plans_young()
    try:
        failure = connection.wait(_exchange(connection, commands))
    except BaseException:
        connection.pgconn.finish()
        raise
    if connection.pgconn.transaction_status != TransactionStatus.IDLE:
        connection.rollback()
    if failure is not None:
        raise errors.error_from_result(failure, encoding=connection.info.encoding)


def _exchange(
    connection: DeadlineConnection, commands: Sequence[tuple[str, bytes]]
) -> PQGen[PGresult | None]:
    """Send everything, then receive everything; return the first result that is a failure.

    No BEGIN and no COMMIT: what is sent before one Sync is one transaction, which commits there.
    When that commit fails, its error comes as one more result.
    """
    pgconn, prepared = connection.pgconn, connection.prepared_texts
    if len(commands) == 1 and commands[0][0] in prepared:
        ((sql, parameter),) = commands
        pgconn.send_query_prepared(_name(sql), [parameter])
        return _failure((yield from generators.execute(pgconn)))
    preparing: dict[int, str] = {}
    sent = 0
    pgconn.enter_pipeline_mode()
    for sql, parameter in commands:
        name = _name(sql)
        if sql not in prepared and sql not in preparing.values():
            preparing[sent] = sql
            pgconn.send_prepare(name, _numbered(sql))
            sent += 1
        pgconn.send_query_prepared(name, [parameter])
        sent += 1
    pgconn.pipeline_sync()
    yield from generators.send(pgconn)
    results = yield from _receive(pgconn, sent)
    pgconn.exit_pipeline_mode()
    # What was prepared stays so for the connection's life, whatever became of the transaction.
    prepared.update(sql for at, sql in preparing.items() if results[at].status in _DONE)
    return _failure(results)


def _failure(results: Sequence[PGresult]) -> PGresult | None:
    for result in results:
        if result.status not in _DONE:
            return result
    return None


def _receive(pgconn: PGconn, least: int) -> PQGen[list[PGresult]]:
    """Return the results of at least so many commands, and take that of the Sync."""
    results: list[PGresult] = []
    while True:
        for result in (yield from generators.fetch_many(pgconn)):
            if result.status != ExecStatus.PIPELINE_SYNC:
                results.append(result)
            elif len(results) >= least:
                return results
            else:
                raise errors.InternalError("the server's answers do not match what was sent")


@cache
def _name(sql: str) -> bytes:
    """Return the name under which every connection prepares ``sql``."""
    return b"techno_" + sha256(sql.encode()).hexdigest().encode()[:_NAME_DIGITS]


@cache
def _numbered(sql: str) -> bytes:
    """Return ``sql`` with libpq's placeholder in place of psycopg's."""
    return sql.replace("%s", "$1").replace("%%", "%").encode()
