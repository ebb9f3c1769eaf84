"""Equal questions asked at the same time are asked of the database once.

An answer is only shared with those who asked before its query was sent: whoever comes while a
query is under way waits for the next one, which all who wait by then share. So nobody is given
an answer that is older than the question, and one caller alone pays no more than its own query.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

from techno.database.errors import StoreUnavailable

Row = tuple[Any, ...]
Question = tuple[str, tuple[Any, ...]]


class _Waiter:
    """One caller, and the lock on which it sleeps until it has an answer or is to ask itself."""

    __slots__ = ("baton", "error", "lead", "row", "settled")

    def __init__(self) -> None:
        self.row: Row | None = None
        self.error: BaseException | None = None
        self.settled = False
        self.lead = False
        self.baton = threading.Lock()
        self.baton.acquire()


class SharedReads:
    """Shares the first row of equal queries across the threads of this process.

    ``ask`` runs a query and bounds how long it takes; ``wait_s`` bounds how long a caller waits
    behind the queries of others.
    """

    def __init__(self, ask: Callable[[str, tuple[Any, ...]], Row | None], *, wait_s: float) -> None:
        self._ask = ask
        self._wait_s = wait_s
        self._start_over()

    def _start_over(self) -> None:
        """Forget everything that belongs to another process (after a fork)."""
        self._pid = os.getpid()
        self._mutex = threading.Lock()
        #: Questions that are being asked, each with those who wait for its next turn.
        self._asked: dict[Question, list[_Waiter]] = {}

    def row(self, sql: str, *parameters: Any) -> Row | None:
        """Return the first row of a query, or ``None``. Raises :class:`StoreUnavailable`."""
        if self._pid != os.getpid():
            self._start_over()
        question = (sql, parameters)
        waiter = None
        with self._mutex:
            waiting = self._asked.get(question)
            if waiting is None:
                self._asked[question] = []
            else:
                waiter = _Waiter()
                waiting.append(waiter)
        if waiter is not None:
            self._await_turn(question, waiter)
            if waiter.settled:
                if waiter.error is not None:
                    raise waiter.error
                return waiter.row
        return self._lead(question)

    def _await_turn(self, question: Question, waiter: _Waiter) -> None:
        """Sleep until somebody brought our answer or handed us the lead."""
        if waiter.baton.acquire(timeout=self._wait_s):
            return
        with self._mutex:
            if waiter.settled or waiter.lead:  # in the very moment
                return
            waiting = self._asked.get(question, [])
            if waiter in waiting:
                waiting.remove(waiter)
        raise StoreUnavailable(f"the reader ahead did not finish in {self._wait_s:g} s")

    def _lead(self, question: Question) -> Row | None:
        """Ask for ourselves and all who wait by now, then hand the lead to who came meanwhile."""
        with self._mutex:
            sharing = self._asked[question]
            self._asked[question] = []
        row: Row | None = None
        failure: BaseException | None = None
        try:
            row = self._ask(*question)
            return row
        except BaseException as error:
            failure = (
                error
                if isinstance(error, Exception)
                else StoreUnavailable(f"the reader failed: {type(error).__name__}")
            )
            raise
        finally:
            self._land(question, sharing, row, failure)

    def _land(
        self,
        question: Question,
        sharing: list[_Waiter],
        row: Row | None,
        failure: BaseException | None,
    ) -> None:
        """Hand the lead on, then give everybody who shares this query its answer."""
        with self._mutex:
            waiting = self._asked[question]
            if waiting:
                successor = waiting.pop(0)
                successor.lead = True
                successor.baton.release()
            else:
                del self._asked[question]
        for waiter in sharing:
            waiter.row, waiter.error, waiter.settled = row, failure, True
            waiter.baton.release()
