"""A service of one's own for measuring keys: started alone, with settings of the measurement."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks import service


@dataclass(frozen=True, slots=True)
class Measured:
    """A running service; ``environment`` is that of its commands, ``pid`` its supervisor."""

    port: int
    key: str
    environment: dict[str, str]
    pid: int

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def issue(self, label: str, *arguments: str) -> str:
        """Issue a key and return its text."""
        return service.manage(self.environment, "apikey", "create", label, *arguments)


@contextlib.contextmanager
def measured(**settings: str) -> Iterator[Measured]:
    """Start a service with these settings; end and remove it afterwards."""
    service.RESULTS.mkdir(parents=True, exist_ok=True)
    directory: Path = service.RESULTS / f"access-{os.getpid()}"
    directory.mkdir(mode=0o755)
    (port,) = service._free_ports(1)
    environment = service._environment(directory) | {"TECHNO_PORT": str(port)} | settings
    try:
        with service._process(
            "service", [sys.executable, "manage.py", "serve"], environment, directory
        ) as process:
            service._wait_for(port, process, directory / "service.log")
            key = service.manage(environment, "apikey", "create", "benchmark")
            yield Measured(port, key, environment, process.pid)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
