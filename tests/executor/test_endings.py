"""Whatever a command leads to ends with its run: nothing that moved away, nothing that hides."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from executor import engine, procfs
from executor.engine import Command, Outcome, Result, run
from tests.executor.processes import Programs, is_alive

pytestmark = [pytest.mark.usefixtures("nothing_left"), pytest.mark.slow]

TIMEOUT_S = 1.0  # enough for a tree to stand; nothing below depends on how long it takes

# Programs for `Programs.python`. Each process enrols itself before it goes on.
DOUBLE_FORKED_DAEMON = """
    enrol()
    if os.fork() == 0:
        os.setsid()
        if os.fork() > 0:
            os._exit(0)
        enrol()
        for descriptor in (0, 1, 2):
            os.close(descriptor)
        time.sleep(60)
    os.wait()
"""
DAEMON_WITHOUT_ENVIRONMENT = """
    enrol()
    time.sleep(0.2)  # the tag has landed
    if os.fork() == 0:
        os.setsid()
        if os.fork() > 0:
            os._exit(0)
        enrol()
        os.execve("/bin/sleep", ["sleep", "60"], {})
    os.wait()
"""
# Half of the fifty ignore TERM in sessions of their own; they stand in chains of five.
STUBBORN_FIFTY = """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for chain in range(10):
        if os.fork() == 0:
            for link in range(4):
                if (chain + link) % 2:
                    os.setsid() if os.getsid(0) != os.getpid() else None
                if os.fork() > 0:
                    break
            enrol()
            time.sleep(60)
            os._exit(0)
    while len(os.listdir(os.environ["PIDS"])) < 50:
        time.sleep(0.01)
    print("standing", flush=True)
    time.sleep(60)
"""
# One process after the other, each in a session of its own and gone within a moment.
HOPPING_PROCESS = """
    enrol()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    until = time.monotonic() + 20
    while time.monotonic() < until:
        if os.fork() > 0:
            os._exit(0)
        os.setsid()
    os.abort()
"""
# A chain that grows while it is being ended: the parents stay, TERM is ignored.
GROWING_CHAIN = """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("standing", flush=True)
    until = time.monotonic() + 20
    for link in range(2000):
        if os.fork() > 0:
            time.sleep(max(0, until - time.monotonic()))
            os._exit(0)
        os.setsid()
        enrol()
    os.abort()
"""
# A crowd in one process group that keeps forking, bounded by number.
SWARM = """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    enrol()
    for generation in range(9):
        os.fork()
        enrol()
    time.sleep(60)
"""


def is_gone_afterwards(programs: Programs, result: Result) -> bool:
    return result.survivors == () and programs.enrolled() != [] and programs.alive() == []


def cancel_when_standing(command: Command) -> Result:
    cancelled = threading.Event()
    return run(command, cancelled=cancelled, on_output=lambda *_: cancelled.set())


@pytest.mark.parametrize(
    "script",
    [
        "touch $PIDS/$$; (touch $PIDS/$(exec sh -c 'echo $PPID'); sleep 60; true) & sleep 60",
        "touch $PIDS/$$; setsid sh -c 'touch $PIDS/$$; exec sleep 60'",
        "touch $PIDS/$$; setsid -f sh -c 'touch $PIDS/$$; exec sleep 60'; sleep 60",
        "touch $PIDS/$$; nohup sh -c 'touch $PIDS/$$; exec sleep 60' >/dev/null & sleep 60",
        "trap '' TERM; touch $PIDS/$$; while :; do sleep 60; done",
        "touch $PIDS/$$; kill -STOP $$",
    ],
    ids=["grandchild", "setsid", "setsid and orphaned", "nohup", "ignores TERM", "stopped"],
)
def test_a_timeout_ends_the_whole_tree(programs: Programs, script: str) -> None:
    result = run(programs.shell(script, timeout_s=TIMEOUT_S))
    assert result.outcome is Outcome.TIMED_OUT
    assert is_gone_afterwards(programs, result)
    for pid in programs.enrolled():
        assert f" {pid} " in result.detail.replace(":", "")


@pytest.mark.parametrize("script", [DOUBLE_FORKED_DAEMON, DAEMON_WITHOUT_ENVIRONMENT])
@pytest.mark.parametrize("leader", ["stays", "exits"])
def test_a_daemon_ends_with_its_run(programs: Programs, script: str, leader: str) -> None:
    stay = "\n    time.sleep(60 if {} else 0)".format(leader == "stays")
    wait = "\n    while len(os.listdir(os.environ['PIDS'])) < 2: time.sleep(0.01)"
    result = run(programs.python(script + wait + stay, timeout_s=TIMEOUT_S * 2))
    assert result.outcome is (Outcome.TIMED_OUT if leader == "stays" else Outcome.EXITED)
    assert len(programs.enrolled()) == 2
    assert is_gone_afterwards(programs, result)


def test_a_daemon_ends_when_other_runs_go_on(programs: Programs) -> None:
    """The orphan of one run is not taken for another's, nor spared for its sake."""
    other = threading.Thread(target=run, args=(Command(("/bin/sleep", "3"), timeout_s=4),))
    spared = Command(("/bin/sh", "-c", "setsid -f sleep 0.8; sleep 1.5; exit 4"))
    results: list[Result] = []
    with_orphan = threading.Thread(target=lambda: results.append(run(spared)))
    other.start()
    with_orphan.start()
    result = run(programs.python(DAEMON_WITHOUT_ENVIRONMENT, timeout_s=TIMEOUT_S))
    assert len(programs.enrolled()) == 2
    assert is_gone_afterwards(programs, result)
    with_orphan.join()
    other.join()
    assert (results[0].exit_code, results[0].detail) == (4, "")


