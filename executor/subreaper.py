"""This process as the adoptive parent of every run's orphans.

With PR_SET_CHILD_SUBREAPER a descendant whose parent ends is handed to us, never to init. The
kernel puts such orphans among the children of the first living thread, which in Python is always
the main thread; runs started by other threads have their leaders elsewhere. So one small read of
/proc/<us>/task/<main>/children shows all orphans, and nothing when there are none.

Two things that every child inherits, through fork, exec, setsid and a cleared environment, tell
where an orphan comes from, also when it is a zombie. Anyone may read them.

- The *mark*, from birth, says "of a run": the thread that starts a leader has for that moment an
  explicit policy for memory errors (PR_MCE_KILL, "late", which is the default of Linux anyway).
- The *tag* says of which run, and outlives us: a digest of the marker as the value of RLIMIT_LOCKS,
  which Linux has not enforced since 2.4.25. It can only be set a moment after the start.

Within a run of another service (an action that itself runs actions) the outer run's mark and tag
stay on all processes, so that the end of the outer run reaches what the inner ones left.
"""

from __future__ import annotations

import ctypes
import enum
import errno
import hashlib
import os
import resource
import signal
import threading
import time

from executor import instant_calls, procfs
from executor.spawn import EXECUTION_ID_VARIABLE
from techno.governance.frozen import frozen

_PR_MCE_KILL, _MCE_CLEAR, _MCE_SET, _MCE_LATE = 33, 0, 1, 0
_PR_SET_CHILD_SUBREAPER = 36
_RLIMIT_LOCKS = 10
_TAG_PREFIX, _TAG_BITS = 0x7EC0, 48
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")

_libc = ctypes.PyDLL(None, use_errno=True)


def tag_of(marker: str) -> int:
    """The RLIMIT_LOCKS value that stands for a marker; also found after we are gone."""
    digest = hashlib.blake2b(
        marker.encode("utf-8", "surrogatepass"), digest_size=_TAG_BITS // 8
    ).digest()
    return _TAG_PREFIX << _TAG_BITS | int.from_bytes(digest)


def read_tag(pid: int) -> int | None:
    """The tag that a process (or zombie) carries, None without one or when not allowed to ask."""
    try:
        soft, _ = resource.prlimit(pid, _RLIMIT_LOCKS)
    except OSError:
        return None
    return soft if soft >> _TAG_BITS == _TAG_PREFIX else None


class Claim(enum.Enum):
    """Whether an orphan belongs to a certain run."""

    NO = "no"
    YES = "yes"
    MAYBE = "it is one of several runs', and does not show whose"


@frozen
class Leader:
    """A run that is going on."""

    pid: int
    tag: int
    began_ticks: int


def boot_ticks() -> int:
    """Now, as /proc/<pid>/stat counts the start of processes."""
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) * _TICKS_PER_S)


class _Birth:
    """The moment in which a thread starts a leader."""

    __slots__ = ("_is_marked", "_lock")

    def __init__(self, lock: threading.Lock | None, *, is_marked: bool) -> None:
        self._lock = lock
        self._is_marked = is_marked

    def __enter__(self) -> None:
        if self._lock is not None:
            self._lock.acquire()
        if self._is_marked:
            _libc.prctl(_PR_MCE_KILL, _MCE_SET, _MCE_LATE, 0, 0)

    def __exit__(self, *error: object) -> None:
        if self._is_marked:
            _libc.prctl(_PR_MCE_KILL, _MCE_CLEAR, 0, 0, 0)
        if self._lock is not None:
            self._lock.release()


