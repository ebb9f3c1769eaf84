"""Runs one program: starts it, bounds its time and output, and ends all it leads to.

Knows no HTTP, no Django and no database. `run` answers with a `Result` whatever the program and
its arguments do; `end_marked` cleans up after a process that died with runs in it. How a tree is
found and ended, and what can still get away, stands in `executor.process_tree`; how a program is
started in `executor.spawn`.
"""

from __future__ import annotations

import enum
import os
import time
from collections.abc import Mapping
from dataclasses import field
from typing import Protocol

from executor import control_group, procfs, spawn
from executor.ending import KILL_WAIT_S, looks
from executor.lost_runs import end_marked
from executor.output import OnOutput, Streams
from executor.process_tree import Ending, ProcessTree
from executor.subreaper import subreaper
from techno.governance.frozen import frozen

__all__ = ["Command", "Outcome", "Result", "end_marked", "run", "unstarted"]

OUTPUT_LIMIT_BYTES = 1_048_576
TIMEOUT_S = 15.0
LINGER_S = 0.1
DRAIN_S = 0.2
_CANCEL_LOOK_S = 0.05
_ORPHAN_LOOK_S = 1.0
_NAMED_PROCESSES = 20


@frozen
class Command:
    """What to run, and within which bounds.

    `argv` is passed as it is, never through a shell; argv[0] without a slash is looked up in the
    PATH of the new environment. `timeout_s` counts from the start. `output_limit_bytes` holds for
    each stream. `env` adds to (and may override) PATH, LANG and HOME; nothing else of our own
    environment is passed on. `cwd` None is the root directory. `marker` becomes the child's
    TECHNO_EXECUTION_ID; it must be unique among the runs of a host, and is random when empty.
    `descriptors` are numbers from 3 to 9 at which the child finds a sealed file with those bytes.
    `umask` None is ours. `grouped` asks for a control group besides, where there can be one.
    """

    argv: tuple[str, ...]
    timeout_s: float = TIMEOUT_S
    output_limit_bytes: int = OUTPUT_LIMIT_BYTES
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str | None = None
    marker: str = ""
    descriptors: Mapping[int, bytes] = field(default_factory=dict)
    umask: int | None = None
    grouped: bool = False


class Flag(Protocol):
    """What tells that a run is to be stopped: a ``threading.Event``, or less."""

    def is_set(self) -> bool:
        """Whether it is."""


class Outcome(enum.Enum):
    """How a run came to its end."""

    EXITED = "exited"
    TIMED_OUT = "timed_out"
    SPAWN_FAILED = "spawn_failed"
    CANCELLED = "cancelled"


@frozen
class Result:
    """What is known of a run that is over.

    `exit_code` and `signal` are the leader's own end, also after TIMED_OUT and CANCELLED; at most
    one of them is set. `stdout` and `stderr` are valid Unicode (they may hold NUL), cut to the
    limit when `truncated`; the `_bytes` count all that was written. `pid` is None when nothing was
    started. `detail` is for operators: why it could not start, what was ended. `survivors` could
    not be verified gone and need a human.
    """

    outcome: Outcome
    exit_code: int | None
    signal: int | None
    stdout: str
    stderr: str
    truncated: bool
    stdout_bytes: int
    stderr_bytes: int
    started_at: float
    duration_ms: int
    pid: int | None
    detail: str
    survivors: tuple[int, ...]


def run(
    command: Command,
    *,
    deadline: float | None = None,
    cancelled: Flag | None = None,
    on_output: OnOutput | None = None,
) -> Result:
    """Run a command to its end and leave no process of it behind.

    `deadline` is a time.monotonic() value; the earlier of it and the timeout holds. After that
    moment `run` takes at most TERM_GRACE_S + KILL_WAIT_S + DRAIN_S more. When the leader ends by
    itself, what it left behind gets LINGER_S to finish and is then ended as well. `cancelled` is
    looked at 20 times a second. `on_output(stream, data)` is called in this thread with each piece
    of "stdout" or "stderr" that counts towards the limit, byte-exact and in order; while it works
    nothing is read, and after its first exception it is called no more (see `detail`).

    Never raises for what the command is or does. An exception from outside (KeyboardInterrupt,
    SystemExit) passes through, after all processes of the run were killed.
    """
    clock = _Clock(command.timeout_s, deadline)
    try:
        if cancelled is not None and cancelled.is_set():
            return _not_started(Outcome.CANCELLED, clock, "stopped on request before its start")
        if not clock.left_s() > 0:
            return _not_started(Outcome.TIMED_OUT, clock, "its time was over before its start")
        marker = command.marker or f"unnamed_{os.urandom(8).hex()}"
        group = control_group.make(marker) if command.grouped else None
        child, tree = _start(command, marker, group)
    except (spawn.SpawnError, OSError, TypeError, ValueError) as error:
        return _not_started(Outcome.SPAWN_FAILED, clock, str(error))
    streams = Streams(child, command.output_limit_bytes, on_output)
    try:
        outcome = _watch(streams, clock, cancelled)
        ending = _finish(outcome, tree, streams, clock)
        if group is not None:
            _sweep(group, ending)
        status = tree.reap(wait=child.pid not in ending.survivors)
    except BaseException:
        tree.abandon()
        raise
    finally:
        streams.close()
        if group is not None:
            group.kill(KILL_WAIT_S)
            group.remove()
    end = None if status is None else os.waitstatus_to_exitcode(status)
    return Result(
        outcome=outcome,
        exit_code=end if end is not None and end >= 0 else None,
        signal=-end if end is not None and end < 0 else None,
        stdout=streams.stdout.text(),
        stderr=streams.stderr.text(),
        truncated=streams.stdout.is_truncated or streams.stderr.is_truncated,
        stdout_bytes=streams.stdout.seen_bytes,
        stderr_bytes=streams.stderr.seen_bytes,
        started_at=clock.started_at,
        duration_ms=clock.duration_ms(),
        pid=child.pid,
        detail=_describe(outcome, clock, ending, streams.complaint),
        survivors=ending.survivors,
    )


