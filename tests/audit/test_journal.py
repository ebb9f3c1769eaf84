"""The journal seen from outside: what goes in comes out, once, in order, whatever happens to it."""

import errno
import os
import shutil
import signal
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from audit.journal import FindingKind, Journal, JournalUnavailable, ReplayBusy
from audit.journal_format import encode_frames
from tests.audit.journal_faults import FaultyDisk, at_call, fail, segments, short_writes

SMALL = {"cap_bytes": 256 * 1024, "reserve_bytes": 8192, "segment_bytes": 1024}


@pytest.fixture
def where(tmp_path: Path) -> Path:
    return tmp_path / "var" / "journal"


def fill(journal: Journal, record: bytes) -> tuple[int, JournalUnavailable]:
    """Append until it is refused: how often that went well, and the refusal."""
    kept = 0
    while True:
        try:
            journal.append(record)
        except JournalUnavailable as refused:
            return kept, refused
        kept += 1


def flip(path: Path, offset: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1]))


def delivered(journal: Journal, batch: int = 500) -> list[bytes]:
    got: list[bytes] = []
    journal.replay(got.extend, batch=batch)
    return got


def kinds(journal: Journal) -> list[str]:
    return [finding.kind.value for finding in journal.inspect()]


def test_nothing_is_made_before_the_first_record(where: Path) -> None:
    journal = Journal(where)
    assert journal.pending().records == 0
    assert list(journal.inspect()) == []
    assert journal.replay(lambda records: pytest.fail("nothing to deliver")).records == 0
    assert not where.parent.exists()


def test_records_come_out_in_order_once(where: Path) -> None:
    journal = Journal(where, **SMALL)
    sent = [b"record %d" % number * (number % 7) for number in range(100)]
    for record in sent:
        journal.append(record)
    assert len(segments(where)) > 3
    assert delivered(journal, batch=7) == sent
    assert delivered(journal) == []
    assert segments(where) == []


def test_another_process_sees_what_waits(where: Path) -> None:
    before = time.time()
    journal = Journal(where)
    for record in (b"one", b"two", b"three"):
        journal.append(record)
    depth = Journal(where).pending()
    assert depth.records == 3
    assert depth.bytes == 3 * 44 + 11
    assert depth.oldest is not None
    assert before - 1 <= depth.oldest <= time.time() + 1
    assert (depth.last_replay, depth.replayed, depth.has_reserve) == (None, 0, True)


def test_depth_after_replay(where: Path) -> None:
    journal = Journal(where)
    for record in (b"one", b"two"):
        journal.append(record)
    journal.replay(lambda records: None)
    journal.append(b"three")
    depth = journal.pending()
    assert (depth.records, depth.replayed) == (1, 2)
    assert depth.last_replay is not None


def test_depth_in_the_middle_of_a_segment(where: Path) -> None:
    journal = Journal(where)
    for number in range(10):
        journal.append(b"%d" % number)

    def deliver(records: list[bytes]) -> None:
        if records[0] == b"6":
            raise RuntimeError("the database is gone again")

    with pytest.raises(RuntimeError, match="gone again"):
        journal.replay(deliver, batch=3)
    depth = journal.pending()
    assert (depth.records, depth.bytes, depth.replayed) == (4, 4 * 45, 6)
    assert delivered(journal) == [b"6", b"7", b"8", b"9"]


def test_an_oserror_of_the_deliverer_stays_its_own(where: Path) -> None:
    journal = Journal(where)
    journal.append(b"x")

    def deliver(records: object) -> None:
        raise ConnectionRefusedError("no database")

    with pytest.raises(ConnectionRefusedError):
        journal.replay(deliver)
    assert delivered(journal) == [b"x"]


def test_private_modes(where: Path) -> None:
    old = os.umask(0)
    try:
        Journal(where).append(b"x")
    finally:
        os.umask(old)
    assert stat.S_IMODE(where.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in where.iterdir()} == {0o600}


