"""Knows, ends and reaps everything that one started program leads to, and nothing else.

While a run goes on, this process is a *child subreaper*: a descendant whose parent ends is handed
to us, never to init. So the descendants of a run are at any moment the
leader's subtree and the subtrees of some of our own children, the *orphans*. That gives a proof
that a run has left nothing behind which costs one read of /proc/<us>/task/<main>/children, where
the kernel puts orphans: no orphan of the run there, no process of the run anywhere.

Whose orphan it is, is told by positive evidence only, in this order: its session is the leader's;
it carries the run's tag (see `executor.subreaper`); TECHNO_EXECUTION_ID stands in its
environment; it was seen below the leader before. A child that other code of this process started
shows none of these and is never signalled here.

What can still get away: a process that leaves the session, and loses its parent, and drops the
variable, and has another RLIMIT_LOCKS (on purpose, or by doing all of the former in the moment
before the tag lands); a program that runs as another user whom we may not signal (reported as
survivor); one started on request by somebody else's daemon (at, systemd-run, a container engine),
which never was a child of the run. A control group ends the first two as well.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from executor import procfs
from executor.ending import KILL_WAIT_S, TERM_GRACE_S, looks, signal_groups, signal_process
from executor.spawn import EXECUTION_ID_VARIABLE
from executor.subreaper import reap, subreaper, tag_of

_EXEC_WAIT_S = 0.005
_EARLY_LOOKS = 3


@dataclass(slots=True)
class Ending:
    """What ending a tree took: names by pid, who needed KILL, who could not be verified gone."""

    ended: dict[int, str] = field(default_factory=dict)
    killed: set[int] = field(default_factory=set)
    survivors: tuple[int, ...] = ()


class ProcessTree:
    """One leader and everything it leads to. Used by the thread that started the leader."""

    def __init__(self, marker: str) -> None:
        """Prepare for a leader. Whoever makes a tree has to call `reap` or `abandon` in the end.

        Raises OSError where runs cannot be watched.
        """
        self._leader = 0
        self._is_reaped = False
        self._tag = tag_of(marker)
        self._entry = f"{EXECUTION_ID_VARIABLE}={marker}".encode()
        self._seen: dict[int, procfs.Stat] = {}
        subreaper.enter()

    def lead_by(self, pid: int) -> None:
        """Take charge of a child of ours in the moment of its start."""
        self._leader = pid
        subreaper.leaders[pid] = self
        subreaper.set_tag(pid, self._tag)

    def tag_the_early(self) -> None:
        """Tag what the leader started before its own tag had landed.

        To be called once, for a leader that has not ended at once: what is tagged while it lives
        can be told later as a zombie, or when it has dropped its environment.
        """
        for _ in range(_EARLY_LOOKS):
            if subreaper.inherited_tag is not None or not self._tag_untagged():
                return

    def _tag_untagged(self) -> bool:
        """The children first: one that is orphaned meanwhile is found among the orphans."""
        has_found = self._tag_all(procfs.list_children(self._leader))
        with subreaper.lock:
            orphans = self._own_orphans()
        return self._tag_all(orphans) or has_found

    def _tag_all(self, pids: list[int]) -> bool:
        has_found = False
        while pids:
            pid = pids.pop()
            if subreaper.own_tag(pid) != self._tag:
                has_found = True
                subreaper.set_tag(pid, self._tag)
                pids += procfs.list_children(pid)
        return has_found

    def has_left_behind(self) -> bool:
        """Whether processes remain although the leader has ended. Exact, and cheap when not."""
        with subreaper.lock:
            orphans = self._own_orphans()
            for pid in orphans:
                reap(pid)
        return bool(orphans)

    def reap(self, *, wait: bool = True) -> int | None:
        """Reap the leader and take it off the books.

        Gives its wait status; None when there is none to give: it still runs and `wait` is
        False, or the status was taken before.
        """
        pid = status = 0
        with subreaper.lock:
            if self._is_reaped:
                return None
            if self._leader:
                with contextlib.suppress(ChildProcessError):
                    pid, status = os.waitpid(self._leader, 0 if wait else os.WNOHANG)
            self._is_reaped = True
            # Its number may already lead another run, started by another thread.
            if subreaper.leaders.get(self._leader) is self:
                del subreaper.leaders[self._leader]
        subreaper.leave()
        return status if pid else None

    def end(self, pause: Callable[[float], None], *, grace_s: float = TERM_GRACE_S) -> Ending:
        """End all of it: TERM, at most `grace_s`, KILL, at most KILL_WAIT_S, and verify.

        `pause(seconds)` is called between the looks. The leader stays unreaped, since its number
        is also that of its process group.
        """
        ending = Ending()
        alive: Collection[int] = ()
        for signum, bound_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, KILL_WAIT_S)):
            if signum == signal.SIGTERM and bound_s <= 0:
                continue
            warned: set[int] = set()
            for _ in looks(bound_s, pause):
                alive = self._signal_all(signum, warned, ending)
                if not alive:
                    return ending
        living = [pid for pid in alive if _is_living(pid)]
        ending.survivors = tuple(sorted(living or alive))
        return ending

    def abandon(self) -> None:
        """Kill and reap all of it, when there is nobody left to tell about it."""
        if self._leader:
            self.end(time.sleep, grace_s=0)
        self.reap(wait=False)

    def _signal_all(self, signum: int, warned: set[int], ending: Ending) -> Collection[int]:
        """One look at the tree, and one signal to each group (TERM) or process (KILL) in it.

        TERM goes once to a group, so that the commands of a clean-up are not ended in turn. For
        KILL all is stopped from the top down first: a stopped process has no more children than
        the walk sees, so it overtakes a tree that grows while it is being ended.
        """
        forced = signum == signal.SIGKILL
        with subreaper.lock:
            roots = self._roots()
            if forced:
                signal_groups(roots, signal.SIGSTOP, set())
        below = self._walk(roots, stop=forced)
        with subreaper.lock:
            roots = self._roots()
            reached = warned | signal_groups(roots, signum, warned)
            for pid in roots:
                if pid != self._leader:
                    reap(pid)
        for stat in below.values():
            if stat.pgid not in reached:
                signal_process(stat, signum)
        if not forced:
            warned |= reached | {stat.pgid for stat in below.values()}
        self._seen |= below
        for pid, stat in below.items():
            ending.ended[pid] = stat.name
            if forced:
                ending.killed.add(pid)
        return below.keys() | roots

    def _walk(self, roots: Iterable[int], *, stop: bool) -> dict[int, procfs.Stat]:
        """The living processes at and below `roots`, each stopped before its children are read."""
        found: dict[int, procfs.Stat] = {}
        waiting = [(pid, subreaper.pid) for pid in roots]
        while waiting:
            pid, parent = waiting.pop()
            stat = procfs.read_stat(pid)
            # Another parent: it was orphaned meanwhile and is a root of the next look.
            if stat is None or stat.is_dead or stat.ppid != parent or pid in found:
                continue
            found[pid] = stat
            if stop and parent != subreaper.pid:
                signal_process(stat, signal.SIGSTOP)
            waiting += [(child, pid) for child in procfs.list_children(pid)]
        return found

    def _roots(self) -> list[int]:
        """The leader while it runs, and the run's orphans, dead or alive. Hold the lock.

        None is proof that nothing is left: an end hands the children over before it is seen, so
        the leader is asked before the orphans are read, and a dead one counts until a later look
        has read what its end handed over.
        """
        has_leader = not self._is_reaped and not _has_ended(self._leader)
        orphans = self._own_orphans()
        return [self._leader, *orphans] if has_leader else orphans

    def _own_orphans(self) -> list[int]:
        return [pid for pid in subreaper.orphans() if self._owns(pid)]

    def _owns(self, orphan: int) -> bool:
        try:
            sid = os.getsid(orphan)
        except OSError:
            return False
        if sid in (self._leader, subreaper.sid):
            return sid == self._leader
        tag = subreaper.own_tag(orphan)
        if tag is not None:
            return tag == self._tag
        if orphan in self._seen:
            return procfs.is_same(self._seen[orphan], procfs.read_stat(orphan))
        return self._has_marker(orphan)

    def _has_marker(self, orphan: int) -> bool:
        """Looks again at a young process without environment: it may be in the midst of exec."""
        for _ in looks(_EXEC_WAIT_S, time.sleep):
            answer = procfs.has_environment_entry(orphan, self._entry)
            if answer is not None or not self._may_be_in_exec(orphan):
                break
        return bool(answer)

    def _may_be_in_exec(self, orphan: int) -> bool:
        leader, stat = procfs.read_stat(self._leader), procfs.read_stat(orphan)
        if leader is None or stat is None or stat.is_dead:
            return False
        return stat.start_ticks >= leader.start_ticks


def _has_ended(leader: int) -> bool:
    try:
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, leader, flags) is not None
    except ChildProcessError:
        return True


def _is_living(pid: int) -> bool:
    stat = procfs.read_stat(pid)
    return stat is not None and not stat.is_dead
