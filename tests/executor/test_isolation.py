"""Isolation: each limit bites, and what that is told as. No database: programs are run directly."""

from __future__ import annotations

import os
import socket
import stat
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from executor import confinement, program
from executor.argv import InvalidAction
from executor.checks import about_action
from executor.decision import Decision
from executor.engine import Result
from executor.isolation import checked_isolation
from executor.models import Action
from executor.outcome import verdict_of
from executor.program_files import complaint_about, find_program
from executor.registry import RegisteredAction
from executor.run_directory import directory_of
from executor.watching import Watch

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root may change accounts")


def perform(
    *argv: str, directory: str = "", execution_id: str = "", **isolation: Any
) -> tuple[Result, list[str], str]:
    """Run a program under an action's isolation; return its result, codes and message."""
    action = RegisteredAction(
        "T", argv, 15, 65_536, {}, directory, True, isolation=isolation, max_running=0
    )
    execution_id = execution_id or f"run_{uuid.uuid4().hex}"
    decision = Decision(action, argv, argv, {}, {})
    result = program.perform(decision, execution_id, Watch(execution_id))
    assert not Path(directory_of(execution_id)).exists()
    verdict = verdict_of(result)
    return result, verdict.codes, verdict.message


def shell(script: str, **isolation: Any) -> tuple[Result, list[str], str]:
    return perform("/bin/sh", "-c", script, **isolation)


NONZERO = ["E0_nonzero_exit"]


@pytest.mark.parametrize(
    ("script", "isolation", "ending", "message", "said"),
    [
        (
            "exec head -c 100000 /dev/zero > big",
            {"file_size_bytes": 1_000},
            (None, 25),
            "ended by signal 25: it wrote more to a file than it may.",
            "",
        ),
        (
            "dd if=/dev/zero of=/dev/null bs=300M count=1",
            {"memory_bytes": 100_000_000},
            (1, None),
            "exit code 1.",
            "memory exhausted",
        ),
        (
            "cat 3</dev/null 4</dev/null 5</dev/null",
            {"open_files": 5},
            (2, None),
            "exit code 2.",
            "Too many open files",
        ),
        pytest.param(
            "id & wait",
            {"processes": 1, "user": "nobody"},
            (2, None),
            "exit code 2.",
            "Cannot fork",
            marks=root_only,
        ),
        pytest.param(
            "while :; do :; done",
            {"cpu_s": 1},
            (None, 24),
            "ended by signal 24: it used up its CPU time.",
            "",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "trap '' XCPU; while :; do :; done",
            {"cpu_s": 1},
            (None, 9),
            "ended by signal 9.",
            "",
            marks=pytest.mark.slow,
        ),
    ],
    ids=["file size", "memory", "open files", "processes", "CPU", "CPU, ignored"],
)
def test_a_limit_bites(
    script: str, isolation: dict[str, Any], ending: tuple[Any, Any], message: str, said: str
) -> None:
    result, codes, told = shell(script, **isolation)
    assert (result.exit_code, result.signal) == ending, result
    assert codes == NONZERO
    assert told.endswith(message)
    assert said in result.stderr


@pytest.mark.parametrize(
    ("script", "isolation", "printed"),
    [
        ("pwd; touch f; stat -c %a . f; umask", {"umask": "0077"}, "{own}\n700\n600\n0077\n"),
        ("umask", {}, None),
        ("grep NoNewPrivs /proc/self/status", {"no_new_privs": True}, "NoNewPrivs:\t1\n"),
        ("ulimit -c", {"open_files": 64}, "0\n"),
        pytest.param(
            "id -un; id -gn; id -Gn; echo $HOME $USER; pwd; touch mine; stat -c %U . mine",
            {"user": "nobody"},
            "nobody\nnogroup\nnogroup\n/nonexistent nobody\n{own}\nnobody\nnobody\n",
            marks=root_only,
        ),
        pytest.param(
            "id -u; id -g; id -G", {"user": "4711", "group": "4712"}, None, marks=root_only
        ),
        pytest.param("id -u; id -gn", {"group": "nogroup"}, "0\nnogroup\n", marks=root_only),
    ],
)
def test_what_a_program_finds(script: str, isolation: dict[str, Any], printed: str | None) -> None:
    execution_id = f"run_{uuid.uuid4().hex}"
    result, codes, _ = shell(script, execution_id=execution_id, **isolation)
    if printed is not None:
        assert result.stdout == printed.replace("{own}", directory_of(execution_id)), result
        assert codes == []


