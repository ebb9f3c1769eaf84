"""Reading the log on and on: both ways, by lines, and as it grows."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.audit.log import run_action, wait_until_sealed
from tests.service import Service


@pytest.fixture(scope="module")
def client(service: Service) -> Iterator[httpx.Client]:
    with service.client() as opened:
        yield opened


@pytest.fixture
def session(client: httpx.Client) -> tuple[str, list[str]]:
    """A session of seven rows; returns its name and their trace ids, newest first."""
    name = f"following-{secrets.token_hex(6)}"
    rows = [run_action(client, session_id=name)["trace_id"] for _ in range(7)]
    return name, rows[::-1]


def page(client: httpx.Client, **query: Any) -> dict[str, Any]:
    answer = client.get("/api/audit", params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def ids(found: dict[str, Any]) -> list[str]:
    return [entry["trace_id"] for entry in found["data"]]


def test_pages_lead_both_ways(client: httpx.Client, session: tuple[str, list[str]]) -> None:
    name, rows = session
    first = page(client, session_id=name, limit=3)
    second = page(client, session_id=name, limit=3, cursor=first["next"])
    third = page(client, session_id=name, limit=3, cursor=second["next"])

    assert ids(first) + ids(second) + ids(third) == rows
    assert third["next"] is None
    assert ids(page(client, session_id=name, limit=3, cursor=third["previous"])) == ids(second)
    assert ids(page(client, session_id=name, limit=3, cursor=second["previous"])) == ids(first)


def test_newer_rows_are_found_from_where_one_was(
    client: httpx.Client, session: tuple[str, list[str]]
) -> None:
    name, _ = session
    first = page(client, session_id=name)
    assert ids(page(client, session_id=name, cursor=first["previous"])) == []

    added = run_action(client, session_id=name)["trace_id"]

    newer = page(client, session_id=name, cursor=first["previous"])
    assert ids(newer) == [added]
    assert ids(page(client, session_id=name, cursor=newer["next"])) == ids(first)


def test_any_or_all_of_several_codes(client: httpx.Client) -> None:
    name = f"codes-{secrets.token_hex(6)}"
    unknown = client.post("/api/execute", json={"command": "NOT_THERE", "session_id": name})
    invalid = client.get("/api/audit?limit=none", headers={"X-Session-Id": name})
    both = f"{unknown.json()['reason_codes'][0]},{invalid.json()['reason_codes'][0]}"

    found = page(client, session_id=name, reason_code=both)
    assert sorted(ids(found)) == sorted([unknown.json()["trace_id"], invalid.json()["trace_id"]])
    assert ids(page(client, session_id=name, reason_code=both, codes="all")) == []
    assert unknown.json()["trace_id"] in ids(page(client, reason_code=both, limit=1000))


def test_lines_of_any_number(client: httpx.Client, session: tuple[str, list[str]]) -> None:
    name, rows = session
    headers = {"Accept": "application/x-ndjson"}
    with client.stream("GET", "/api/audit", params={"session_id": name}, headers=headers) as answer:
        lines = [json.loads(line) for line in answer.iter_lines()]

    assert answer.headers["Content-Type"] == "application/x-ndjson"
    assert answer.headers["X-Trace-Id"]
    assert [line["trace_id"] for line in lines] == rows
    limited = client.get("/api/audit", params={"session_id": name, "limit": 2}, headers=headers)
    assert len(limited.text.splitlines()) == 2


def test_following_misses_nothing(client: httpx.Client, service: Service) -> None:
    """Rows come in the order of their leaves, each once, whoever commits when."""
    name = f"tail-{secrets.token_hex(6)}"
    cursor = page(client, wait=0, session_id=name)["next"]
    made: list[str] = []

    def make() -> None:
        with service.client() as own:
            made.extend(run_action(own, session_id=name)["trace_id"] for _ in range(10))

    writers = [threading.Thread(target=make) for _ in range(3)]
    for writer in writers:
        writer.start()
    seen: list[str] = []
    ends_at = time.monotonic() + 60
    while len(seen) < 30 and time.monotonic() < ends_at:
        found = page(client, wait=5, cursor=cursor, session_id=name, limit=7)
        seen += ids(found)[::-1]
        cursor = found["next"]
    for writer in writers:
        writer.join()

    assert sorted(seen) == sorted(made)
    assert len(set(seen)) == 30


def test_a_follower_is_answered_when_something_comes(
    client: httpx.Client, service: Service
) -> None:
    name = f"wait-{secrets.token_hex(6)}"
    wait_until_sealed(service, run_action(client)["trace_id"])
    cursor = page(client, wait=0, session_id=name)["next"]
    late: list[str] = []
    timer = threading.Timer(
        1.0, lambda: late.append(run_action(client, session_id=name)["trace_id"])
    )
    timer.start()
    seen: list[str] = []
    for _ in range(6):  # whatever else is written moves the cursor on without an entry
        found = page(client, wait=10, cursor=cursor, session_id=name)
        cursor = found["next"]
        seen += ids(found)
        if seen:
            break
    timer.join()
    assert seen == late


@pytest.mark.parametrize("query", ["wait=11", "wait=-1", "wait=x", "cursor=t.1.forged&wait=0"])
def test_bad_following_names_the_field(client: httpx.Client, query: str) -> None:
    answer = client.get(f"/api/audit?{query}")

    assert (answer.status_code, answer.json()["reason_codes"]) == (400, ["G11_invalid_payload"])
    assert answer.json()["message"].startswith(query.partition("=")[0])
