"""A life of a journal in one short run, for the tests that end it somewhere in the middle.

As a program: ``python -m tests.audit.journal_scenario DIRECTORY`` tells on standard output what
was acknowledged (``A id``) and what was delivered (``D id``), each before anything else happens.
"""

import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from audit.journal import Journal, JournalUnavailable
from audit.journal_disk import Disk

SIZES = {"cap_bytes": 4096 + 1000, "reserve_bytes": 4096, "segment_bytes": 700}
ROOMY = SIZES | {"cap_bytes": 64 * 1024}
RECORDS = 12
SHORT = 8  # each system call of a program of its own costs a start of Python


def record(number: int) -> bytes:
    """A record that says its number and is long enough that segments fill up."""
    return b"%d %s" % (number, b"." * (40 + 29 * (number % 5)))


def number_of(payload: bytes) -> int:
    return int(payload.split()[0])


def live(
    directory: Path,
    disk: Disk | None,
    tell: Callable[[str, int], None],
    records: int = RECORDS,
) -> None:
    """Append and replay in turns, on two objects, as two processes would; use the reserve."""
    first = Journal(directory, disk=disk, **SIZES)
    second = Journal(directory, disk=disk, **SIZES)

    def deliver(payloads: Sequence[bytes]) -> None:
        for payload in payloads:
            tell("D", number_of(payload))

    def append(numbers: Iterable[int]) -> None:
        for number in numbers:
            with contextlib.suppress(JournalUnavailable):
                (second if number % 4 == 3 else first).append(record(number))
                tell("A", number)

    append(range(records // 2))
    with contextlib.suppress(JournalUnavailable):
        first.replay(deliver, batch=2)
    append(range(records // 2, records))
    with contextlib.suppress(JournalUnavailable):
        second.replay(deliver, batch=3)
    append([records])


class Told:
    """What a run told before it ended."""

    def __init__(self, text: bytes) -> None:
        words = [line.split() for line in text.decode().splitlines()]
        assert all(len(word) == 2 for word in words)
        self.acknowledged = [int(word[1]) for word in words if word[0] == "A"]
        self.delivered = [int(word[1]) for word in words if word[0] == "D"]


def check_after(directory: Path, told: Told) -> None:
    """A fresh journal over what is left: all that was acknowledged is there, in order, once."""
    journal = Journal(directory, **ROOMY)
    assert [each for each in journal.inspect() if each.kind.value == "damaged"] == []
    depth = journal.pending()
    left = [number for number in told.acknowledged if number not in told.delivered]
    assert depth.records >= len(left)
    journal.append(record(100))
    got: list[int] = []
    replayed = journal.replay(lambda payloads: got.extend(map(number_of, payloads)))
    assert replayed.damaged == 0
    seen: list[int] = []
    for number in told.delivered + got:  # what a deliverer does that knows a record again
        if number not in seen:
            seen.append(number)
    assert set(told.acknowledged) <= set(seen)
    assert seen == sorted(seen)
    assert seen[-1] == 100
    assert len(set(got)) == len(got)
    after = journal.pending()
    assert (after.records, after.bytes, after.damaged_segments) == (0, 0, 0)
    assert list(directory.glob("*.journal")) == []


def main() -> None:
    def tell(what: str, number: int) -> None:
        os.write(1, b"%s %d\n" % (what.encode(), number))

    live(Path(sys.argv[1]), None, tell, SHORT)


if __name__ == "__main__":
    main()