def test_the_umask_of_a_run_is_nobody_elses(tmp_path: Path) -> None:
    shell("true", umask="0077")
    (tmp_path / "after").touch()
    assert stat.S_IMODE((tmp_path / "after").stat().st_mode) & 0o077 == 0o044


def test_a_run_may_have_a_fixed_directory() -> None:
    result, _, _ = perform("/bin/pwd", directory="/usr")
    assert result.stdout == "/usr\n"


@pytest.mark.parametrize(
    "script",
    [
        "mkdir -p a/b; chmod 000 a/b a .",
        "ln -s {outside} link; mkdir d; ln -s {outside} d/link; chmod 000 d .",
        "i=0; while [ $i -lt 100 ]; do mkdir d && cd d; i=$((i+1)); done",
    ],
)
def test_whatever_is_left_in_its_directory_goes_and_nothing_else(
    script: str, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o711)
    (outside / "kept").touch()
    _, codes, _ = shell(script.replace("{outside}", str(outside)))
    assert codes == []
    assert (outside / "kept").exists()
    assert stat.S_IMODE(outside.stat().st_mode) == 0o711


def test_variables_are_passed_only_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSED", "yes")
    monkeypatch.setenv("KEPT", "no")
    result, _, _ = perform("/usr/bin/env", pass_environment=["PASSED", "NOT_THERE"])
    names = {line.partition("=")[0] for line in result.stdout.splitlines()}
    assert names == {"PATH", "LANG", "HOME", "TECHNO_EXECUTION_ID", "PASSED"}


def test_a_sandbox_has_no_network_and_a_root_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "seen").touch()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        result, codes, _ = shell(
            f"ls /tmp /run; touch here && echo wrote; touch /etc/x; touch {tmp_path}/x; "
            "grep -c : /proc/net/dev; ls -d /proc/[0-9]* | wc -l; "
            f"exec 2>&1; bash -c ': </dev/tcp/127.0.0.1/{port}'",
            sandbox="bwrap",
        )
    lines = result.stdout.splitlines()
    assert "wrote" in lines, result
    assert "Read-only file system" in result.stderr
    assert lines[lines.index("wrote") + 1] == "1"  # lo, and nothing behind it
    assert int(lines[lines.index("wrote") + 2]) < 10
    assert "Connection refused" in result.stdout
    assert codes == NONZERO
    assert [path.name for path in tmp_path.iterdir()] == ["seen"]


@root_only
def test_a_sandbox_can_hold_another_user_and_limits() -> None:
    result, codes, _ = shell(
        "id -un; touch mine && stat -c %U mine; ulimit -n; "
        "grep -E 'NoNew|CapEff' /proc/self/status",
        sandbox="bwrap",
        user="nobody",
        open_files=32,
        umask="0027",
    )
    assert codes == [], result
    assert result.stdout == ("nobody\nnobody\n32\nCapEff:\t0000000000000000\nNoNewPrivs:\t1\n"), (
        result
    )


def test_a_secret_file_reaches_a_confined_program() -> None:
    action = RegisteredAction("T", (), 15, 65_536, {}, "", True, isolation={"sandbox": "bwrap"})
    argv = ("/bin/sh", "-c", "cat <&3; ls /proc/self/fd | wc -l")
    decision = Decision(action, argv, argv, {}, {}, {"3": "for your eyes"}, ("other",))
    result = program.perform(decision, "run_secret_file", Watch("run_secret_file"))
    assert result.stdout.startswith("for your eyes"), result


