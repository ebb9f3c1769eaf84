"""The manners of ending processes: how long to wait, and how to signal none but the right one."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Collection, Iterable, Iterator

from executor import procfs

TERM_GRACE_S = 0.5
KILL_WAIT_S = 0.8
_FIRST_PAUSE_S = 0.001
_LONGEST_PAUSE_S = 0.02


def looks(bound_s: float, pause: Callable[[float], None]) -> Iterator[None]:
    """At least one turn, then turns with growing pauses between until `bound_s` has passed."""
    give_up_at = time.monotonic() + bound_s
    length_s = _FIRST_PAUSE_S
    yield
    while (left_s := give_up_at - time.monotonic()) > 0:
        pause(min(length_s, left_s))
        length_s = min(length_s * 2, _LONGEST_PAUSE_S)
        yield


def signal_process(stat: procfs.Stat, signum: int) -> None:
    """Signal exactly the process that `stat` described, not a later one of the same number."""
    try:
        descriptor = os.pidfd_open(stat.pid)
    except OSError:
        return
    try:
        if procfs.is_same(stat, procfs.read_stat(stat.pid)):
            signal.pidfd_send_signal(descriptor, signum)
    except OSError:
        pass  # gone meanwhile, or not ours to signal: the next look tells which
    finally:
        os.close(descriptor)


def signal_groups(roots: Iterable[int], signum: int, spared: Collection[int]) -> set[int]:
    """Signal the process groups of unreaped children of ours, each at once. Hold the lock.

    A group spans only processes of one session, and a run's sessions hold nothing but the run.
    """
    groups: set[int] = set()
    for pid in roots:
        try:
            groups.add(os.getpgid(pid))
        except ProcessLookupError:
            continue
    for pgid in groups.difference(spared, (0, 1)):  # to killpg, 0 would mean ourselves
        with contextlib.suppress(OSError):  # ended, or not ours to signal
            os.killpg(pgid, signum)
    return groups
