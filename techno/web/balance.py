"""How many connections each web process has, known to all of them, so that they share fairly.

All processes wait for connections at one socket, and whoever wakes first takes what has come. A
console keeps its few connections open; when one process took them all, the others would stay idle
for as long as it does. So a process that has more connections than another gives that one a moment
to come first.

The numbers stand in memory that the master makes and the processes inherit. Each process writes
its own only; a torn or late number costs a moment, never a connection.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Collection, Iterator

#: More processes than may be configured, so that one that stops and its successor have room.
PLACES = 256
#: In a place that nobody holds.
NOBODY = 0xFFFF_FFFF
_NUMBER = struct.Struct("=I")


class Connections:
    """The connections of each web process. Made in the master, before any process starts."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, PLACES * _NUMBER.size)  # shared with who is forked
        for place in range(PLACES):
            self.write(place, NOBODY)

    def free_place(self, taken: Collection[int]) -> int:
        """Return a place that is none of ``taken``. Raises ``StopIteration`` when there is none."""
        return next(place for place in range(PLACES) if place not in taken)

    def write(self, place: int, count: int) -> None:
        """Note how many connections the process in ``place`` has; ``NOBODY`` when it is gone."""
        _NUMBER.pack_into(self._memory, place * _NUMBER.size, count)

    def least(self) -> int:
        """Return how many connections the process with the fewest has; ``NOBODY`` without any."""
        counts: Iterator[tuple[int]] = _NUMBER.iter_unpack(self._memory)
        return min(count for (count,) in counts)


#: Those of this master's processes.
CONNECTIONS = Connections()