FAILED = ["E6_spawn_failed"]


@pytest.mark.parametrize(
    ("isolation", "detail"),
    [
        ({"user": "no-such-user"}, "there is no user no-such-user on this host"),
        ({"group": "no-such-group"}, "there is no group no-such-group on this host"),
        pytest.param({"processes": 5}, "does not bind root: name another user", marks=root_only),
    ],
)
def test_what_cannot_be_enforced_does_not_start(isolation: dict[str, Any], detail: str) -> None:
    result, codes, message = perform("/bin/true", **isolation)
    assert (codes, result.pid, result.exit_code) == (FAILED, None, None)
    assert detail in result.detail
    assert message == "The command's program could not be started."


@pytest.mark.parametrize(
    ("tool", "isolation"),
    [
        ("bwrap", {"sandbox": "bwrap"}),
        ("prlimit", {"open_files": 9}),
        ("setpriv", {"no_new_privs": True}),
    ],
)
def test_without_the_tool_the_reason_is_told(
    monkeypatch: pytest.MonkeyPatch, tool: str, isolation: dict[str, Any]
) -> None:
    monkeypatch.setattr(confinement, "_find", lambda name: None)
    result, codes, _ = perform("/bin/true", **isolation)
    assert codes == FAILED
    assert result.detail == f"the action demands {tool}, which is not installed on this host"


@pytest.mark.parametrize(
    "isolation", [{"open_files": 9}, {"no_new_privs": True}, {"sandbox": "bwrap"}]
)
def test_a_missing_program_is_told_as_one_behind_limits_too(isolation: dict[str, Any]) -> None:
    result, codes, _ = perform("/nonexistent/program", **isolation)
    assert codes == FAILED
    assert "/nonexistent/program: No such file" in result.detail
    assert (result.exit_code, result.stderr) == (None, "")


def test_what_a_program_says_itself_is_no_failure_to_start() -> None:
    _, codes, _ = shell("echo 'prlimit: no' >&2; echo out; exit 1", open_files=9)
    assert codes == NONZERO
    _, codes, _ = shell("echo 'prlimit: no' >&2; exit 3", open_files=9)
    assert codes == NONZERO


@pytest.mark.parametrize(
    ("isolation", "complaint"),
    [
        ([], "isolation must be an object"),
        ({"cpu": 1}, "isolation.cpu is not known"),
        ({"cpu_s": 0}, "from 1 to"),
        ({"cpu_s": 1.5}, "must be a whole number"),
        ({"processes": True}, "must be a whole number"),
        ({"umask": 22}, "must be an octal text"),
        ({"umask": "0888"}, "must be an octal text"),
        ({"user": "a b"}, "must be the name or number of a user"),
        ({"user": 5}, "must be the name or number of a user"),
        ({"no_new_privs": "yes"}, "must be true or false"),
        ({"sandbox": "docker"}, 'must be "none" or "bwrap"'),
        ({"pass_environment": "TZ"}, "must list at most"),
        ({"pass_environment": ["A B"]}, "is not a variable's name"),
        ({"pass_environment": ["SECRET_KEY"]}, "is never passed on"),
        ({"pass_environment": ["TECHNO_API_KEY"]}, "is never passed on"),
        ({"pass_environment": ["DATABASE_URL"]}, "is never passed on"),
        ({"pass_environment": ["LD_PRELOAD"]}, "is never passed on"),
    ],
)
def test_isolation_that_is_not_understood_is_refused(isolation: Any, complaint: str) -> None:
    with pytest.raises(InvalidAction) as error:
        checked_isolation(isolation)
    assert complaint in str(error.value)


@pytest.fixture
def script(tmp_path: Path) -> Path:
    tmp_path.chmod(0o755)
    path = tmp_path / "program"
    path.write_text("#!/bin/sh\necho ran\n")
    path.chmod(0o755)
    return path


