"""The image's entrypoint as process 1 of a PID namespace, as a container runs it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from techno.processes import (
    descendants,
    is_alive,
    process_table,
    read_arguments,
    wait_until,
)
from tests import databases, isolation
from tests.docs.container_files import last_stage
from tests.service import _free_port

pytestmark = pytest.mark.slow

START_LIMIT_S = 120.0
STOP_LIMIT_S = 60.0
#: Told apart from everybody else's by its time.
ORPHAN = ["sleep", "98765.4321"]
KEY = "process-one-" + "0123456789abcdef" * 2
NAMESPACES = ["--pid", "--mount-proc", "--fork"] + (
    [] if os.geteuid() == 0 else ["--user", "--map-current-user"]
)


class Contained:
    """``serve`` as process 1 of its own namespace; ``first`` is its pid as seen from outside."""

    def __init__(self, directory: Path) -> None:
        self.port = _free_port()
        databases.copy_embedded(directory / "var")
        self._log = directory / "serve.log"
        with self._log.open("wb") as output:
            self.process = subprocess.Popen(
                ["unshare", *NAMESPACES, "--", sys.executable, *entrypoint()[1:]],
                env=isolation.service_environment(directory / "var", "")
                | {"TECHNO_PORT": str(self.port), "TECHNO_API_KEY": KEY},
                cwd=isolation.REPOSITORY,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def wait_until_serving(self) -> None:
        ended = lambda: self.process.poll() is not None  # noqa: E731
        wait_until(lambda: "Serving on" in self.output or ended(), START_LIMIT_S)
        assert "Serving on" in self.output, self.output
        (self.first,) = self.children(self.process.pid)

    def end(self) -> None:
        """End the namespace: when its process 1 is killed, the kernel kills the rest."""
        if self.process.poll() is None:
            for pid in self.children(self.process.pid):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(STOP_LIMIT_S)

    @property
    def output(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    @staticmethod
    def children(pid: int) -> list[int]:
        return [row.pid for row in process_table().values() if row.parent == pid]

    def zombies(self) -> list[int]:
        """Dead processes that process 1 has not reaped."""
        table = process_table()
        return [pid for pid in self.children(self.first) if pid in table and table[pid].is_zombie]

    def arguments(self) -> list[list[str]]:
        """The argument vectors of all that runs below process 1."""
        rows = descendants(self.first, process_table())
        return [argv for row in rows if (argv := read_arguments(row.pid))]

    def run_inside(self, script: str) -> None:
        """Run a shell script inside of the namespace, as ``docker exec`` does."""
        namespaces = ["--pid"]
        if "--user" in NAMESPACES:
            namespaces += ["--user", "--preserve-credentials"]
        subprocess.run(
            ["nsenter", "--target", str(self.first), *namespaces, "sh", "-c", script],
            check=True,
            timeout=30,
            stdin=subprocess.DEVNULL,
            capture_output=True,
        )

    def execute(self, command: str) -> Any:
        answer = httpx.post(
            f"http://127.0.0.1:{self.port}/api/execute",
            json={"command": command},
            headers={"X-API-Key": KEY},
            timeout=30,
        )
        return answer.json()


def running(argv: list[str]) -> bool:
    return any(read_arguments(pid) == argv for pid in process_table())


def entrypoint() -> list[str]:
    (found,) = last_stage("ENTRYPOINT")
    command: list[str] = json.loads(found)
    return command


@pytest.fixture
def contained() -> Iterator[Contained]:
    if shutil.which("unshare") is None:
        pytest.skip("there is no unshare here")
    if subprocess.run(
        ["unshare", *NAMESPACES, "true"], capture_output=True, check=False
    ).returncode:
        pytest.skip("no PID namespace can be made here")
    directory = Path(tempfile.mkdtemp(prefix="contained-", dir=isolation.OWN_DIRECTORY))
    directory.chmod(0o711)  # the database may run under another account
    found = Contained(directory)
    try:
        found.wait_until_serving()
        yield found
    finally:
        found.end()


def test_serve_is_an_init_of_its_own(contained: Contained) -> None:
    assert contained.execute("CLOCK")["status"] == "APPROVED"

    # What loses its parent falls to process 1, which ends and reaps it.
    contained.run_inside(f"setsid {' '.join(ORPHAN)} & setsid sh -c 'sleep 0.1' & exit 0")
    assert wait_until(lambda: not running(ORPHAN), 30)
    assert wait_until(lambda: not contained.zombies(), 30)

    # A request in progress is finished before everything ends.
    answers: list[Any] = []
    asking = threading.Thread(target=lambda: answers.append(contained.execute("NAP")))
    asking.start()
    assert wait_until(lambda: any("sleep" in argv[0] for argv in contained.arguments()), 30)
    below = descendants(contained.first, process_table())
    os.kill(contained.first, signal.SIGTERM)
    assert contained.process.wait(STOP_LIMIT_S) == 0, contained.output
    asking.join(STOP_LIMIT_S)
    assert answers[0]["status"] == "APPROVED"
    assert contained.output.rstrip().endswith("Stopped.")
    assert not any(is_alive(row) for row in below)
