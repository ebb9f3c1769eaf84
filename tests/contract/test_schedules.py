"""Schedules of a running service: its keeper fires them, its worker runs them, all on record."""

from __future__ import annotations

import pytest

from techno.processes import wait_until
from tests.service import Service

pytestmark = pytest.mark.slow
FIRED_LIMIT_S = 60.0
NAME = "every-new-year"


def test_a_schedule_fires_once_and_a_missed_firing_is_recorded(service: Service) -> None:
    service.manage("schedules", "add", NAME, "TRUE", "0 0 1 1 *", "--zone", "America/Sao_Paulo")
    try:
        listed = service.manage("schedules", "list").stdout
        assert "-01-01T00:00:00-03:00" in listed
        due = "UPDATE executor_schedules SET next_due_at = now() - %s::interval WHERE name = %s"
        service.sql(due, ["0 s", NAME])

        def states() -> list[str]:
            rows = service.sql(
                "SELECT state FROM executor_schedule_firings WHERE schedule = %s ORDER BY id",
                [NAME],
            )
            return [state for (state,) in rows]

        assert wait_until(lambda: states() == ["started"], FIRED_LIMIT_S)

        def ended() -> list[tuple[str, ...]]:
            return service.sql(
                "SELECT r.status, r.principal_kind, t.status FROM command_runs r"
                " JOIN executor_schedule_firings f USING (execution_id)"
                " JOIN audit_traces t ON t.trace_id = f.trace_id"
                " WHERE f.schedule = %s AND r.state = 'ended'",
                [NAME],
            )

        assert wait_until(lambda: ended() == [("APPROVED", "system", "NEUTRAL")], FIRED_LIMIT_S)
        service.sql(due, ["400 days", NAME])
        assert wait_until(lambda: states() == ["started", "missed"], FIRED_LIMIT_S)
        assert "E1_queued" in service.manage("schedules", "run-now", NAME).stdout
        service.manage("schedules", "pause", NAME)
        assert "paused" in service.manage("schedules", "list").stdout
        rows = service.sql(
            "SELECT action, principal_kind FROM audit_traces WHERE action LIKE 'schedule.%%'"
            " AND (detail ->> 'schedule' = %s OR detail ->> 'after.name' = %s) ORDER BY trace_id",
            [NAME, NAME],
        )
        assert rows == [
            ("schedule.add", "system"),
            ("schedule.missed", "system"),
            ("schedule.run_now", "system"),
            ("schedule.pause", "system"),
        ]
    finally:
        service.sql("DELETE FROM executor_schedules WHERE name = %s", [NAME])
