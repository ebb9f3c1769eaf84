"""A verification that is killed leaves none of its processes behind."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time

import psutil
import pytest

from tests import isolation
from tests.service import Services

pytestmark = pytest.mark.slow

ROWS = 60_000
LIMIT_S = 60.0


def test_workers_end_with_their_parent(start_service: Services) -> None:
    with start_service(embedded=True) as service:
        service.sql("INSERT INTO audit_simulation VALUES ('techno-test-database')")
        service.manage("audit", "simulate", "--rows", str(ROWS), "--days", "10")
        service.manage("audit", "checkpoint")
        verifying = subprocess.Popen(
            [sys.executable, str(isolation.REPOSITORY / "manage.py"), "audit", "verify"],
            env=service.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline_s = time.monotonic() + LIMIT_S
        opened = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'techno-verify'"
        while not (workers := _workers_of(verifying)) or (
            service.sql(opened)[0][0] <= len(workers)  # one is the parent's own
        ):
            assert verifying.poll() is None, "it ended before it was killed"
            assert time.monotonic() < deadline_s
        for worker in workers:
            worker.suspend()  # who is busy would end by itself, at the end of its work
        verifying.kill()
        verifying.wait()
        deadline_s = time.monotonic() + 10
        while any(_is_living(worker) for worker in workers):
            assert time.monotonic() < deadline_s, "a worker outlived its parent"
            time.sleep(0.05)


def _workers_of(verifying: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Return the processes that hash, without the one that keeps Python's books."""
    found = []
    for process in psutil.Process(verifying.pid).children():
        with contextlib.suppress(psutil.NoSuchProcess):
            if any("spawn_main" in argument for argument in process.cmdline()):
                found.append(process)
    return found


def _is_living(process: psutil.Process) -> bool:
    """Whether it still is a process; who reaps an orphan, and when, is not ours to say."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
