"""Output of any length and kind, in bounded memory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.engine import Command, run
from executor.output import Capture
from tests.executor.processes import Programs

MIB = 1024 * 1024


def peak_resident_bytes() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("this kernel does not tell the peak of resident memory")


def growth_bytes(command: Command) -> tuple[int, str, int]:
    """By how much resident memory grew at its peak, and what came out."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = peak_resident_bytes()
    result = run(command)
    assert result.truncated
    assert result.exit_code == 0
    assert set(result.stdout + result.stderr) <= {"x", "\n"}
    kept = max(len(result.stdout), len(result.stderr))
    return peak_resident_bytes() - before, result.detail, kept


@pytest.mark.slow
@pytest.mark.usefixtures("nothing_left")
def test_a_flood_is_drained_in_bounded_memory(programs: Programs) -> None:
    command = programs.shell(
        "yes x | head -c 200000000", timeout_s=120, output_limit_bytes=64 * 1024
    )
    growth, detail, kept = growth_bytes(command)
    assert growth < 8 * MIB
    assert (detail, kept) == ("", 64 * 1024)


@pytest.mark.slow
@pytest.mark.usefixtures("nothing_left")
def test_both_streams_flooded_at_once(programs: Programs) -> None:
    script = "yes x | head -c 60000000 & yes x | head -c 60000000 >&2; wait"
    command = programs.shell(script, timeout_s=120, output_limit_bytes=MIB)
    growth, detail, kept = growth_bytes(command)
    assert growth < 12 * MIB
    assert (detail, kept) == ("", MIB)


@pytest.mark.usefixtures("nothing_left")
def test_a_flood_does_not_outlast_its_time(programs: Programs) -> None:
    command = programs.shell("trap '' TERM; yes x & yes x >&2", timeout_s=0.5)
    result = run(command)
    assert result.outcome.name == "TIMED_OUT"
    assert result.truncated
    assert result.stdout_bytes > len(result.stdout) == command.output_limit_bytes
    assert result.stderr_bytes > len(result.stderr) == command.output_limit_bytes


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize(
    ("printed", "limit_bytes", "text", "truncated"),
    [
        (b"abc", 3, "abc", False),
        (b"abcd", 3, "abc", True),
        (b"abc", 0, "", True),
        (b"", 0, "", False),
        (b"abc", -1, "", True),
        ("aé".encode(), 2, "a", True),
        ("a€".encode(), 3, "a", True),
        ("a😀b".encode(), 4, "a", True),
        ("a😀b".encode(), 5, "a😀", True),
        (b"\xff\xfe", 10, "\ufffd\ufffd", False),
        (b"a\xe2\x82", 10, "a\ufffd", False),
        (b"a\xe2\x82", 3, "a\ufffd", False),
        (b"a\xed\xa0\x80b", 10, "a\ufffd\ufffd\ufffdb", False),
        (b"a\0b", 10, "a\0b", False),
    ],
)
def test_what_is_kept(
    tmp_path: Path, printed: bytes, limit_bytes: int, text: str, truncated: bool
) -> None:
    file = tmp_path / "printed"
    file.write_bytes(printed)
    result = run(Command(("/bin/cat", str(file)), output_limit_bytes=limit_bytes))
    assert (result.stdout, result.truncated) == (text, truncated)
    assert result.stdout_bytes == len(printed)


@pytest.mark.usefixtures("nothing_left")
def test_the_limit_holds_for_each_stream(programs: Programs) -> None:
    result = run(programs.shell("printf abc; printf defg >&2", output_limit_bytes=3))
    assert (result.stdout, result.stderr, result.truncated) == ("abc", "def", True)
    assert (result.stdout_bytes, result.stderr_bytes) == (3, 4)


@pytest.mark.usefixtures("nothing_left")
def test_a_closed_output_does_not_end_the_run(programs: Programs) -> None:
    result = run(programs.shell("exec >&- 2>&-; sleep 0.2; exit 6"))
    assert (result.exit_code, result.stdout) == (6, "")


@pytest.mark.usefixtures("nothing_left")
def test_a_stranger_who_holds_the_pipe_hangs_nobody(programs: Programs, tmp_path: Path) -> None:
    """A process outside the tree, which got the write end handed over, keeps it open."""
    held: list[int] = []

    def take_the_write_end(stream: str, data: bytes) -> None:
        held.append(os.open(f"/proc/{int(data)}/fd/1", os.O_WRONLY))

    try:
        result = run(programs.shell("echo $$; sleep 0.1"), on_output=take_the_write_end)
    finally:
        os.close(held[0])
    assert result.exit_code == 0


@given(
    chunks=st.lists(st.binary(max_size=40) | st.text(max_size=20).map(str.encode), max_size=8),
    limit_bytes=st.integers(min_value=0, max_value=120),
)
def test_a_capture_is_an_honest_prefix(chunks: list[bytes], limit_bytes: int) -> None:
    capture = Capture(limit_bytes)
    handed_on = b"".join(capture.take(chunk) for chunk in chunks)
    everything = b"".join(chunks)
    assert handed_on == everything[:limit_bytes]
    assert capture.seen_bytes == len(everything)
    assert capture.is_truncated == (len(everything) > limit_bytes)
    whole = everything.decode("utf-8", "replace")
    if capture.is_truncated:
        assert whole.startswith(capture.text())
        missing = len(everything[:limit_bytes]) - len(capture.text().encode())
        assert missing < 4
    else:
        assert capture.text() == whole


@given(text=st.text(max_size=60), limit_bytes=st.integers(min_value=0, max_value=200))
def test_valid_text_is_cut_between_characters(text: str, limit_bytes: int) -> None:
    capture = Capture(limit_bytes)
    capture.take(text.encode())
    kept = capture.text()
    assert text.startswith(kept)
    assert len(kept.encode()) <= limit_bytes
    rest = text[len(kept) :]
    assert not rest or len((kept + rest[0]).encode()) > limit_bytes
