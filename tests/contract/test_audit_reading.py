"""``GET /api/audit``: filters alone and together, and pages that neither skip nor repeat."""

from __future__ import annotations

import json
import secrets
import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.contract.promises import TIMESTAMP, Promises
from tests.service import Service

ENTRY_FIELDS = {
    *("timestamp", "action", "result", "state", "execution_id", "trace_id", "reason_codes"),
    *("session_id", "user_ip", "http_status", "duration_ms", "key"),
}
FAILED = {"BLOCKED", "EXPIRED"}
#: What another service wrote, by the status that its codes stand for.
FOREIGN = {
    "APPROVED": [],
    "BLOCKED": ["G8_unknown_action"],
    "EXPIRED": ["G16_approval_expired"],
    "WARNING": ["E0_nonzero_exit", "E7_output_truncated"],
    "NEUTRAL": ["G14_approval_required"],
}


def insert(
    service: Service,
    session: str,
    codes: Any,
    *,
    address: str = "192.0.2.7",
    at: datetime | None = None,
) -> str:
    """Write a row as another service does; return its trace id."""
    trace_id = str(uuid.uuid4())
    service.sql(
        'INSERT INTO audit_logs (trace_id, "timestamp", reason_codes, session_id, user_ip)'
        " VALUES (%s, %s, %s::jsonb, %s, %s)",
        [trace_id, at or datetime.now(UTC), json.dumps(codes), session, address],
    )
    return trace_id


def ids(body: dict[str, Any]) -> list[str]:
    return [entry["trace_id"] for entry in body["data"]]


@pytest.fixture
def session() -> str:
    """A session that no other test has."""
    return f"s-{secrets.token_hex(8)}"


@pytest.fixture
def foreign(service: Service, session: str) -> dict[str, str]:
    """One row of every status in this session; trace ids by status."""
    return {status: insert(service, session, codes) for status, codes in FOREIGN.items()}


def read(promises: Promises, client: httpx.Client, **query: Any) -> dict[str, Any]:
    return promises.held(client.get("/api/audit", params=query), 200)


def refused(promises: Promises, client: httpx.Client, field: str, **query: Any) -> None:
    answer = client.get("/api/audit", params=query)
    body = promises.held(answer, 400, "BLOCKED", ["G11_invalid_payload"])
    assert body["message"].startswith(f"{field}: "), body["message"]


# -- entries ---------------------------------------------------------------------------------------


def test_an_entry_tells_what_the_answer_told(
    promises: Promises, client: httpx.Client, session: str
) -> None:
    ran = client.post("/api/execute", json={"command": "EXIT_THREE", "session_id": session}).json()
    body = read(promises, client, session_id=session)
    assert {"data", "entries", "next"} <= set(body)
    assert body["entries"] == body["data"]
    [entry] = body["data"]
    assert set(entry) == ENTRY_FIELDS
    assert entry == {
        "timestamp": ran["ts_utc"],
        "action": "EXIT_THREE",
        "result": "SUCCESS",
        "state": "WARNING",
        "execution_id": ran["execution_id"],
        "trace_id": ran["trace_id"],
        "reason_codes": ["E0_nonzero_exit"],
        "session_id": session,
        "user_ip": "127.0.0.1",
        "http_status": 200,
        "duration_ms": entry["duration_ms"],
        "key": promises.service.key.split("_")[1],
    }
    assert isinstance(entry["duration_ms"], int)
    assert body["next"] is None


def test_the_newest_comes_first(promises: Promises, client: httpx.Client) -> None:
    first = client.get("/api/memory").json()["trace_id"]
    second = client.get("/api/memory").json()["trace_id"]
    listed = ids(read(promises, client, limit=10))
    assert listed.index(second) < listed.index(first)


def test_both_names_read_the_same(
    promises: Promises, client: httpx.Client, session: str, foreign: dict[str, str]
) -> None:
    query = {"session_id": session}
    old = promises.held(client.get("/audit/fetch", params=query), 200)
    assert old["data"] == read(promises, client, **query)["data"]
    assert set(ids(old)) == set(foreign.values())


