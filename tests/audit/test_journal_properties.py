"""Whatever is done to a journal, in whatever order, its promises hold."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from audit.journal import FindingKind, Journal
from audit.journal_format import HEADER_BYTES
from tests.audit.journal_faults import MEMORY, Fault, FaultyDisk, segments

SIZES = {"cap_bytes": 1 << 20, "reserve_bytes": 4096, "segment_bytes": 600}
PAYLOADS = st.binary(max_size=200)


class Crash(BaseException):
    """The process ended here."""


def crash_in_write(kept: int) -> Fault:
    """Let the first write to a segment take so many bytes and never return."""

    def fault(_, name, real, arguments):  # type: ignore[no-untyped-def]
        if name == "pwrite" and arguments[2] >= HEADER_BYTES:
            fd, data, offset = arguments
            FaultyDisk().pwrite(fd, data[:kept], offset)
            raise Crash
        return real()

    return fault


def flip(path: Path, offset: int, mask: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= mask
    path.write_bytes(data)


class JournalMachine(RuleBasedStateMachine):
    """Appends, crashes in mid-write, restarts and replays; nothing is damaged by any of it."""

    def __init__(self) -> None:
        super().__init__()
        self.home = tempfile.TemporaryDirectory(dir=MEMORY)
        self.directory = Path(self.home.name) / "journal"
        self.acknowledged: list[bytes] = []
        self.maybe: set[bytes] = set()
        self.got: list[bytes] = []
        self.count = 0

    @initialize()
    def start(self) -> None:
        self.journals = [Journal(self.directory, **SIZES) for _ in range(2)]

    def record(self, payload: bytes) -> bytes:
        self.count += 1
        return b"%06d" % self.count + payload

    @rule(payload=PAYLOADS, which=st.integers(0, 1))
    def append(self, payload: bytes, which: int) -> None:
        record = self.record(payload)
        self.journals[which].append(record)
        self.acknowledged.append(record)

    @rule(payload=PAYLOADS, data=st.data(), which=st.integers(0, 1))
    def crash(self, payload: bytes, data: st.DataObject, which: int) -> None:
        record = self.record(payload)
        kept = data.draw(st.integers(0, 44 + len(record)))
        dying = Journal(self.directory, **SIZES, disk=FaultyDisk(crash_in_write(kept)))
        try:
            dying.append(record)
        except Crash:
            self.maybe.add(record)
        finally:
            dying.close()

    @rule(which=st.integers(0, 1))
    def restart(self, which: int) -> None:
        self.journals[which].close()
        self.journals[which] = Journal(self.directory, **SIZES)

    @rule(batch=st.integers(1, 5), which=st.integers(0, 1))
    def replay(self, batch: int, which: int) -> None:
        replayed = self.journals[which].replay(self.got.extend, batch=batch)
        assert replayed.damaged == 0
        assert [each for each in self.got if each not in self.maybe] == self.acknowledged
        assert self.journals[1 - which].pending().records == 0

    @precondition(lambda self: self.count > 0)
    @rule(batch=st.integers(1, 5), after=st.integers(0, 5), which=st.integers(0, 1))
    def interrupted_replay(self, batch: int, after: int, which: int) -> None:
        calls = 0

        def deliver(records: list[bytes]) -> None:
            nonlocal calls
            if calls == after:
                raise Crash
            calls += 1
            self.got.extend(records)

        try:
            self.journals[which].replay(deliver, batch=batch)
        except Crash:
            return

    @invariant()
    def nothing_is_damaged(self) -> None:
        if hasattr(self, "journals"):
            kinds = [finding.kind for finding in self.journals[0].inspect()]
            assert FindingKind.DAMAGED not in kinds
            waiting = len([each for each in self.acknowledged if each not in self.got])
            assert waiting <= self.journals[1].pending().records <= waiting + len(self.maybe)

    def teardown(self) -> None:
        self.replay(batch=500, which=0)
        for journal in self.journals:
            journal.close()
        self.home.cleanup()


JournalMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestJournalMachine = pytest.mark.slow(JournalMachine.TestCase)


@pytest.mark.slow
@settings(max_examples=80, deadline=None)
@given(
    payloads=st.lists(PAYLOADS, min_size=1, max_size=15),
    flips=st.lists(
        st.tuples(
            st.floats(0, 1, exclude_max=True),
            st.floats(0, 1, exclude_max=True),
            st.integers(1, 255),
        ),
        min_size=1,
        max_size=3,
    ),
)
def test_flipped_bytes_cost_only_the_records_they_hit(
    payloads: list[bytes], flips: list[tuple[float, float, int]]
) -> None:
    """Each byte flipped in what was acknowledged is damage; all other records come out."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as home:
        directory = Path(home) / "journal"
        journal = Journal(directory, **SIZES)
        records = [b"%06d" % number + payload for number, payload in enumerate(payloads)]
        for record in records:
            journal.append(record)
        whole = {each.sequence: each for each in journal.inspect()}
        hit: dict[tuple[str, int], int] = {}
        for which, where, mask in flips:
            files = segments(directory)
            path = files[int(which * len(files))]
            ends = [each.offset + each.length for each in whole.values() if each.file == path.name]
            offset = int(where * max(ends))
            flip(path, offset, mask)
            hit[path.name, offset] = hit.get((path.name, offset), 0) ^ mask
        harmed = {at for at, mask in hit.items() if mask}
        headless = {
            name
            for name, offset in harmed
            if offset < 96 and any((name, other) in harmed for other in range(96, 192))
        }
        expected = [
            each.payload
            for each in whole.values()
            if each.file not in headless
            and not any(
                (each.file, at) in harmed for at in range(each.offset, each.offset + each.length)
            )
        ]
        kinds = [each.kind for each in journal.inspect()]
        assert (FindingKind.DAMAGED in kinds) == bool(harmed)
        assert FindingKind.TORN not in kinds
        got: list[bytes] = []
        replayed = journal.replay(got.extend, batch=3)
        assert got == expected
        assert bool(replayed.damaged) == bool(harmed)
        assert {name.removesuffix(".damaged") for name in replayed.set_aside} == {
            name for name, _ in harmed
        }
        assert replayed.torn == 0
        journal.close()


