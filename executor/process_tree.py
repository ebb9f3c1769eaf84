"""Knows, ends and reaps everything that one started program leads to, and nothing else.

While a run goes on, this process is a *child subreaper*: a descendant whose parent ends is handed
to us, never to init. So the descendants of a run are at any moment the
leader's subtree and the subtrees of some of our own children, the *orphans*. That gives a proof
that a run has left nothing behind which costs one read of /proc/<us>/task/<main>/children, where
the kernel puts orphans: no orphan of the run there, no process of the run anywhere.

Whose orphan it is, is told by positive evidence only (see `executor.subreaper`): its session is
the leader's; it carries the run's tag; TECHNO_EXECUTION_ID stands in its environment; it was seen
below the leader before; it carries the mark of a run and is younger than this run only. A child
that other code of this process started shows none of these and is never signalled here.

What can still get away:

- of several concurrent runs, a process that leaves the session, loses its parent and drops the
  variable, all in the moment before the tag lands, or on purpose and then changes RLIMIT_LOCKS:
  not for good, but until all runs have ended that are older than it;
- for good, one that on purpose hides all evidence (it takes prctl, setrlimit, setsid, a double fork
  and a cleared environment), or that as another user may not be signalled (reported as survivor),
  or that somebody else's daemon starts on request (at, systemd-run, a container engine) and that
  thus never was a child of the run. A control group ends the first two as well.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from executor import instant_calls, procfs
from executor.ending import KILL_WAIT_S, TERM_GRACE_S, looks, signal_groups, signal_process
from executor.subreaper import Claim, Leader, boot_ticks, reap, subreaper, tag_of


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
        self._began_ticks = boot_ticks()
        self._tag = tag_of(marker)
        self._leader: Leader | None = None
        self._is_reaped = False
        self._seen: dict[int, procfs.Stat] = {}
        subreaper.enter()

    def lead_by(self, pid: int) -> None:
        """Take charge of a child of ours in the moment of its start."""
        self._leader = Leader(pid, self._tag, self._began_ticks)
        subreaper.register(self._leader)

    def has_left_behind(self) -> bool:
        """Whether processes remain, or may remain, although the leader has ended.

        False is a proof. Asking costs next to nothing when this process has no orphans.
        """
        with subreaper.lock:
            claims = {pid: self._judge(pid) for pid in subreaper.orphans()}
            for pid, claim in claims.items():
                if claim is not Claim.NO:
                    reap(pid)
        return not all(claim is Claim.NO for claim in claims.values())

    def reap(self, *, wait: bool = True) -> int | None:
        """Reap the leader and take it off the books.

        Gives its wait status; None when there is none to give: it still runs and `wait` is
        False, or the status was taken before.
        """
        pid = status = 0
        with subreaper.lock:
            if self._is_reaped:
                return None
            self._is_reaped = True
            if self._leader is not None:
                pid, status = self._wait_for(self._leader, 0 if wait else os.WNOHANG)
        subreaper.leave()
        return status if pid else None

    def _wait_for(self, leader: Leader, options: int) -> tuple[int, int]:
        try:
            status = instant_calls.reap_ended(leader.pid)  # as nearly always: it has ended
            return os.waitpid(leader.pid, options) if status is None else (leader.pid, status)
        except ChildProcessError:
            return 0, 0
        finally:
            # Its number may already lead another run, started by another thread.
            if subreaper.leaders.get(leader.pid) is leader:
                del subreaper.leaders[leader.pid]

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
        if self._leader is not None:
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
                if pid not in subreaper.leaders:
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
        leaders = []
        if self._leader is not None and not self._is_reaped and not _has_ended(self._leader.pid):
            leaders.append(self._leader.pid)
        return leaders + [pid for pid in subreaper.orphans() if self._judge(pid) is Claim.YES]

    def _judge(self, orphan: int) -> Claim:
        known = self._seen.get(orphan)
        if known is not None and procfs.is_same(known, procfs.read_stat(orphan)):
            return Claim.YES
        return Claim.NO if self._leader is None else subreaper.judge(orphan, self._leader)


def _has_ended(leader: int) -> bool:
    try:
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, leader, flags) is not None
    except ChildProcessError:
        return True


def _is_living(pid: int) -> bool:
    stat = procfs.read_stat(pid)
    return stat is not None and not stat.is_dead