@pytest.mark.produces("E_unknown")
def test_rows_of_another_service_get_a_status_from_their_codes(
    promises: Promises, client: httpx.Client, session: str, foreign: dict[str, str]
) -> None:
    unknown = insert(promises.service, session, ["X9_of_another_release"])
    mixed = insert(promises.service, session, ["E0_nonzero_exit", "E12_timeout"])
    no_list = insert(promises.service, session, {"code": "G8_unknown_action"})
    odd = insert(promises.service, session, [None, 7, {"a": 1}])
    found = {
        entry["trace_id"]: entry for entry in read(promises, client, session_id=session)["data"]
    }
    states = {status: found[trace_id]["state"] for status, trace_id in foreign.items()}
    assert states == {status: status for status in FOREIGN}
    for entry in found.values():
        assert entry["result"] == ("FAILED" if entry["state"] in FAILED else "SUCCESS")
        assert TIMESTAMP.fullmatch(entry["timestamp"])
        assert entry["user_ip"] == "192.0.2.7"
    assert found[unknown]["state"] == found[mixed]["state"] == found[odd]["state"] == "BLOCKED"
    assert found[unknown]["reason_codes"] == ["X9_of_another_release"]
    assert found[no_list]["state"] == "BLOCKED"
    assert found[no_list]["reason_codes"] == ["E_unknown"]
    assert found[odd]["reason_codes"] == ["E_unknown"] * 3
    promises.seen.update(found[no_list]["reason_codes"])


# -- filters ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", FOREIGN)
def test_a_status_filters(
    promises: Promises,
    client: httpx.Client,
    session: str,
    foreign: dict[str, str],
    status: str,
) -> None:
    assert ids(read(promises, client, session_id=session, filter=status)) == [foreign[status]]


def test_pending_means_neutral_and_all_means_all(
    promises: Promises, client: httpx.Client, session: str, foreign: dict[str, str]
) -> None:
    pending = read(promises, client, session_id=session, filter="PENDING")
    assert ids(pending) == [foreign["NEUTRAL"]]
    assert set(ids(read(promises, client, session_id=session, filter="all"))) == set(
        foreign.values()
    )


@pytest.mark.parametrize("name", ["filter", "reason_code"])
def test_a_reason_code_filters(
    promises: Promises,
    client: httpx.Client,
    session: str,
    foreign: dict[str, str],
    name: str,
) -> None:
    found = read(promises, client, session_id=session, **{name: "E7_output_truncated"})
    assert ids(found) == [foreign["WARNING"]]
    assert ids(read(promises, client, session_id=session, **{name: "G0_auth_not_configured"})) == []


def test_each_field_filters(
    promises: Promises, client: httpx.Client, session: str, keys: dict[str, str]
) -> None:
    service, narrow = promises.service, keys["execute"]
    with service.client(narrow) as other:
        mine = other.post("/api/execute", json={"command": "TRUE", "session_id": session}).json()
    client.post("/api/execute", json={"command": "GET_VERSION", "session_id": session})
    elsewhere = insert(service, session, [], address="2001:db8::1")
    expected = mine["trace_id"]
    for query in (
        {"session_id": session, "key": narrow.split("_")[1]},
        {"trace_id": expected},
        {"trace_id": expected.upper()},
        {"session_id": session, "action": "TRUE"},
        {"session_id": session, "action": "TRUE", "filter": "APPROVED", "user_ip": "127.0.0.1"},
        {"session_id": session, "key": narrow.split("_")[1], "limit": 1, "filter": "all"},
    ):
        assert ids(read(promises, client, **query)) == [expected], query
    assert ids(read(promises, client, session_id=session, user_ip="2001:db8::1")) == [elsewhere]
    for query in (
        {"session_id": session, "action": "TRUE", "filter": "BLOCKED"},
        {"session_id": session + "x"},
        {"session_id": session, "action": "true"},
        {"trace_id": expected, "session_id": "another"},
        {"key": "ZZZZZZZZ"},
    ):
        assert ids(read(promises, client, **query)) == [], query


def test_times_bound_a_list(promises: Promises, client: httpx.Client, session: str) -> None:
    start = datetime(2031, 5, 6, 7, 8, 9, 123_000, UTC)
    rows = [
        insert(promises.service, session, [], at=start + timedelta(minutes=minute))
        for minute in range(4)
    ]
    since, until = start + timedelta(minutes=1), start + timedelta(minutes=3)
    query = {"session_id": session, "since": since.isoformat(), "until": until.isoformat()}
    assert ids(read(promises, client, **query)) == [rows[2], rows[1]]
    west = since.astimezone().isoformat()
    assert set(ids(read(promises, client, session_id=session, since=west))) == set(rows[1:])
    zulu = "2031-05-06T07:09:09.123Z"
    assert ids(read(promises, client, session_id=session, until=zulu)) == [rows[0]]
    assert ids(read(promises, client, session_id=session, since=until, until=since)) == []