@pytest.mark.slow
@settings(max_examples=80, deadline=None)
@given(
    payloads=st.lists(PAYLOADS, min_size=1, max_size=12),
    cut=st.floats(0, 1, exclude_max=True),
    knows=st.booleans(),
)
def test_a_cut_costs_only_the_records_behind_it(
    payloads: list[bytes], cut: float, knows: bool
) -> None:
    """While the state knows better a cut is damage; without it, it looks like a torn write."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as home:
        directory = Path(home) / "journal"
        journal = Journal(directory, **SIZES | {"segment_bytes": 65536})
        records = [b"%06d" % number + payload for number, payload in enumerate(payloads)]
        for record in records:
            journal.append(record)
        ends = [each.offset + each.length for each in journal.inspect()]
        journal.close()
        size = int(cut * ends[-1])
        with segments(directory)[0].open("r+b") as file:
            file.truncate(size)
        if not knows:
            (directory / "lock").unlink()
        journal = Journal(directory, **SIZES)
        kinds = {each.kind for each in journal.inspect()} - {FindingKind.RECORD}
        clean_cut = size == HEADER_BYTES or size in ends
        if knows:
            assert kinds == {FindingKind.DAMAGED}
        else:
            assert kinds == (set() if clean_cut else {FindingKind.TORN})
        got: list[bytes] = []
        replayed = journal.replay(got.extend)
        kept = [record for record, end in zip(records, ends, strict=True) if end <= size]
        assert got == kept
        assert bool(replayed.damaged) == knows
        journal.append(b"after")
        journal.replay(got.extend)
        assert got == [*kept, b"after"]
        journal.close()
