"""Further workers, started as an operator starts them on another host."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from techno.launch import launch_command
from techno.processes import wait_until
from tests import isolation
from tests.service import Service

START_LIMIT_S = 60.0
STOP_LIMIT_S = 60.0


@contextmanager
def worker(service: Service, *arguments: str, **environ: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``manage.py worker`` beside a service for the block."""
    seen = _registered(service)
    command = [sys.executable, str(isolation.REPOSITORY / "manage.py"), "worker", *arguments]
    log = service.directory / "workers.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            launch_command(command, death_signal=signal.SIGTERM),
            env=service.environment | environ,
            cwd=isolation.REPOSITORY,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        assert wait_until(lambda: bool(_registered(service) - seen), START_LIMIT_S), log.read_text()
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        process.wait(STOP_LIMIT_S)


def _registered(service: Service) -> set[int]:
    return {number for (number,) in service.sql("SELECT id FROM procrastinate_workers")}
