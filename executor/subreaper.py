"""This process as the adoptive parent of every run's orphans.

With PR_SET_CHILD_SUBREAPER a descendant whose parent ends is handed to us, never to init. The
kernel puts such orphans among the children of the first living thread, which in Python is always
the main thread; runs started by other threads have their leaders elsewhere. So one small read of
/proc/<us>/task/<main>/children shows all orphans, and nothing when there are none.

A *tag* tells of which run an orphan is: a digest of the run's marker as the value of RLIMIT_LOCKS,
which Linux has not enforced since 2.4.25. Every child inherits it, through fork, exec, setsid and
a cleared environment; anyone may read it, also of a zombie; and it outlives us. Within a run of
another service (an action that itself runs actions) the outer run's tag stays on all processes, so
that the end of the outer run reaches what the inner ones left.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import os
import resource
import signal
import threading

from executor import procfs

_PR_SET_CHILD_SUBREAPER = 36
_RLIMIT_LOCKS = 10
_TAG_PREFIX, _TAG_BITS = 0x7EC0, 48
_CHILDREN_CHUNK_BYTES = 65_536

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


class Subreaper:
    """The children of this operating system process, seen as leaders and orphans.

    `lock` is held while orphans are read, judged, signalled by number or reaped, and while leaders
    are reaped: an unreaped child keeps its number, so what was judged is what is signalled.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.leaders: dict[int, object] = {}
        self.pid = 0
        self.sid = 0
        self.inherited_tag: int | None = None
        self.hard_limit = resource.RLIM_INFINITY
        self._children_fd: int | None = None
        self._runs = 0

    def enter(self) -> None:
        """Be a subreaper while a run goes on; `leave` when it is over.

        Not for longer: every daemon that other code of this process has started by double fork
        would become our child too, and its end a zombie that nobody here waits for.

        Raises OSError where it cannot be or would be of no use.
        """
        if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
            raise OSError(errno.ECHILD, "this process ignores SIGCHLD and so learns of no end")
        with self.lock:
            if not self._runs:
                self._look_around()
                _set_child_subreaper(1)
            self._runs += 1

    def leave(self) -> None:
        """A run is over."""
        with self.lock:
            self._runs -= 1
            if not self._runs:
                _set_child_subreaper(0)

    def _look_around(self) -> None:
        if self.pid:
            return
        pid = os.getpid()
        self.sid = os.getsid(0)
        self.inherited_tag = read_tag(pid)
        self.hard_limit = resource.getrlimit(_RLIMIT_LOCKS)[1]
        self._children_fd = _open_children(pid)
        self.pid = pid

    def forget(self) -> None:
        """After a fork: the child is no subreaper, and leads nobody."""
        if self._children_fd is not None:
            os.close(self._children_fd)
        self.__init__()  # type: ignore[misc]

    def set_tag(self, pid: int, tag: int) -> None:
        """Tag a process; what it starts from now on inherits the tag."""
        if self.inherited_tag is not None:
            return
        # A set-user-ID program or a lowered hard limit: the other evidence has to do.
        with contextlib.suppress(OSError, ValueError):
            resource.prlimit(pid, _RLIMIT_LOCKS, (tag, self.hard_limit))

    def orphans(self) -> list[int]:
        """Children that no run leads: ours to judge, or foreign. Hold the lock."""
        return [pid for pid in self._read_children() if pid not in self.leaders]

    def reap_orphans(self) -> None:
        """Reap what died of the runs' orphans, whichever run, so that no zombie stays."""
        if not self.pid:
            return
        with self.lock:
            for pid in self.orphans():
                if self._is_certainly_orphan(pid):
                    reap(pid)

    def own_tag(self, pid: int) -> int | None:
        """The tag by which a child can be told; none if it is the one that all inherit."""
        tag = read_tag(pid)
        return tag if tag != self.inherited_tag else None

    def _is_certainly_orphan(self, pid: int) -> bool:
        """Not a child that other code here started and waits for.

        Such a child has no tag but the inherited one, and is in our session or leads its own. (So
        an orphan that led its own session and ended before it could be tagged stays a zombie.)
        """
        try:
            sid = os.getsid(pid)
        except OSError:
            return False
        return sid not in (self.sid, pid) or self.own_tag(pid) is not None

    def _read_children(self) -> list[int]:
        if self._children_fd is None:
            return procfs.scan_children(self.pid)
        chunks: list[bytes] = []
        offset = 0
        while chunk := os.pread(self._children_fd, _CHILDREN_CHUNK_BYTES, offset):
            chunks.append(chunk)
            offset += len(chunk)
        return [int(pid) for pid in b"".join(chunks).split()]


def _set_child_subreaper(switch: int) -> None:
    if _libc.prctl(_PR_SET_CHILD_SUBREAPER, switch, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "cannot become a child subreaper")


def _open_children(pid: int) -> int | None:
    path = f"/proc/{pid}/task/{pid}/children"
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:  # a kernel without CONFIG_PROC_CHILDREN
        return None


subreaper = Subreaper()
os.register_at_fork(after_in_child=subreaper.forget)


def reap(pid: int) -> bool:
    """Reap one child of ours if it has ended; True when it is there no more."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG) is not None
    except ChildProcessError:
        return True