def test_a_directory_open_to_others_is_closed(where: Path) -> None:
    where.mkdir(parents=True)
    where.chmod(0o755)
    Journal(where).append(b"x")
    assert stat.S_IMODE(where.stat().st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give a directory away")
def test_root_leaves_the_files_to_the_owner_of_the_directory(where: Path) -> None:
    where.mkdir(parents=True, mode=0o700)
    os.chown(where, 4711, 4712)
    journal = Journal(where, **SMALL)
    journal.append(b"x")
    journal.replay(lambda records: None)
    journal.append(b"y")
    assert {(path.stat().st_uid, path.stat().st_gid) for path in where.iterdir()} == {(4711, 4712)}


def test_the_biggest_record_and_one_byte_more(where: Path) -> None:
    journal = Journal(where, segment_bytes=1024)
    biggest = os.urandom(1024 * 1024)
    journal.append(b"")
    journal.append(biggest)
    with pytest.raises(ValueError, match="1048577"):
        journal.append(biggest + b"x")
    assert delivered(journal) == [b"", biggest]


@pytest.mark.parametrize("most", [1, 7, 100])
def test_short_writes(where: Path, most: int) -> None:
    journal = Journal(where, **SMALL, disk=FaultyDisk(short_writes(most)))
    sent = [b"%d" % number * 60 for number in range(20)]
    for record in sent:
        journal.append(record)
    assert delivered(Journal(where)) == sent


def test_records_that_look_like_frames_stay_records(where: Path) -> None:
    """A reader that lost its way behind damage must not be led on by what a caller sent."""
    journal = Journal(where)
    forged = encode_frames(b"guess".ljust(16), 2, 0, [b"forged"])
    journal.append(b"A" * 50 + forged)
    journal.append(b"last")
    flip(segments(where)[0], 192 + 44)
    assert delivered(journal) == [b"last"]


def test_threads_share_their_writes(where: Path) -> None:
    disk = FaultyDisk()
    syncs: list[int] = []
    disk.fault = lambda count, name, real, _: (name == "sync" and syncs.append(count), real())[1]
    journal = Journal(where, disk=disk, lock_timeout_s=30)

    def work(thread: int) -> None:
        for number in range(50):
            journal.append(b"%d %d" % (thread, number))

    threads = [threading.Thread(target=work, args=(each,)) for each in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    got = [tuple(map(int, record.split())) for record in delivered(journal)]
    assert sorted(got) == [(thread, number) for thread in range(8) for number in range(50)]
    for each in range(8):
        assert [number for thread, number in got if thread == each] == list(range(50))
    assert len(syncs) < 400


def test_a_follower_gives_up_when_the_disk_hangs(where: Path) -> None:
    hangs, goes_on = threading.Event(), threading.Event()

    def hang() -> None:
        hangs.set()
        goes_on.wait()

    Journal(where).append(b"before")
    journal = Journal(where, disk=FaultyDisk(at_call("sync", hang)))
    leader = threading.Thread(target=journal.append, args=(b"leader",))
    leader.start()
    hangs.wait()
    with pytest.raises(JournalUnavailable, match=r"within 0\.05 s"):
        journal.append(b"follower", timeout_s=0.05)
    goes_on.set()
    leader.join()
    journal.append(b"after")
    assert delivered(journal) == [b"before", b"leader", b"after"]


def test_one_failure_reaches_all_whose_records_it_took(where: Path) -> None:
    first_sync, goes_on = threading.Event(), threading.Event()

    def hang() -> None:
        first_sync.set()
        goes_on.wait()

    Journal(where).append(b"before")
    disk = FaultyDisk(at_call("sync", hang))
    journal = Journal(where, disk=disk, lock_timeout_s=30)
    outcomes: list[str] = []

    def work(record: bytes) -> None:
        try:
            journal.append(record)
            outcomes.append("kept")
        except JournalUnavailable as error:
            outcomes.append(error.cause)

    threads = [threading.Thread(target=work, args=(b"%d" % each,)) for each in range(6)]
    threads[0].start()
    first_sync.wait()
    for thread in threads[1:]:
        thread.start()
    disk.fault = fail(errno.EIO, first=1)
    goes_on.set()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 6
    assert "kept" not in outcomes
    disk.fault = None
    journal.append(b"healed")
    assert b"healed" in delivered(journal)


def test_an_interrupted_leader_takes_nobody_with_it(where: Path) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    Journal(where).append(b"before")
    journal = Journal(where, disk=FaultyDisk(at_call("sync", interrupt)))
    with pytest.raises(KeyboardInterrupt):
        journal.append(b"interrupted")
    journal.append(b"after")
    assert delivered(journal)[-1] == b"after"


def run_in_child(work: Callable[[], object]) -> int:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return child


def test_processes_and_threads_together(where: Path) -> None:
    processes, threads, each = 4, 3, 40

    def work(process: int) -> None:
        journal = Journal(where, lock_timeout_s=60, segment_bytes=4096)

        def append(thread: int) -> None:
            for number in range(each):
                journal.append(b"%d %d %d" % (process, thread, number))

        workers = [threading.Thread(target=append, args=(thread,)) for thread in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    children = [run_in_child(lambda process=process: work(process)) for process in range(processes)]
    got: list[bytes] = []
    journal = Journal(where, lock_timeout_s=60)
    for _ in range(5):  # replay goes on meanwhile
        journal.replay(got.extend, batch=10)
        time.sleep(0.02)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * processes
    journal.replay(got.extend)
    expected = [(p, t, n) for p in range(processes) for t in range(threads) for n in range(each)]
    records = [tuple(map(int, record.split())) for record in got]
    assert sorted(records) == expected
    in_order = sorted(records, key=lambda record: record[:2])
    assert in_order == expected
    assert journal.pending().damaged_segments == 0


def test_an_append_waits_for_another_process_but_not_for_ever(where: Path) -> None:
    holds, goes_on = os.pipe(), os.pipe()

    def hang() -> None:
        os.write(holds[1], b"x")
        os.read(goes_on[0], 1)

    def work() -> None:
        Journal(where, disk=FaultyDisk(at_call("sync", hang))).append(b"slow")

    journal = Journal(where)
    journal.append(b"before")
    child = run_in_child(work)
    os.read(holds[0], 1)
    with pytest.raises(JournalUnavailable, match="another process"):
        journal.append(b"impatient", timeout_s=0.05)
    os.write(goes_on[1], b"x")
    os.waitpid(child, 0)
    journal.append(b"patient")
    assert delivered(journal) == [b"before", b"slow", b"patient"]


def test_only_one_replays(where: Path) -> None:
    journal = Journal(where)
    journal.append(b"x")

    def deliver(records: object) -> None:
        with pytest.raises(ReplayBusy):
            Journal(where).replay(lambda records: None)

    assert journal.replay(deliver).records == 1


def test_appends_go_on_while_replay_delivers(where: Path) -> None:
    journal = Journal(where)
    journal.append(b"first")
    assert journal.replay(lambda records: journal.append(b"second")).records == 1
    assert delivered(journal) == [b"second"]


def test_a_child_made_by_fork_writes_on_its_own(where: Path) -> None:
    journal = Journal(where)
    journal.append(b"parent")
    child = run_in_child(lambda: journal.append(b"child"))
    assert os.waitpid(child, 0)[1] == 0
    journal.append(b"parent again")
    assert delivered(journal) == [b"parent", b"child", b"parent again"]


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_fork_in_the_middle_of_an_append(where: Path) -> None:
    """The child has neither the thread that leads nor its lock; the parent keeps both."""
    hangs, goes_on = threading.Event(), threading.Event()

    def hang() -> None:
        hangs.set()
        goes_on.wait()

    Journal(where).append(b"before")
    journal = Journal(where, disk=FaultyDisk(at_call("sync", hang)))
    leader = threading.Thread(target=journal.append, args=(b"parent",))
    leader.start()
    hangs.wait()
    child = run_in_child(lambda: journal.append(b"child", timeout_s=30))
    time.sleep(0.05)
    goes_on.set()
    leader.join()
    assert os.waitpid(child, 0)[1] == 0
    assert delivered(journal) == [b"before", b"parent", b"child"]


def test_the_lock_dies_with_its_owner_although_a_child_lives_on(where: Path) -> None:
    grandchild, ready = os.pipe(), os.pipe()

    def fork_and_die() -> None:
        sleeper = os.fork()
        if sleeper == 0:
            os.write(ready[1], b"x")
            time.sleep(60)
            os._exit(0)
        os.write(grandchild[1], b"%d" % sleeper)
        os.read(ready[0], 1)
        os.kill(os.getpid(), signal.SIGKILL)

    Journal(where).append(b"before")
    disk = FaultyDisk(at_call("sync", fork_and_die))
    child = run_in_child(lambda: Journal(where, disk=disk).append(b"x"))
    os.waitpid(child, 0)
    sleeper = int(os.read(grandchild[0], 20))
    try:
        Journal(where).append(b"y")
    finally:
        os.kill(sleeper, signal.SIGKILL)


def remove(path: Path, aside: Path) -> None:
    path.unlink()


def move(path: Path, aside: Path) -> None:
    path.rename(aside)


def copy_over(path: Path, aside: Path) -> None:
    shutil.copy2(path, aside)
    aside.rename(path)


def cut(path: Path, aside: Path) -> None:
    os.truncate(path, 0)


def remove_directory(path: Path, aside: Path) -> None:
    shutil.rmtree(path.parent)


def move_directory(path: Path, aside: Path) -> None:
    path.parent.rename(aside)


ATTACKS = [remove, move, copy_over, cut, remove_directory, move_directory]


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("moment", ["between", "during"])
def test_a_file_gone_under_the_journal_is_noticed(
    where: Path,
    tmp_path: Path,
    attack: Callable[[Path, Path], None],
    moment: str,
) -> None:
    disk = FaultyDisk()
    journal = Journal(where, disk=disk)
    journal.append(b"one")
    journal.append(b"two")

    def strike() -> None:
        attack(segments(where)[0], tmp_path / "aside")

    if moment == "between":
        strike()
    else:
        disk.fault = at_call("sync", strike)
    with pytest.raises(JournalUnavailable, match=r"removed, replaced or cut|was cut|was removed"):
        journal.append(b"refused")
    journal.append(b"three")
    got: list[bytes] = []
    replayed = journal.replay(got.extend)
    assert got[-1] == b"three"
    assert b"refused" not in got
    assert got[:-1] in ([], [b"one", b"two"])
    if not got[:-1]:
        assert "records 1 to 2 are missing" in {finding.message for finding in replayed.findings}


def test_a_cut_file_is_noticed_by_whoever_comes_next(where: Path) -> None:
    Journal(where).append(b"one")
    os.truncate(segments(where)[0], 200)
    journal = Journal(where)
    assert kinds(journal) == ["damaged", "damaged"]
    with pytest.raises(JournalUnavailable, match="was cut from"):
        journal.append(b"refused")
    journal.append(b"two")
    got: list[bytes] = []
    replayed = journal.replay(got.extend)
    assert got == [b"two"]
    assert {finding.message for finding in replayed.findings} >= {"records 1 to 1 are missing"}
    assert replayed.set_aside == ["00000000000000000001.journal.damaged"]


@pytest.mark.parametrize("name", ["00000000000000000001.journal", "lock", "replay"])
def test_a_symbolic_link_is_refused(where: Path, tmp_path: Path, name: str) -> None:
    Journal(where, segment_bytes=256).append(b"x" * 100)
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (where / name).unlink()
    (where / name).symlink_to(victim)
    journal = Journal(where, segment_bytes=256)
    for _ in range(2):
        with pytest.raises(JournalUnavailable, match="planted"):
            journal.append(b"y" * 100)
    (where / name).unlink()
    if name.endswith(".journal"):
        with pytest.raises(JournalUnavailable, match="was removed"):
            journal.append(b"y" * 100)
    journal.append(b"y" * 100)
    assert victim.read_bytes() == b"precious"


def test_a_reserve_that_was_planted_is_never_written_to(where: Path, tmp_path: Path) -> None:
    journal = Journal(where, cap_bytes=8192, reserve_bytes=4096, segment_bytes=256)
    journal.append(b"x" * 100)
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious" * 1000)
    (where / "reserve").unlink()
    (where / "reserve").symlink_to(victim)
    _, refused = fill(journal, b"y" * 100)
    assert "planted" in str(refused)
    assert victim.read_bytes() == b"precious" * 1000


def test_a_link_in_place_of_the_directory_is_refused(where: Path, tmp_path: Path) -> None:
    where.parent.mkdir()
    where.symlink_to(tmp_path)
    with pytest.raises(JournalUnavailable, match="not a directory of its own"):
        Journal(where).append(b"x")


def test_a_pipe_in_place_of_a_segment_blocks_nobody(where: Path) -> None:
    Journal(where).append(b"x")
    segments(where)[0].unlink()
    os.mkfifo(where / "00000000000000000001.journal")
    with pytest.raises(JournalUnavailable, match="planted"):
        Journal(where).append(b"y")
    with pytest.raises(JournalUnavailable, match="planted"):
        Journal(where).replay(lambda records: None)


def test_without_its_lock_file_the_journal_loses_nothing(where: Path) -> None:
    journal = Journal(where)
    journal.append(b"one")
    (where / "lock").unlink()
    with pytest.raises(JournalUnavailable, match="lock was removed"):
        journal.append(b"refused")
    journal.append(b"two")
    (where / "lock").unlink()
    other = Journal(where)
    other.append(b"three")
    (where / "lock").write_bytes(b"garbage" * 20)
    other.append(b"four")
    got = delivered(journal)
    assert [record for record in got if record != b"refused"] == [b"one", b"two", b"three", b"four"]


def test_a_lock_file_set_back_is_not_believed(where: Path) -> None:
    journal = Journal(where)
    journal.append(b"one")
    old = (where / "lock").read_bytes()
    journal.append(b"two")
    (where / "lock").write_bytes(old)
    fresh = Journal(where)
    fresh.append(b"three")
    (where / "lock").write_bytes(old)
    journal.append(b"four")
    assert delivered(journal) == [b"one", b"two", b"three", b"four"]


def test_without_its_cursor_replay_delivers_again_and_skips_nothing(where: Path) -> None:
    journal = Journal(where, segment_bytes=256)
    for number in range(8):
        journal.append(b"%d" % number * 60)

    def deliver(records: list[bytes]) -> None:
        if records[0][:1] == b"5":
            raise RuntimeError

    with pytest.raises(RuntimeError):
        journal.replay(deliver, batch=1)
    (where / "replay").unlink()
    assert [record[:1] for record in delivered(journal)] == [b"5", b"6", b"7"]
    journal.append(b"after")
    assert delivered(journal) == [b"after"]


def test_a_strange_file_in_place_of_a_segment_is_not_believed(where: Path, tmp_path: Path) -> None:
    other = Journal(tmp_path / "other")
    other.append(b"forged")
    journal = Journal(where, segment_bytes=256)
    for number in range(5):
        journal.append(b"%d" % number * 100)
    shutil.copy2(segments(tmp_path / "other")[0], segments(where)[0])
    got: list[bytes] = []
    replayed = journal.replay(got.extend)
    assert b"forged" not in got
    assert got[-1] == b"4" * 100
    assert replayed.damaged >= 1
    assert (where / replayed.set_aside[0]).exists()


def test_damage_is_kept_aside_and_stays_visible(where: Path) -> None:
    journal = Journal(where)
    for number in range(5):
        journal.append(b"record %d" % number)
    path = segments(where)[0]
    flip(path, path.read_bytes().index(b"record 2"))
    assert kinds(journal) == ["record", "record", "damaged", "damaged", "record", "record"]
    got: list[bytes] = []
    replayed = journal.replay(got.extend)
    assert got == [b"record 0", b"record 1", b"record 3", b"record 4"]
    assert [finding.message for finding in replayed.findings] == [
        "checksum is wrong",
        "records 3 to 3 are missing",
    ]
    assert replayed.set_aside == [path.name + ".damaged"]
    assert journal.pending().records == 0
    assert journal.pending().damaged_segments == 1
    assert "damaged" in kinds(journal)
    journal.append(b"after")
    assert delivered(journal) == [b"after"]
    assert journal.pending().damaged_segments == 1


def test_a_torn_tail_is_called_torn_and_repaired_before_the_next_record(where: Path) -> None:
    Journal(where).append(b"whole")
    path = segments(where)[0]
    data = bytearray(path.read_bytes())
    end = len(data.rstrip(b"\0"))
    frame = data[192:end]
    data[end : end + 20] = frame[:20]
    path.write_bytes(data)
    journal = Journal(where)
    assert kinds(journal) == ["record", "torn"]
    journal.append(b"next")
    assert len(segments(where)) == 2
    replayed = journal.replay(lambda records: None)
    assert (replayed.records, replayed.torn, replayed.damaged) == (2, 1, 0)
    assert segments(where) == []


def test_damage_before_an_interruption_is_not_forgotten_after_it(where: Path) -> None:
    journal = Journal(where)
    for number in range(6):
        journal.append(b"record %d" % number)
    path = segments(where)[0]
    flip(path, path.read_bytes().index(b"record 1"))

    def deliver(records: list[bytes]) -> None:
        if b"record 4" in records:
            raise RuntimeError

    with pytest.raises(RuntimeError):
        journal.replay(deliver, batch=2)
    got: list[bytes] = []
    replayed = journal.replay(got.extend)
    assert got == [b"record 4", b"record 5"] or got == [b"record 3", b"record 4", b"record 5"]
    assert replayed.set_aside == [path.name + ".damaged"]


def test_the_newest_segment_removed_after_replay_sealed_it(where: Path) -> None:
    journal = Journal(where)
    journal.append(b"one")

    def deliver(records: object) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        journal.replay(deliver)
    segments(where)[0].unlink()
    assert kinds(journal) == ["damaged"]
    assert journal.replay(lambda records: None).damaged == 1
    assert journal.pending().records == 0
    journal.append(b"two")
    assert delivered(journal) == [b"two"]


def test_cap_and_reserve(where: Path) -> None:
    journal = Journal(where, cap_bytes=32 * 1024, reserve_bytes=8192, segment_bytes=4096)
    record = b"x" * 956
    kept, refused = fill(journal, record)
    assert "cap of 32768 bytes" in refused.cause
    assert "replayed" in refused.next_step
    assert 20 <= kept <= 32
    assert sum(path.stat().st_size for path in where.glob("*.journal")) <= 32 * 1024
    assert not journal.pending().has_reserve
    assert delivered(journal) == [record] * kept
    assert journal.pending().has_reserve
    journal.append(record)


@pytest.mark.parametrize(
    ("sizes", "what"),
    [
        ({"cap_bytes": 1000, "reserve_bytes": 1000}, "reserve_bytes"),
        ({"reserve_bytes": -1}, "reserve_bytes"),
        ({"segment_bytes": 0}, "segment_bytes"),
        ({"segment_bytes": 1 << 30}, "segment_bytes"),
    ],
)
def test_sizes_that_cannot_work(where: Path, sizes: dict[str, int], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        Journal(where, **sizes)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_without_permission_is_refused(where: Path) -> None:
    where.parent.mkdir(parents=True)
    where.parent.chmod(0o500)
    with pytest.raises(JournalUnavailable, match="Permission denied"):
        Journal(where).append(b"x")


def test_a_path_that_cannot_be_is_refused(where: Path) -> None:
    where.parent.parent.mkdir(parents=True, exist_ok=True)
    where.parent.write_bytes(b"a file")
    with pytest.raises(JournalUnavailable):
        Journal(where).append(b"x")


def test_inspect_gives_all_there_is_to_know(where: Path) -> None:
    journal = Journal(where)
    journal.append(b"one")
    journal.append(b"three")
    first, second = journal.inspect()
    assert first.kind is FindingKind.RECORD
    assert (first.file, first.offset, first.length) == ("00000000000000000001.journal", 192, 47)
    assert (second.offset, second.sequence, second.payload) == (239, 2, b"three")
    assert second.written_at is not None
    assert not second.delivered


def test_inspect_while_replay_takes_segments_away(where: Path) -> None:
    journal = Journal(where, segment_bytes=256)
    for number in range(6):
        journal.append(b"%d" % number * 80)
    findings = journal.inspect()
    assert next(findings).sequence == 1
    Journal(where).replay(lambda records: None)
    assert {finding.kind for finding in findings} == {FindingKind.RECORD}


def test_inspect_reads_a_copy_on_a_read_only_disk(where: Path, tmp_path: Path) -> None:
    journal = Journal(where)
    journal.append(b"one")
    copy = tmp_path / "copy"
    copy.mkdir(mode=0o700)
    shutil.copy2(segments(where)[0], copy)
    before = sorted(copy.iterdir())
    assert kinds(Journal(copy)) == ["record"]
    assert sorted(copy.iterdir()) == before


def test_a_closed_journal_opens_again(where: Path) -> None:
    journal = Journal(where)
    journal.append(b"one")
    journal.close()
    journal.append(b"two")
    assert delivered(journal) == [b"one", b"two"]