@pytest.mark.produces("G11_invalid_payload")
@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("filter", value) for value in ("approved", "OK", " ", "G99_nothing", "all\0")),
        *(("limit", value) for value in ("0", "-1", "1001", "2.5", "2.0", "many", "1e2", "٣")),
        *(("cursor", value) for value in ("x", "a.b", "MTIz.abc", "\0", "x" * 300)),
        *(("trace_id", value) for value in ("x", "123", "\0", "g" * 36)),
        *(("since", value) for value in ("yesterday", "2031-13-01", "1", "\0")),
        *(("until", value) for value in ("tomorrow", "2031-02-30T00:00:00Z")),
        *(("session_id", value) for value in ("s" * 300, "a\0b")),
        *(("action", value) for value in ("A" * 300, "a\0b")),
        *(("key", value) for value in ("k" * 300, "a\0b")),
        *(("user_ip", value) for value in ("1" * 300, "a\0b")),
        *(("reason_code", value) for value in ("c" * 300, "a\0b")),
    ],
)
def test_a_bad_value_names_its_field(
    promises: Promises, client: httpx.Client, field: str, value: str
) -> None:
    refused(promises, client, field, **{field: value})


@pytest.mark.parametrize("field", ["filter", "limit", "cursor", "trace_id", "since", "key"])
def test_an_empty_value_is_none(
    promises: Promises, client: httpx.Client, session: str, foreign: dict[str, str], field: str
) -> None:
    body = read(promises, client, session_id=session, **{field: ""})
    assert set(ids(body)) == set(foreign.values())


def test_a_value_may_be_given_once(promises: Promises, client: httpx.Client) -> None:
    answer = client.get("/api/audit?filter=BLOCKED&filter=APPROVED")
    promises.held(answer, 400, "BLOCKED", ["G11_invalid_payload"])


def test_a_cursor_cannot_be_forged(
    promises: Promises, client: httpx.Client, session: str, foreign: dict[str, str]
) -> None:
    cursor = read(promises, client, session_id=session, limit=2)["next"]
    refused(promises, client, "cursor", cursor=cursor[:-1] + ("A" if cursor[-1] != "A" else "B"))
    refused(promises, client, "cursor", cursor=cursor + "x")


# -- pages -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("limit", "least"), [(1, 1), (2, 2), (50, 5), (1000, 5)])
def test_a_limit_bounds_the_page(
    promises: Promises,
    client: httpx.Client,
    session: str,
    foreign: dict[str, str],
    limit: int,
    least: int,
) -> None:
    body = read(promises, client, session_id=session, limit=limit)
    assert len(body["data"]) == least
    assert (body["next"] is None) == (limit >= len(foreign))


def test_fifty_is_the_usual_page(promises: Promises, client: httpx.Client, session: str) -> None:
    promises.service.sql(
        "INSERT INTO audit_logs SELECT gen_random_uuid(), now(), '[]', %s, ''"
        " FROM generate_series(1, 51)",
        [session],
    )
    body = read(promises, client, session_id=session)
    assert len(body["data"]) == 50
    rest = read(promises, client, session_id=session, cursor=body["next"])
    assert len(rest["data"]) == 1
    assert rest["next"] is None


@pytest.fixture
def busy_writer(service: Service, session: str) -> Iterator[None]:
    """Another service that goes on writing rows of the session, newer ones each."""
    done = threading.Event()

    def write() -> None:
        with service.connect() as connection:
            while not done.wait(0.002):
                connection.execute(
                    "INSERT INTO audit_logs VALUES (%s, clock_timestamp(), '[]', %s, '')",
                    [uuid.uuid4(), session],
                )

    thread = threading.Thread(target=write)
    thread.start()
    yield
    done.set()
    thread.join()


@pytest.mark.parametrize("query", [{}, {"filter": "APPROVED"}, {"filter": "E0_nonzero_exit"}])
def test_pages_stay_whole_while_rows_are_inserted(
    promises: Promises,
    client: httpx.Client,
    session: str,
    query: dict[str, str],
    request: pytest.FixtureRequest,
) -> None:
    """Many rows share one timestamp, so that only the trace id tells their order."""
    codes = '["E0_nonzero_exit"]' if query.get("filter", "").startswith("E0") else "[]"
    before = promises.service.sql(
        "INSERT INTO audit_logs SELECT gen_random_uuid(),"
        " timestamptz '2026-01-01' + (n / 9) * interval '1 microsecond', %s::jsonb, %s, ''"
        " FROM generate_series(1, 60) AS n RETURNING trace_id::text",
        [codes, session],
    )
    expected = {trace_id for (trace_id,) in before}
    first = client.get("/api/audit", params={**query, "session_id": session, "limit": 7}).json()
    assert set(ids(first)) <= expected
    request.getfixturevalue("busy_writer")
    seen = ids(first)
    cursor = first["next"]
    while cursor is not None:
        page = client.get(
            "/api/audit", params={**query, "session_id": session, "limit": 7, "cursor": cursor}
        ).json()
        seen += ids(page)
        cursor = page["next"]
    assert len(seen) == len(set(seen))
    assert set(seen) == expected