class Subreaper:
    """The children of this operating system process, seen as leaders and orphans.

    `lock` is held while orphans are read, judged, signalled by number or reaped, and while leaders
    are reaped: an unreaped child keeps its number, so what was judged is what is signalled.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.leaders: dict[int, Leader] = {}
        self.pid = 0
        self._sid = 0
        self._inherited_tag: int | None = None
        self._mark_flag = 0
        self._hard_limit = resource.RLIM_INFINITY
        self._children_fd: int | None = None
        self._runs = 0

    def enter(self) -> None:
        """Be a subreaper while a run goes on; `leave` when it is over.

        Not for longer: every daemon that other code of this process has started by double fork
        would become our child too, and its end a zombie that nobody here waits for.

        Raises OSError where it cannot be or would be of no use.
        """
        with self.lock:
            if not self._runs:
                if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
                    why = "this process ignores SIGCHLD and so learns of no end"
                    raise OSError(errno.ECHILD, why)
                self._look_around()
                _set_child_subreaper(1)
            self._runs += 1

    def leave(self) -> None:
        """A run is over."""
        with self.lock:
            self._runs -= 1
            if not self._runs:
                _set_child_subreaper(0)

    def forget(self) -> None:
        """After a fork: the child is no subreaper, and leads nobody."""
        if self._children_fd is not None:
            os.close(self._children_fd)
        self.__init__()  # type: ignore[misc]

    def birth(self) -> _Birth:
        """What this thread starts in the block is born with the mark. Register it before the end.

        Where the newborn is seen among the orphans (the main thread's children are), nobody may
        look at these before it is registered: it would be taken for one of a run that is over.
        """
        is_seen = self._children_fd is None or threading.get_native_id() == self.pid
        return _Birth(self.lock if is_seen else None, is_marked=bool(self._mark_flag))

    def register(self, leader: Leader) -> None:
        """Know a just started child as the leader of a run, and tag it."""
        self.leaders[leader.pid] = leader
        if self._inherited_tag is not None:
            return
        # A set-user-ID program or a lowered hard limit: the other evidence has to do.
        try:  # noqa: SIM105 - with every run, and contextlib's way costs several times as much
            resource.prlimit(leader.pid, _RLIMIT_LOCKS, (leader.tag, self._hard_limit))
        except (OSError, ValueError):
            pass

    def orphans(self) -> list[int]:
        """Children that no run leads: of runs, or foreign. Hold the lock."""
        return [pid for pid in self._read_children() if pid not in self.leaders]

    def judge(self, orphan: int, leader: Leader) -> Claim:
        """Whether an orphan belongs to this leader's run. Hold the lock.

        What is of a run that is no more belongs to any.
        """
        try:
            sid = os.getsid(orphan)
        except OSError:
            return Claim.NO
        if sid == self._sid:
            return Claim.NO
        if sid in self.leaders:
            return _claim(sid == leader.pid)
        tag = self._own_tag(orphan)
        is_of_a_run = tag is not None or self._is_marked(orphan)
        if tag is None and (is_of_a_run or not self._mark_flag):
            marker = procfs.read_environment_value(orphan, EXECUTION_ID_VARIABLE)
            tag = tag_of(marker) if marker is not None else None
        if tag is not None and any(tag == other.tag for other in self._living_leaders()):
            return _claim(tag == leader.tag)
        if not is_of_a_run:
            return Claim.NO
        return Claim.YES if tag is not None else self._judge_by_age(orphan, leader)

    def reap_orphans(self) -> None:
        """Reap what died of the runs' orphans, whichever run, so that no zombie stays."""
        if not self.pid:
            return
        with self.lock:
            for pid in self.orphans():
                if self._is_certainly_orphan(pid):
                    reap(pid)

    def _living_leaders(self) -> tuple[Leader, ...]:
        return tuple(self.leaders.values())  # in one go: others register without the lock

    def _judge_by_age(self, orphan: int, leader: Leader) -> Claim:
        """It can only be of a run that is older than itself."""
        stat = procfs.read_stat(orphan)
        if stat is None:
            return Claim.NO
        older = [one for one in self._living_leaders() if one.began_ticks <= stat.start_ticks]
        if leader in older:
            return Claim.YES if len(older) == 1 else Claim.MAYBE
        return _claim(not older)

    def _is_certainly_orphan(self, pid: int) -> bool:
        """Not a child that other code here started and waits for.

        Such a child has no tag or mark but an inherited one, and is in our session or leads its
        own.
        """
        try:
            sid = os.getsid(pid)
        except OSError:
            return False
        if sid in (self._sid, pid):
            return self._own_tag(pid) is not None or self._is_marked(pid)
        return True

    def _own_tag(self, pid: int) -> int | None:
        """The tag by which a child can be told; none if it is the one that all inherit."""
        tag = read_tag(pid)
        return tag if tag != self._inherited_tag else None

    def _is_marked(self, pid: int) -> bool:
        stat = procfs.read_stat(pid) if self._mark_flag else None
        return stat is not None and bool(stat.flags & self._mark_flag)

    def _look_around(self) -> None:
        if self.pid:
            return
        pid = os.getpid()
        self._sid = os.getsid(0)
        self._inherited_tag = read_tag(pid)
        self._mark_flag = _find_mark_flag()
        self._hard_limit = resource.getrlimit(_RLIMIT_LOCKS)[1]
        self._children_fd = _open_children(pid)
        self.pid = pid

    def _read_children(self) -> list[int]:
        if self._children_fd is None:
            return procfs.scan_children(self.pid)
        chunks: list[bytes] = []
        offset = 0
        while chunk := instant_calls.read_at(self._children_fd, offset):
            chunks.append(chunk)
            offset += len(chunk)
        return [int(pid) for pid in b"".join(chunks).split()]


def reap(pid: int) -> bool:
    """Reap one child of ours if it has ended; True when it is there no more."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG) is not None
    except ChildProcessError:
        return True


def _claim(is_so: bool) -> Claim:
    return Claim.YES if is_so else Claim.NO


def _set_child_subreaper(switch: int) -> None:
    if _libc.prctl(_PR_SET_CHILD_SUBREAPER, switch, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "cannot become a child subreaper")


def _find_mark_flag() -> int:
    """The process flag that the mark sets; 0 where it sets none, or all here inherit it."""
    thread = threading.get_native_id()
    before = procfs.read_stat(thread)
    _libc.prctl(_PR_MCE_KILL, _MCE_SET, _MCE_LATE, 0, 0)
    after = procfs.read_stat(thread)
    if before is None or after is None or before.flags == after.flags:
        return 0
    _libc.prctl(_PR_MCE_KILL, _MCE_CLEAR, 0, 0, 0)
    flag = after.flags & ~before.flags
    return flag if flag.bit_count() == 1 else 0


def _open_children(pid: int) -> int | None:
    path = f"/proc/{pid}/task/{pid}/children"
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:  # a kernel without CONFIG_PROC_CHILDREN
        return None


subreaper = Subreaper()
os.register_at_fork(after_in_child=subreaper.forget)
