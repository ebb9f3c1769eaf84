"""Shared reads: fewer queries than questions, and never an answer older than its question."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from techno.database.errors import StoreUnavailable
from techno.database.shared_reads import SharedReads

THREADS = 16
QUESTIONS = 60


def test_no_answer_is_older_than_its_question() -> None:
    written = 0
    asked = 0

    def ask(sql: str, parameters: tuple[object, ...]) -> tuple[int]:
        nonlocal asked
        asked += 1
        seen = written
        time.sleep(0.001)
        return (seen,)

    shared = SharedReads(ask, wait_s=10)

    def work(_: int) -> None:
        nonlocal written
        for _ in range(QUESTIONS):
            written = before = written + 1
            row = shared.row("SELECT", "same")
            assert row is not None
            assert row[0] >= before

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(work, range(THREADS)))
    assert asked < THREADS * QUESTIONS / 2
    assert not shared._asked, "an idle reader remembers no question"


def test_different_questions_do_not_wait_for_each_other() -> None:
    both = threading.Barrier(2, timeout=10)

    def ask(sql: str, parameters: tuple[object, ...]) -> tuple[object, ...]:
        both.wait()
        return parameters

    shared = SharedReads(ask, wait_s=10)
    with ThreadPoolExecutor(2) as pool:
        rows = pool.map(lambda key: shared.row("SELECT", key), ("a", "b"))
        assert list(rows) == [("a",), ("b",)]


def test_all_who_share_a_failure_are_told_and_the_next_question_is_asked_anew() -> None:
    fails = True

    def ask(sql: str, parameters: tuple[object, ...]) -> tuple[object, ...] | None:
        time.sleep(0.01)
        if fails:
            raise StoreUnavailable("away")
        return None

    shared = SharedReads(ask, wait_s=10)

    def question(_: int) -> str:
        try:
            return str(shared.row("SELECT"))
        except StoreUnavailable as error:
            return str(error)

    with ThreadPoolExecutor(THREADS) as pool:
        assert set(pool.map(question, range(THREADS * 3))) == {"away"}
    fails = False
    assert shared.row("SELECT") is None


def test_who_waits_too_long_gives_up_and_leaves_the_queue() -> None:
    released = threading.Event()

    def ask(sql: str, parameters: tuple[object, ...]) -> tuple[int]:
        released.wait(10)
        return (1,)

    shared = SharedReads(ask, wait_s=0.05)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(shared.row, "SELECT")
        while not shared._asked:
            time.sleep(0.001)
        with pytest.raises(StoreUnavailable, match="did not finish"):
            shared.row("SELECT")
        released.set()
        assert first.result(10) == (1,)
    assert shared.row("SELECT") == (1,)
