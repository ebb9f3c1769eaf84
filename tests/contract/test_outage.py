"""PostgreSQL away: dead or frozen, the answers stay bounded, and nothing runs unrecorded."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from techno.embedded import EmbeddedPostgres
from techno.embedded.family import find_family
from techno.embedded.layout import Layout
from techno.processes import wait_until
from tests import databases, isolation
from tests.contract.promises import Promises
from tests.service import Service, Services

pytestmark = pytest.mark.slow

KEY = "the key of an outage, long enough"
AWAY = ["E5_internal_error", "G17_audit_unavailable"]
#: Two waits for a frozen server and its journal; far below the caller's 15 s.
ANSWER_LIMIT_S = 10.0
RECOVERY_LIMIT_S = 60.0


class Outage:
    """A service whose database stands beside it, so that nobody brings that back but us.

    ``action`` leaves a mark when it runs; it is this service's own, for they share the database.
    """

    def __init__(
        self, service: Service, postgres: EmbeddedPostgres, var_dir: Path, action: str
    ) -> None:
        self.service = service
        self.action = action
        self._postgres = postgres
        self._var_dir = Path(os.path.realpath(var_dir))
        self.mark = service.directory / "mark"
        service.add_action(action, ["/usr/bin/touch", str(self.mark)])

    @contextmanager
    def stopped(self) -> Iterator[None]:
        self._postgres.stop(hurry=True)
        try:
            yield
        finally:
            self._postgres.start()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        family = find_family(Layout(self._var_dir, 18))
        for process in family:
            os.kill(process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for process in family:
                os.kill(process.pid, signal.SIGCONT)


@pytest.fixture(scope="module")
def postgres() -> Iterator[tuple[EmbeddedPostgres, Path]]:
    var_dir = isolation.OWN_DIRECTORY / "outage"
    databases.copy_embedded(var_dir)
    server = EmbeddedPostgres(var_dir)
    server.start()
    yield server, var_dir
    server.stop(hurry=True)


@pytest.fixture(scope="module")
def outage(start_service: Services, postgres: tuple[EmbeddedPostgres, Path]) -> Iterator[Outage]:
    with start_service(postgres=postgres[0], TECHNO_API_KEY=KEY) as service:
        yield Outage(service, *postgres, "LEAVE_MARK")


@pytest.fixture(scope="module")
def outage_without_journal(
    start_service: Services, postgres: tuple[EmbeddedPostgres, Path]
) -> Iterator[Outage]:
    """A service that cannot keep a journal either: a file has taken its place."""
    with start_service(postgres=postgres[0], TECHNO_API_KEY=KEY) as service:
        journal = service.var_dir / "journal"
        if journal.exists():
            journal.rename(service.var_dir / "journal.moved")
        journal.write_text("not a directory")
        yield Outage(service, *postgres, "LEAVE_ANOTHER_MARK")


def test_a_start_without_a_place_for_the_journal_is_refused_in_one_sentence(
    outage_without_journal: Outage,
) -> None:
    done = outage_without_journal.service.manage("runs", "reap", check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    # What the system checks have to say may stand before it.
    assert "\nCommandError: Lost runs cannot be closed: " in f"\n{done.stderr}"


def timed(call: httpx.Client, method: str, path: str, **more: object) -> httpx.Response:
    asked_s = time.monotonic()
    answer = call.request(method, path, **more)  # type: ignore[arg-type]
    assert time.monotonic() - asked_s < ANSWER_LIMIT_S
    return answer


def refused(promises: Promises, answer: httpx.Response) -> str:
    body = promises.envelope(answer)
    assert (answer.status_code, body["status"], body["reason_codes"]) == (503, "BLOCKED", AWAY)
    promises.seen.update(body["reason_codes"])
    return str(body["trace_id"])


@pytest.mark.produces(*AWAY)
@pytest.mark.parametrize("way", ["stopped", "frozen"])
def test_nothing_runs_while_the_database_is_away(outage: Outage, way: str) -> None:
    service, promises = outage.service, Promises(outage.service)
    run = {"command": outage.action}
    traces = {}
    with service.client() as client, service.client() as issued:
        promises.held(client.get("/api/memory"), 200)
        promises.held(issued.get("/api/memory"), 200)
        with getattr(outage, way)():
            for _ in range(3):
                traces[refused(promises, timed(client, "POST", "/api/execute", json=run))] = 503
                traces[refused(promises, timed(client, "GET", "/api/audit"))] = 503
            # What needs no database goes on, the console's fallback above all.
            metrics = timed(client, "GET", "/api/diagnostic/metrics")
            body = promises.envelope(metrics)
            assert metrics.status_code == 200
            found = {entry["action"]: entry["state"] for entry in body["data"]}
            assert found["diagnostic.database"] == "BLOCKED"
            traces[body["trace_id"]] = 200
            traces[promises.envelope(timed(client, "GET", "/api/memory"))["trace_id"]] = 200
            assert timed(client, "GET", "/health").status_code == 200
        assert not outage.mark.exists()

        def recovered() -> bool:
            """Until it takes rows again, a run is refused and does not happen."""
            answer = client.post("/api/execute", json=run)
            if answer.status_code == 200:
                promises.held(answer, 200)
                return True
            traces[refused(promises, answer)] = 503
            assert not outage.mark.exists()
            return False

        assert wait_until(recovered, RECOVERY_LIMIT_S)
        assert outage.mark.exists()
        outage.mark.unlink()
        promises.held(client.get("/api/audit"), 200)
    wanted = "SELECT count(*) FROM audit_logs WHERE trace_id = ANY(%s::uuid[])"
    assert wait_until(
        lambda: service.sql(wanted, [list(traces)]) == [(len(traces),)], RECOVERY_LIMIT_S
    )
    for trace_id, http_status in traces.items():
        assert promises.row(trace_id)["http_status"] == http_status
    # A server that was frozen may have taken an intent that nobody waits for any more.
    unsaid = service.sql(
        "SELECT state, started_at, status FROM command_runs WHERE trace_id = ANY(%s::uuid[])",
        [list(traces)],
    )
    assert set(unsaid) <= {("ended", None, "BLOCKED")}
    assert service.sql("SELECT 1 FROM command_runs WHERE state = 'running'") == []


@pytest.mark.produces(*AWAY)
@pytest.mark.parametrize("way", ["stopped", "frozen"])
def test_without_database_and_journal_nothing_is_answered_but_503(
    outage_without_journal: Outage, way: str
) -> None:
    service = outage_without_journal.service
    promises = Promises(service)
    run = {"command": outage_without_journal.action}
    traces = []
    with service.client() as client, service.client(key="") as stranger:
        promises.held(client.get("/api/memory"), 200)
        with getattr(outage_without_journal, way)():
            for method, path in (
                ("POST", "/api/execute"),
                ("GET", "/api/memory"),
                ("GET", "/api/diagnostic/metrics"),
                ("GET", "/api/audit"),
                ("GET", "/api/nothing"),
            ):
                for caller in (client, stranger):
                    answer = timed(caller, method, path, json=run)
                    traces.append(refused(promises, answer))
            assert timed(client, "GET", "/health").status_code == 200
        assert not outage_without_journal.mark.exists()
        assert wait_until(lambda: client.get("/api/audit").status_code == 200, RECOVERY_LIMIT_S)
        promises.held(client.get("/api/memory"), 200)
    stored = service.sql("SELECT 1 FROM audit_logs WHERE trace_id = ANY(%s::uuid[])", [traces])
    assert stored == []


@pytest.mark.produces("E5_internal_error")
def test_what_nobody_foresaw_is_blocked_and_recorded(start_service: Services) -> None:
    """A table that is missing is a failure of ours, not an outage."""
    with start_service(embedded=True, TECHNO_WORKERS="1") as service:
        service.sql("ALTER TABLE executor_actions RENAME TO executor_actions_gone")
        promises = Promises(service)
        with service.client() as client:
            answer = client.post("/api/execute", json={"command": "TRUE"})
            promises.held(answer, 500, "BLOCKED", ["E5_internal_error"])
            promises.held(client.get("/api/memory"), 200)
            service.sql("ALTER TABLE executor_actions_gone RENAME TO executor_actions")
            promises.held(client.post("/api/execute", json={"command": "TRUE"}), 200)