def _writable_file(script: Path) -> None:
    script.chmod(0o777)


def _writable_directory(script: Path) -> None:
    script.parent.chmod(0o777)


@pytest.mark.parametrize("spoil", [_writable_file, _writable_directory])
def test_a_program_that_others_can_replace_is_refused_where_that_is_wanted(
    script: Path, spoil: Callable[[Path], None], settings: Any
) -> None:
    settings.STRICT_PROGRAMS = True
    assert perform(str(script))[0].stdout == "ran\n"
    spoil(script)
    assert "can be written to by others" in complaint_about(str(script))
    result, codes, _ = perform(str(script))
    assert codes == FAILED
    assert result.detail.endswith("TECHNO_STRICT_PROGRAMS forbids that")
    settings.STRICT_PROGRAMS = False
    assert perform(str(script))[0].stdout == "ran\n"


def test_a_link_is_judged_by_where_it_leads(script: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(script)
    assert complaint_about(str(link)) == ""
    script.chmod(0o757)
    assert str(script) in complaint_about(str(link))
    assert complaint_about("/nonexistent/program") == ""


def test_a_name_is_looked_up_where_commands_look() -> None:
    assert find_program("env") == "/usr/bin/env"
    assert find_program("no-such-program") is None
    assert find_program("./env") is None


def test_what_is_printed_shows_no_secret_however_it_comes() -> None:
    secret = "correct horse"
    script = 'printf "a correct"; sleep 0.1; printf " horse b$TOKEN"; echo $TOKEN >&2'
    argv = ("/bin/sh", "-c", script)
    action = RegisteredAction("T", argv, 15, 65_536, {}, "", True)
    decision = Decision(action, argv, argv, {}, {"TOKEN": secret}, {}, (secret,))
    pieces: dict[str, bytes] = {"stdout": b"", "stderr": b""}

    def take(stream: str, piece: bytes) -> None:
        pieces[stream] += piece

    result = program.perform(decision, "run_masked", Watch("run_masked"), on_output=take)
    assert (result.stdout, result.stderr) == ("a *** b***", "***\n")
    assert pieces == {"stdout": b"a *** b***", "stderr": b"***\n"}


def test_a_secret_that_a_limit_cuts_is_masked_to_its_end() -> None:
    argv = ("/bin/sh", "-c", 'printf "%300s" ""; printf "$TOKEN and more"')
    action = RegisteredAction("T", argv, 15, 305, {}, "", True)
    decision = Decision(action, argv, argv, {}, {"TOKEN": "correct horse"}, {}, ("correct horse",))
    result = program.perform(decision, "run_cut", Watch("run_cut"))
    assert result.truncated
    assert result.stdout == " " * 300 + "***"


@pytest.mark.parametrize(
    ("fields", "ids"),
    [
        ({"argv": ["/bin/true"]}, []),
        ({"argv": ["/nonexistent/program"]}, ["techno.W301"]),
        ({"argv": ["/nonexistent/program"], "queue": "elsewhere"}, []),
        ({"argv": ["/bin/true"], "isolation": {"user": "no-such-user"}}, ["techno.W304"]),
        ({"argv": ["/bin/true"], "isolation": {"cpu": 1}}, ["techno.W304"]),
        ({"argv": ["{script}"]}, ["techno.W302"]),
    ],
)
def test_the_checks_tell_beforehand(
    script: Path, settings: Any, fields: dict[str, Any], ids: list[str]
) -> None:
    script.chmod(0o777)
    argv = [text.replace("{script}", str(script)) for text in fields["argv"]]
    action = Action(name="T", **{**fields, "argv": argv})
    assert [message.id for message in about_action(action)] == ids
    settings.STRICT_PROGRAMS = True
    strict = ["techno.E302" if one == "techno.W302" else one for one in ids]
    assert [message.id for message in about_action(action)] == strict
