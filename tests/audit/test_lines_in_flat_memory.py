"""The whole log as lines costs the process that sends it no more memory than a page does."""

from __future__ import annotations

import psutil
import pytest

from tests.service import Service, Services

pytestmark = pytest.mark.slow

ROWS = 120_000
MOST_GROWTH_BYTES = 16 * 1024 * 1024
LOOK_EVERY_BYTES = 4 * 1024 * 1024
LINES = {"Accept": "application/x-ndjson"}


def test_memory_stays_while_lines_leave(start_service: Services) -> None:
    with start_service(embedded=True, TECHNO_WORKERS="1") as service:
        service.sql("INSERT INTO audit_simulation VALUES ('techno-test-database')")
        service.manage("audit", "simulate", "--rows", str(ROWS), "--days", "10")
        _stream(service, 1_000)  # what is made once, is made

        lines, sent_bytes, growth_bytes = _stream(service)

        assert lines >= ROWS
        assert sent_bytes > 2 * MOST_GROWTH_BYTES
        assert growth_bytes < MOST_GROWTH_BYTES


def _stream(service: Service, limit: int = 0) -> tuple[int, int, int]:
    """Read the log as lines; return their number, their bytes, and what the worker grew by."""
    (worker,) = (psutil.Process(row.pid) for row in service.web_workers())
    parameters = {"limit": limit} if limit else {}
    before_bytes = most_bytes = worker.memory_info().rss
    lines = sent_bytes = looked_at_bytes = 0
    with (
        service.client() as client,
        client.stream("GET", "/api/audit", params=parameters, headers=LINES) as answer,
    ):
        assert answer.status_code == 200
        for piece in answer.iter_bytes():
            lines += piece.count(b"\n")
            sent_bytes += len(piece)
            if sent_bytes - looked_at_bytes >= LOOK_EVERY_BYTES:
                looked_at_bytes = sent_bytes
                most_bytes = max(most_bytes, worker.memory_info().rss)
    growth_bytes = max(most_bytes, worker.memory_info().rss) - before_bytes
    return lines, sent_bytes, growth_bytes
