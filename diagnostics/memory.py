"""Memory and CPU of the host and of this process."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any

import psutil

#: Figures change slowly; within this time one measurement serves every request of the process.
SAMPLE_S = 0.5

_process = psutil.Process()
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class MemoryStats:
    """One measurement. Sizes in bytes, ``percent`` and ``cpu_percent`` from 0 to 100.

    ``cpu_percent`` is the host's use since the last measurement; ``uptime_s`` counts since this
    process started.
    """

    used: int
    available: int
    total: int
    percent: float
    process_rss: int
    cpu_percent: float
    uptime_s: int

    def as_dict(self) -> dict[str, Any]:
        """Return the fields by name."""
        return {name: getattr(self, name) for name in self.__slots__}


_sample: tuple[float, MemoryStats] | None = None


def get_memory_stats() -> MemoryStats:
    """Return the current figures, measured at most twice a second."""
    global _sample
    sample = _sample
    if sample is not None and time.monotonic() - sample[0] < SAMPLE_S:
        return sample[1]
    if not _lock.acquire(blocking=sample is None):
        assert sample is not None  # noqa: S101 - somebody else measures; the last one will do
        return sample[1]
    try:
        stats = _measure()
        _sample = (time.monotonic(), stats)
        return stats
    finally:
        _lock.release()


def _measure() -> MemoryStats:
    host = psutil.virtual_memory()
    return MemoryStats(
        used=host.total - host.available,
        available=host.available,
        total=host.total,
        percent=round((host.total - host.available) * 100 / host.total, 1),
        process_rss=_process.memory_info().rss,
        cpu_percent=psutil.cpu_percent(interval=None),
        uptime_s=int(time.time() - _process.create_time()),
    )
