"""The registry and isolation from outside: commands, runs, and what both leave behind."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.contract.promises import Promises


@pytest.mark.produces("E0_nonzero_exit")
def test_a_limit_that_bites_is_told_to_the_caller(promises: Promises, client: httpx.Client) -> None:
    answer = client.post("/api/execute", json={"command": "WRITE_MUCH"})
    body = promises.held(answer, 200, "WARNING", ["E0_nonzero_exit"])
    assert body["message"] == (
        "The command was ended by signal 25: it wrote more to a file than it may."
    )


@pytest.mark.produces("E6_spawn_failed")
def test_what_the_host_cannot_give_starts_nothing(promises: Promises, client: httpx.Client) -> None:
    answer = client.post("/api/execute", json={"command": "AS_NOBODY_KNOWN"})
    body = promises.held(answer, 200, "BLOCKED", ["E6_spawn_failed"])
    kept = promises.service.sql(
        "SELECT detail FROM command_runs WHERE execution_id = %s", [body["execution_id"]]
    )
    assert kept == [("there is no user no-such-user on this host",)]


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bwrap is not installed")
def test_a_sandbox_works_from_outside(promises: Promises, client: httpx.Client) -> None:
    answer = client.post("/api/execute", json={"command": "IN_A_SANDBOX"})
    body = promises.held(answer, 200)
    assert "Read-only file system" in body["stderr"]
    assert body["stdout"].splitlines()[-1] == "1"  # the loopback interface only


FILE = '[action.VERSIONED]\nargv = ["/bin/echo", "one"]\n'


@pytest.mark.slow
@pytest.mark.produces("G9_action_disabled")
def test_a_run_names_the_version_and_what_it_ran(promises: Promises, client: httpx.Client) -> None:
    service = promises.service
    path = service.directory / "versioned.toml"
    path.write_text(FILE, encoding="utf-8")
    assert "VERSIONED: created" in service.manage("actions", "load", str(path)).stdout
    client.post("/api/execute", json={"command": "VERSIONED"})
    path.write_text(FILE.replace("one", "two"), encoding="utf-8")
    told = service.manage("actions", "check", str(path)).stdout
    assert "argv: ['/bin/echo', 'one'] -> ['/bin/echo', 'two']" in told
    assert "(nothing was done)" in told
    client.post("/api/execute", json={"command": "VERSIONED"})
    service.manage("actions", "load", str(path))
    client.post("/api/execute", json={"command": "VERSIONED"})
    runs = service.sql(
        "SELECT version, argv ->> 1, stdout FROM command_runs WHERE action = 'VERSIONED'"
        " ORDER BY requested_at"
    )
    assert runs == [(1, "one", "one\n"), (1, "one", "one\n"), (2, "two", "two\n")]

    path.write_text(service.manage("actions", "export", "VERSIONED").stdout, encoding="utf-8")
    told = service.manage("actions", "load", str(path)).stdout
    assert told == "versioned.toml: 0 created, 0 changed, 1 unchanged\n"

    path.write_text(FILE + "timeout_s = 1\nnonsense = 2\n", encoding="utf-8")
    refused = service.manage("actions", "load", str(path), check=False)
    assert refused.returncode != 0
    assert "versioned.toml:4: action.VERSIONED: nonsense is not a field." in refused.stderr

    assert "is disabled" in service.manage("actions", "disable", "VERSIONED").stdout
    answer = client.post("/api/execute", json={"command": "VERSIONED"})
    promises.held(answer, 200, "BLOCKED", ["G9_action_disabled"])
    changes = service.sql(
        "SELECT action, principal_kind, detail ->> 'version' FROM audit_traces"
        " WHERE detail ->> 'of' = 'VERSIONED' ORDER BY trace_id"
    )
    assert changes == [
        ("action.create", "system", "1"),
        ("action.change", "system", "2"),
        ("action.disable", "system", "2"),
    ]


def test_a_change_holds_for_every_request_that_comes_after_it(
    promises: Promises, client: httpx.Client
) -> None:
    """Each web process remembers an action; the intent is refused where that is out of date."""
    service = promises.service
    service.add_action("CHANGING", ["/bin/echo", "0"])

    def asked(_: int) -> dict[str, object]:
        return client.post("/api/execute", json={"command": "CHANGING"}).json()  # type: ignore[no-any-return]

    with ThreadPoolExecutor(6) as pool:
        for number in map(str, range(1, 8)):
            meanwhile = [pool.submit(asked, 0) for _ in range(6)]
            service.sql(
                "UPDATE executor_actions SET argv = jsonb_build_array('/bin/echo', %s::text)"
                " WHERE name = 'CHANGING'",
                [number],
            )
            told = {str(answer["stdout"]).strip() for answer in pool.map(asked, range(6))}
            assert told == {number}
            for each in meanwhile:
                assert each.result()["status"] == "APPROVED"
        service.sql("DELETE FROM executor_actions WHERE name = 'CHANGING'")
        for answer in pool.map(asked, range(6)):
            assert answer["reason_codes"] == ["G8_unknown_action"]
    differing = service.sql(
        "SELECT argv, stdout FROM command_runs"
        " WHERE action = 'CHANGING' AND argv ->> 1 <> trim(E'\n' FROM stdout)"
    )
    assert differing == []
