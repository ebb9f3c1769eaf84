"""A database of the audit log's own for a benchmark, and what its phases cost."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg

from benchmarks.cpu_time import used_s
from benchmarks.service import manage
from techno.embedded import OWNER_ROLE, EmbeddedPostgres


@dataclass(frozen=True)
class Phase:
    """What one phase did: how many things, in how many seconds, of ours and of PostgreSQL's."""

    name: str
    count: int
    wall_s: float
    python_s: float
    postgres_s: float
    target_per_s: int = 0

    @property
    def per_s(self) -> float:
        """Things a second by the clock on the wall."""
        return self.count / self.wall_s

    @property
    def per_core_s(self) -> float:
        """Things for each second of processor time: what one undisturbed core would do."""
        return self.count / max(0.001, self.python_s + self.postgres_s)

    def line(self) -> str:
        """One line of the table."""
        target = f"{self.target_per_s:>10,}" if self.target_per_s else f"{'':>10}"
        return (
            f"{self.name:34} {self.count:>12,} {self.wall_s:>8.1f} {self.python_s:>8.1f}"
            f" {self.postgres_s:>8.1f} {self.per_s:>11,.0f} {self.per_core_s:>11,.0f} {target}"
        )


HEADING = (
    f"{'':34} {'things':>12} {'wall s':>8} {'py s':>8} {'pg s':>8} {'a second':>11}"
    f" {'a core-s':>11} {'target/s':>10}"
)


class Meter:
    """Measures phases of this process, its children, and the server below it."""

    def __init__(self) -> None:
        self.phases: list[Phase] = []

    @contextlib.contextmanager
    def phase(self, name: str, count: int, *, target_per_s: int = 0) -> Iterator[None]:
        """Measure the block and print it."""
        pid = os.getpid()
        python, postgres = used_s(pid, database=False), used_s(pid, database=True)
        began_s = time.perf_counter()
        yield
        wall = time.perf_counter() - began_s
        python, postgres = (
            used_s(pid, database=False) - python,
            used_s(pid, database=True) - postgres,
        )
        self.phases.append(Phase(name, count, wall, python, postgres, target_per_s))
        print(self.phases[-1].line(), flush=True)


def configure(directory: Path) -> None:
    """Have Django's settings name the database under ``directory``, and nothing of the caller's."""
    for name in [name for name in os.environ if name.startswith("TECHNO_")]:
        del os.environ[name]
    for name in ("DATABASE_URL", "SECRET_KEY"):
        os.environ.pop(name, None)
    os.environ |= _environment(directory) | {"DJANGO_SETTINGS_MODULE": "techno.settings"}


@contextlib.contextmanager
def database(directory: Path) -> Iterator[EmbeddedPostgres]:
    """Have an empty, migrated database under ``directory``; it is removed afterwards."""
    directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    server = EmbeddedPostgres(directory)
    server.start()
    try:
        manage(dict(os.environ) | _environment(directory), "prepare_database", "-v", "0")
        yield server
    finally:
        server.stop(hurry=True)
        shutil.rmtree(directory, ignore_errors=True)


def _environment(directory: Path) -> dict[str, str]:
    return {"TECHNO_ENV_FILE": "none", "TECHNO_VAR_DIR": str(directory)}


def owner(server: EmbeddedPostgres) -> psycopg.Connection[tuple[object, ...]]:
    """Connect as the owner of the tables."""
    return psycopg.connect(**server.connection(OWNER_ROLE), autocommit=True)  # type: ignore[arg-type]