@pytest.mark.slow
def test_sixteen_threads_and_daemons_from_the_first_moment(programs: Programs) -> None:
    """Under such load the tag often lands late. Once all runs are over nothing is left."""
    scripts = (
        "env -i /usr/bin/setsid -f /bin/sleep 60",
        "env -i /usr/bin/setsid -f /bin/sleep 60 >/dev/null 2>&1; sleep 0.1",
        "setsid -f sleep 60 & exit 3",
        "setsid -f true",
        "trap '' TERM; setsid -f sh -c 'while :; do sleep 60; done'; sleep 60",
        "true",
    )
    commands = [
        Command(("/bin/sh", "-c", scripts[number % len(scripts)]), timeout_s=0.3)
        for number in range(240)
    ]
    before = set(procfs.list_children(os.getpid()))  # other tests' servers are none of ours
    with ThreadPoolExecutor(16) as pool:
        results = list(pool.map(run, commands))
    assert {result.survivors for result in results} == {()}
    left = [procfs.read_stat(pid) for pid in procfs.list_children(os.getpid()) if pid not in before]
    assert [stat for stat in left if stat is not None and not stat.is_dead] == []


def test_what_stays_behind_ends_and_cannot_hang_the_reader(programs: Programs) -> None:
    script = """
        trap '' TERM
        sleep 60 &
        touch $PIDS/$!
        sleep 60 >/dev/null 2>&1 &
        touch $PIDS/$!
        echo done
        exit 3
    """
    result = run(programs.shell(script, timeout_s=30))
    assert (result.outcome, result.exit_code, result.stdout) == (Outcome.EXITED, 3, "done\n")
    assert "ended 2 processes that it left behind, 2 of them by KILL" in result.detail
    assert is_gone_afterwards(programs, result)


def test_what_is_about_to_finish_may(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "LINGER_S", 20.0)
    result = run(programs.shell("(sleep 0.05; echo late) & echo early"))
    assert (result.stdout, result.detail) == ("early\nlate\n", "")


def test_term_leaves_time_to_clean_up(programs: Programs) -> None:
    """TERM comes once to each, and not to what a handler starts."""
    script = """
        def clean_up(*_):
            global count
            count += 1
            os.system("exec sleep 0.1; echo not reached")
            print("cleaned up", flush=True)
            os._exit(5)
        count = 0
        signal.signal(signal.SIGTERM, clean_up)
        enrol()
        time.sleep(60)
    """
    result = run(programs.python(script, timeout_s=TIMEOUT_S))
    assert (result.outcome, result.exit_code) == (Outcome.TIMED_OUT, 5)
    assert result.stdout == "cleaned up\n"
    assert is_gone_afterwards(programs, result)


