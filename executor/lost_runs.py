"""Ends what a run left running when the process that watched it died."""

from __future__ import annotations

import os
import signal
import time

from executor import control_group, procfs
from executor.ending import KILL_WAIT_S, TERM_GRACE_S, looks, signal_process
from executor.spawn import EXECUTION_ID_VARIABLE
from executor.subreaper import read_tag, subreaper, tag_of


def end_marked(marker: str) -> tuple[int, ...]:
    """Find and end every process of the run with this TECHNO_EXECUTION_ID, on this host.

    Found are the processes that carry the marker, in their environment or as the tag that the
    engine set, and all their descendants. TERM, TERM_GRACE_S, KILL, at most KILL_WAIT_S. Gives
    the pids that are verified gone. An empty marker matches nothing; neither does the marker of
    the run that the caller itself is part of. Never raises. Reads all of /proc: not for hot paths.
    """
    if not marker or "\0" in marker or os.environ.get(EXECUTION_ID_VARIABLE) == marker:
        return ()
    ended = set(_end_by_evidence(marker))
    group = control_group.find(marker)
    if group is not None:
        members = group.members()
        if group.kill(KILL_WAIT_S):
            ended.update(members)
        group.remove()
    return tuple(sorted(ended))


def _end_by_evidence(marker: str) -> tuple[int, ...]:
    met: dict[int, procfs.Stat] = {}
    for signum, bound_s in ((signal.SIGTERM, TERM_GRACE_S), (signal.SIGKILL, KILL_WAIT_S)):
        warned: set[int] = set()
        for _ in looks(bound_s, time.sleep):
            found = _find_marked(marker)
            if not found:
                return tuple(sorted(met))
            for pid, stat in found.items():
                if signum == signal.SIGKILL or pid not in warned:
                    signal_process(stat, signum)
            warned |= found.keys()
            met |= found
    return tuple(sorted(pid for pid, stat in met.items() if _is_gone(stat)))


def _find_marked(marker: str) -> dict[int, procfs.Stat]:
    """The living processes with the marker and those below them, never ourselves."""
    subreaper.reap_orphans()
    tag = tag_of(marker)
    stats = {stat.pid: stat for stat in map(procfs.read_stat, procfs.list_pids()) if stat}
    children: dict[int, list[int]] = {}
    for stat in stats.values():
        children.setdefault(stat.ppid, []).append(stat.pid)
    waiting = [
        pid
        for pid in stats
        if read_tag(pid) == tag
        or procfs.read_environment_value(pid, EXECUTION_ID_VARIABLE) == marker
    ]
    found: dict[int, procfs.Stat] = {}
    while waiting:
        pid = waiting.pop()
        if pid not in found and pid not in (1, os.getpid()) and not stats[pid].is_dead:
            found[pid] = stats[pid]
            waiting += children.get(pid, [])
    return found


def _is_gone(stat: procfs.Stat) -> bool:
    now = procfs.read_stat(stat.pid)
    return now is None or now.is_dead or not procfs.is_same(stat, now)