def unstarted(detail: str) -> Result:
    """Return the result of a command that must not even be tried, for a reason found before."""
    return _not_started(Outcome.SPAWN_FAILED, _Clock(0, None), detail)


class _Clock:
    """When a run began and when it must be over."""

    __slots__ = ("allowed_s", "began_at", "ends_at", "started_at")

    def __init__(self, timeout_s: float, deadline: float | None) -> None:
        self.started_at = time.time()
        self.began_at = time.monotonic()
        self.ends_at = self.began_at + timeout_s
        if deadline is not None:
            self.ends_at = min(self.ends_at, deadline)
        self.allowed_s = self.ends_at - self.began_at

    def left_s(self) -> float:
        return max(0.0, self.ends_at - time.monotonic())

    def duration_ms(self) -> int:
        return int((time.monotonic() - self.began_at) * 1000)


def _start(
    command: Command, marker: str, group: control_group.ControlGroup | None
) -> tuple[spawn.Child, ProcessTree]:
    tree = ProcessTree(marker)

    def take_charge(pid: int) -> None:
        tree.lead_by(pid)
        if group is not None:
            group.add(pid)

    try:
        environment = spawn.minimal_environment(command.env, marker)
        with subreaper.birth():
            child = spawn.start(
                command.argv,
                environment,
                command.cwd,
                take_charge,
                descriptors=command.descriptors,
                umask=command.umask,
            )
    except BaseException:
        tree.abandon()
        if group is not None:
            group.kill(KILL_WAIT_S)
            group.remove()
        raise
    return child, tree


def _watch(streams: Streams, clock: _Clock, cancelled: Flag | None) -> Outcome:
    """Read until the leader has ended by itself or has to be ended."""
    look_s = _ORPHAN_LOOK_S if cancelled is None else _CANCEL_LOOK_S
    reap_at = clock.began_at + _ORPHAN_LOOK_S
    while True:
        streams.wait(min(clock.left_s(), look_s))
        if streams.has_leader_ended:
            return Outcome.EXITED
        if cancelled is not None and cancelled.is_set():
            return Outcome.CANCELLED
        now = time.monotonic()
        if now >= clock.ends_at:
            return Outcome.TIMED_OUT
        if now >= reap_at:
            subreaper.reap_orphans()
            reap_at = now + _ORPHAN_LOOK_S


def _finish(outcome: Outcome, tree: ProcessTree, streams: Streams, clock: _Clock) -> Ending:
    """End what remains of the tree, while reading on, and read the rest."""
    ending = Ending()
    if outcome is not Outcome.EXITED or _leaves_behind(tree, streams, clock):
        ending = tree.end(streams.pump)
    streams.drain(DRAIN_S)
    return ending


def _sweep(group: control_group.ControlGroup, ending: Ending) -> None:
    """End what hid from everything but its group, and note it with the rest."""
    hidden = {pid: stat.name for pid in group.members() if (stat := procfs.read_stat(pid))}
    gone = not hidden or group.kill(KILL_WAIT_S)
    ending.ended |= hidden
    ending.killed |= hidden.keys()
    if not gone:
        ending.survivors = tuple(sorted({*ending.survivors, *group.members()}))
    subreaper.reap_orphans()


def _leaves_behind(tree: ProcessTree, streams: Streams, clock: _Clock) -> bool:
    """Whether processes outlive the leader, and also the moment that they get to finish."""
    linger_s = min(LINGER_S, clock.left_s())
    return all(tree.has_left_behind() for _ in looks(linger_s, streams.pump))


def _describe(outcome: Outcome, clock: _Clock, ending: Ending, complaint: str) -> str:
    parts = []
    if outcome is Outcome.TIMED_OUT:
        parts.append(f"ran past its {clock.allowed_s:.3f} s")
    elif outcome is Outcome.CANCELLED:
        parts.append("stopped on request")
    if ending.ended:
        left_behind = " that it left behind" if outcome is Outcome.EXITED else ""
        named = [
            f"{pid} {name if name.isprintable() else ascii(name)}"
            for pid, name in sorted(ending.ended.items())[:_NAMED_PROCESSES]
        ]
        if len(ending.ended) > _NAMED_PROCESSES:
            named.append("...")
        parts.append(
            f"ended {len(ending.ended)} processes{left_behind}, {len(ending.killed)} of them "
            f"by KILL: {', '.join(named)}"
        )
    if ending.survivors:
        parts.append(f"not verified gone: {', '.join(map(str, ending.survivors))}")
    if complaint:
        parts.append(complaint)
    return "; ".join(parts)


def _not_started(outcome: Outcome, clock: _Clock, detail: str) -> Result:
    return Result(
        outcome=outcome,
        exit_code=None,
        signal=None,
        stdout="",
        stderr="",
        truncated=False,
        stdout_bytes=0,
        stderr_bytes=0,
        started_at=clock.started_at,
        duration_ms=clock.duration_ms(),
        pid=None,
        detail=detail,
        survivors=(),
    )
