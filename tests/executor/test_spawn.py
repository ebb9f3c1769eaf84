"""What cannot be started is told, never raised, and costs nothing."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from executor.engine import Command, Outcome, run

LONG = "x" * 200_000

pytestmark = pytest.mark.usefixtures("nothing_left")


def pipes() -> set[str]:
    """The pipes that this process holds."""
    held = set()
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            held.add(os.readlink(f"/proc/self/fd/{name}"))
    return {target for target in held if target.startswith("pipe:")}


def failure(command: Command) -> str:
    before = pipes()
    result = run(command)
    assert (result.outcome, result.pid, result.exit_code) == (Outcome.SPAWN_FAILED, None, None)
    # What others hold may come and go meanwhile; what a start opens are pipes.
    assert pipes() <= before
    result.detail.encode()
    return result.detail


@pytest.mark.parametrize(
    ("command", "detail"),
    [
        (Command(()), "argv names no program"),
        (Command(("",)), "argv names no program"),
        (Command("/bin/true"), "argv is a string"),  # type: ignore[arg-type]
        (Command(("/bin/true", 7)), "argument 1: not text"),  # type: ignore[arg-type]
        (Command(("/bin/true", "a\0b")), "argument 1: holds a NUL"),
        (Command(("/bin/true", "\ud800")), "argument 1: holds a lone surrogate"),
        (Command(("/bin/true", "a\udcff")), "argument 1: holds a lone surrogate"),
        (Command(("/bin/true", LONG)), "/bin/true: Argument list too long"),
        (Command(("/bin/true", *("x" * 1000,) * 20_000)), "Argument list too long"),
        (Command(("/bin/true",), env={"A": LONG}), "Argument list too long"),
        (Command(("/bin/true",), env={"": "x"}), "not a name"),
        (Command(("/bin/true",), env={"A=B": "x"}), "not a name"),
        (Command(("/bin/true",), env={"A": "\0secret"}), "'A': holds a NUL"),
        (Command(("/bin/true",), env={"A": None}), "'A': not text"),  # type: ignore[dict-item]
        (Command(("/bin/true",), env={"\ud800": "x"}), "'\\ud800': holds a lone surrogate"),
        (Command(("/bin/true",), env=None), "mapping"),  # type: ignore[arg-type]
        (Command(("/bin/true",), marker="a\0b"), "NUL"),
        (Command(("/bin/true",), marker="\ud800"), "surrogate"),
        (Command(("/bin/true",), cwd="a\0b"), "working directory: holds a NUL"),
        (Command(("/bin/true",), cwd="/nowhere"), "working directory /nowhere: No such file"),
        (Command(("/bin/true",), cwd="/etc/passwd"), "/etc/passwd: Not a directory"),
        (Command(("/nowhere/program",)), "/nowhere/program: No such file or directory"),
        (Command(("no-such-program",)), "no-such-program: not found in /usr/local/sbin:"),
        (Command(("/etc",)), "/etc: Permission denied"),
        (Command(("/etc/passwd",)), "/etc/passwd: Permission denied"),
        (Command(("./" + "x" * 300,)), "File name too long"),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)
def test_each_kind_of_failure_is_told(command: Command, detail: str) -> None:
    told = failure(command)
    assert detail in told
    assert "secret" not in told


def test_a_script_without_interpreter_or_format(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/nowhere/interpreter\n")
    script.chmod(0o755)
    assert failure(Command((str(script),))) == f"{script}: its interpreter does not exist"
    script.write_text("echo no shell guesses what this is\n")
    assert failure(Command((str(script),))) == f"{script}: Exec format error"


def test_a_name_is_looked_up_in_the_path_of_the_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "greet"
    script.write_text("#!/bin/sh\necho hello\n")
    script.chmod(0o755)
    assert run(Command(("greet",), env={"PATH": str(tmp_path)})).stdout == "hello\n"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "not found" in failure(Command(("greet",)))


def test_no_descriptor_left_to_start_with() -> None:
    taken: list[int] = []
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))
    try:
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.dup(2))
        results = []
        for _ in range(6):  # room for none, one, … five descriptors: six are needed
            results.append(run(Command(("/bin/true",))))
            os.close(taken.pop())
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert {result.outcome for result in results[:5]} == {Outcome.SPAWN_FAILED}
    assert all("Too many open files" in result.detail for result in results[:5])
    assert run(Command(("/bin/true",))).exit_code == 0


def test_a_service_without_standard_streams_of_its_own() -> None:
    """Descriptors 0 to 2 are free, so the pipes get these numbers."""
    script = """
        import os
        from executor.engine import Command, run
        kept = os.dup(1)
        for descriptor in (0, 1, 2):
            os.close(descriptor)
        result = run(Command(("/bin/sh", "-c", "cat; echo out; echo err >&2")))
        os.write(kept, repr((result.stdout, result.stderr)).encode())
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=True,
    )
    assert done.stdout == b"('out\\n', 'err\\n')"
