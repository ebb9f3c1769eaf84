"""A watch that the engine's tests leave no process, zombie or descriptor."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from executor import procfs
from executor.spawn import EXECUTION_ID_VARIABLE
from executor.subreaper import subreaper
from tests.executor.processes import Programs


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: takes more than about two seconds")


@pytest.fixture
def marker() -> str:
    return f"test_{uuid.uuid4().hex}"


@pytest.fixture
def nothing_left(marker: str) -> Iterator[None]:
    """Fails a test that leaves a child of ours or a process with its marker, alive or zombie."""
    before = set(procfs.list_children(os.getpid()))
    descriptors = len(os.listdir("/proc/self/fd"))
    yield
    subreaper.reap_orphans()
    assert set(procfs.list_children(os.getpid())) <= before
    assert not [
        pid
        for pid in procfs.list_pids()
        if procfs.read_environment_value(pid, EXECUTION_ID_VARIABLE) == marker
    ]
    assert not subreaper.leaders
    assert len(os.listdir("/proc/self/fd")) <= descriptors + 1  # subreaper's own, once


@pytest.fixture
def programs(tmp_path: Path, marker: str) -> Programs:
    directory = tmp_path / "pids"
    directory.mkdir()
    return Programs(directory, marker)
