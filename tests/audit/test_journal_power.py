"""What was acknowledged outlasts a loss of power, and what was not is never taken for damage."""

import contextlib
import time
from pathlib import Path
from random import Random

import pytest

from audit.journal import FindingKind, Journal, JournalUnavailable
from audit.journal_directory import JournalDirectory
from audit.journal_writer import Limits, Writer
from tests.audit.journal_power import ForgetfulDisk, Killed, PowerLoss
from tests.audit.journal_scenario import number_of

SIZES = {"cap_bytes": 40_000, "reserve_bytes": 8192, "segment_bytes": 6000}
LIFETIMES = 400


class Life:
    """Batches of records and replays in random order, until the power goes."""

    def __init__(self, directory: Path, disk: ForgetfulDisk, random: Random) -> None:
        limits = Limits(SIZES["cap_bytes"], SIZES["reserve_bytes"], SIZES["segment_bytes"])
        self.writer = Writer(JournalDirectory(directory, disk), limits)
        self.journal = Journal(directory, disk=disk, **SIZES)
        self.disk = disk
        self.random = random
        self.acknowledged: list[int] = []
        self.delivered: list[int] = []
        self.count = 0

    def run(self) -> None:
        try:
            while True:
                chance = self.random.random()
                if chance < 0.1:
                    self.journal.replay(self.deliver, batch=5)
                elif chance < 0.2:
                    self.be_killed()
                else:
                    with contextlib.suppress(JournalUnavailable):  # over the cap
                        self.append(self.random.randint(1, 6))
        except PowerLoss:
            pass
        finally:
            self.writer.close()
            self.journal.close()

    def be_killed(self) -> None:
        """End in the middle of a write and start again."""
        self.disk.kills_in_sync = True
        with contextlib.suppress(Killed, JournalUnavailable):
            self.append(2)
        self.disk.kills_in_sync = False
        self.writer.close()

    def append(self, size: int) -> None:
        numbers = range(self.count, self.count + size)
        self.count += size
        records = [b"%d " % each + bytes([120]) * self.random.randint(0, 900) for each in numbers]
        with self.writer.locked(time.monotonic() + 10):
            for more in self.writer.write(records):
                done = len(self.acknowledged)
                begun = [each for each in numbers if each not in self.acknowledged]
                self.acknowledged += begun[:more]
                assert len(self.acknowledged) == done + more

    def deliver(self, payloads: list[bytes]) -> None:
        self.delivered += map(number_of, payloads)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_acknowledged_records_outlast_the_power(tmp_path: Path, seed: int) -> None:
    torn = 0
    for turn in range(LIFETIMES // 4):
        random = Random(1000 * seed + turn)
        directory = tmp_path / f"before {turn}"
        directory.mkdir(mode=0o700)
        disk = ForgetfulDisk(directory, random.randint(1, 700), in_sync=turn % 2 == 0)
        life = Life(directory, disk, random)
        life.run()
        left = tmp_path / f"after {turn}"
        disk.lose_power(random, left)
        torn += check(left, life)
    assert torn


def check(left: Path, life: Life) -> int:
    journal = Journal(left, **SIZES | {"cap_bytes": 1 << 20})
    found = [each for each in journal.inspect() if each.kind is FindingKind.DAMAGED]
    assert found == []
    if life.random.random() < 0.5:
        journal.append(b"%d after" % life.count)
    got: list[int] = []
    replayed = journal.replay(lambda payloads: got.extend(map(number_of, payloads)))
    assert replayed.damaged == 0, replayed.findings
    seen = list(dict.fromkeys(life.delivered + got))
    assert seen == sorted(seen)
    assert set(life.acknowledged) <= set(seen)
    assert journal.pending().records == 0
    journal.close()
    return replayed.torn