def test_fifty_that_ignore_term(programs: Programs) -> None:
    result = cancel_when_standing(programs.python(STUBBORN_FIFTY, timeout_s=60))
    assert result.outcome is Outcome.CANCELLED
    assert len(programs.enrolled()) == 50
    assert "ended 51 processes, 51 of them by KILL" in result.detail
    assert is_gone_afterwards(programs, result)


@pytest.mark.slow
@pytest.mark.parametrize("script", [HOPPING_PROCESS, GROWING_CHAIN, SWARM])
def test_a_storm_of_forks_ends(programs: Programs, script: str) -> None:
    result = run(programs.python(script, timeout_s=TIMEOUT_S))
    assert result.outcome in (Outcome.TIMED_OUT, Outcome.EXITED)
    assert is_gone_afterwards(programs, result)


def test_a_thread_group_whose_first_thread_is_gone(programs: Programs) -> None:
    """Looks like a zombie in /proc, and runs."""
    script = """
        import ctypes, threading
        enrol()
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        if os.fork() == 0:
            os.setsid()
            enrol()
            threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        time.sleep(0.1)
        ctypes.PyDLL(None).syscall(60, 0)
    """
    result = run(programs.python(script, timeout_s=TIMEOUT_S))
    assert result.outcome is Outcome.TIMED_OUT
    assert len(programs.enrolled()) == 2
    assert is_gone_afterwards(programs, result)


def test_a_run_within_a_run_ends_with_it(programs: Programs) -> None:
    """The inner run has a session, marker and tag of its own; it was seen below the outer."""
    script = f"""
        sys.path.insert(0, {os.getcwd()!r})
        from executor.engine import Command, run
        enrol()
        run(Command(("/bin/sh", "-c", "touch $PIDS/$$; exec sleep 60"), env=dict(os.environ)))
    """
    result = run(programs.python(script, timeout_s=TIMEOUT_S * 2))
    assert len(programs.enrolled()) == 2
    assert is_gone_afterwards(programs, result)


@pytest.mark.skipif(os.getuid() != 0, reason="needs another user to be")
def test_what_may_not_be_signalled_is_reported(programs: Programs) -> None:
    """An unprivileged service whose command became root through a set-user-ID program."""
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        setuid = shutil.copy("/usr/bin/setpriv", f"{directory}/setuid")
        os.chmod(setuid, 0o4755)
        result = run(programs.python(unprivileged_service(setuid), timeout_s=30))
    name, pid, *survivors = result.stdout.split()
    assert (name, survivors) == ("TIMED_OUT", [pid])
    assert f"not verified gone: {pid}" in result.stderr
    assert not is_alive(int(pid))  # it was an orphan of the outer run, which is root


def unprivileged_service(setuid: str) -> str:
    return f"""
        sys.path.insert(0, {os.getcwd()!r})
        from executor.engine import Command, run
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
        argv = ({setuid!r}, "--reuid=0", "--regid=0", "--clear-groups", "/bin/sleep", "60")
        result = run(Command(argv, timeout_s=1))
        print(result.outcome.name, result.pid, *result.survivors)
        print(result.detail, file=sys.stderr)
    """


def test_nothing_else_is_touched(programs: Programs) -> None:
    """Children that other code started live on, and their ends stay theirs to learn."""
    own_session = os.posix_spawn("/bin/sleep", ["sleep", "60"], {}, setsid=True)
    same_session = os.posix_spawn("/bin/sleep", ["sleep", "60"], {})
    ended = os.posix_spawn("/bin/sh", ["sh", "-c", "exit 9"], {}, setsid=True)
    try:
        for script in ("sleep 60 & exit 0", "setsid -f sleep 60; sleep 60"):
            run(programs.shell(script, timeout_s=TIMEOUT_S))
        assert is_alive(own_session)
        assert is_alive(same_session)
        assert os.waitstatus_to_exitcode(os.waitpid(ended, 0)[1]) == 9
    finally:
        for pid in (own_session, same_session):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
