"""One statement on one connection, with a deadline of our own.

A frozen server accepts connections and never answers, and neither libpq nor psycopg gives a
query a deadline on the client's side. So this drives libpq without ever blocking.
"""

from __future__ import annotations

import select
import time
from collections.abc import Mapping

from psycopg import OperationalError, conninfo, pq

Rows = list[tuple[str | None, ...]]


class QueryError(Exception):
    """The statement gave no result. `sqlstate` is empty when no server said anything."""

    def __init__(self, message: str, sqlstate: str = "") -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


class QueryTimeoutError(QueryError):
    """The deadline passed before the answer came."""


def run_query(parameters: Mapping[str, object], statement: str, *, timeout_s: float) -> Rows:
    """Connect, run `statement` (one, or several separated by semicolons), and disconnect.

    Returns the rows of the last statement, values in text form. Raises `QueryError`, and
    `QueryTimeoutError` when connecting and answering together took longer than `timeout_s`.
    """
    deadline = time.monotonic() + timeout_s
    given = {key: str(value) for key, value in parameters.items()}
    try:
        connection = _connect(conninfo.make_conninfo("", **given), deadline)
        try:
            connection.send_query(statement.encode())
            return _results(connection, deadline)
        finally:
            connection.finish()
    except OperationalError as error:
        raise QueryError(str(error).strip(), error.sqlstate or "") from error


def _connect(text: str, deadline: float) -> pq.abc.PGconn:
    connection: pq.abc.PGconn = pq.PGconn.connect_start(text.encode())
    connection.nonblocking = 1
    try:
        while True:
            step = connection.connect_poll()
            if step == pq.PollingStatus.OK:
                return connection
            if step == pq.PollingStatus.FAILED:
                raise QueryError(_message(connection.error_message))
            _wait(connection, deadline, writing=step == pq.PollingStatus.WRITING)
    except BaseException:
        connection.finish()
        raise


def _results(connection: pq.abc.PGconn, deadline: float) -> Rows:
    rows: Rows = []
    failure: QueryError | None = None
    while True:
        while connection.flush():
            _wait(connection, deadline, writing=True)
        while connection.is_busy():
            _wait(connection, deadline, writing=False)
            connection.consume_input()
        result = connection.get_result()
        if result is None:
            break
        if result.status == pq.ExecStatus.FATAL_ERROR:
            state = result.error_field(pq.DiagnosticField.SQLSTATE) or b""
            failure = failure or QueryError(_message(result.error_message), state.decode())
        else:
            rows = _rows(result)
    if failure is not None:
        raise failure
    return rows


def _rows(result: pq.abc.PGresult) -> Rows:
    def value(row: int, column: int) -> str | None:
        raw = result.get_value(row, column)
        return None if raw is None else raw.decode()

    return [
        tuple(value(row, column) for column in range(result.nfields))
        for row in range(result.ntuples)
    ]


def _wait(connection: pq.abc.PGconn, deadline: float, *, writing: bool) -> None:
    poller = select.poll()
    poller.register(connection.socket, select.POLLOUT if writing else select.POLLIN)
    left_s = deadline - time.monotonic()
    if left_s <= 0 or not poller.poll(left_s * 1000):
        raise QueryTimeoutError("the server did not answer in time")


def _message(raw: bytes) -> str:
    return raw.decode(errors="replace").strip()
