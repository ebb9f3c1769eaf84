"""Keys that are narrow in where, when and how often: from outside, against one service."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from techno.processes import wait_until
from tests.contract import wire
from tests.contract.promises import Promises
from tests.service import Service, Services

DENIED_ADDRESS = ["G3_address_denied"]
TOO_OFTEN = ["G13_rate_limited"]
DENIED = ["G2_scope_denied"]
NO_KEY = ["G0_auth_not_configured"]
REVOCATION_LIMIT_S = 5.0
SCOPES = ["execute", "audit:read", "diagnostics:read"]
_ISSUE = """
import json
from datetime import timedelta
from django.utils import timezone
from techno.access.change import suspend_key
from techno.access.issue import issue_key
from techno.access.rotate import rotate_key
from techno.governance.restrictions import Rate
def issue(label, **wanted):
    issued = issue_key(label=label, scopes=%r, **wanted)
    made[label] = issued.text
    return issued.key.prefix
made = {}
now = timezone.now()
issue("elsewhere", allowed_networks=["192.0.2.0/24", "2001:db8::/32"])
issue("here", allowed_networks=["::ffff:127.0.0.0/104"])
issue("patterns", allowed_actions=["GET_*", "TRUE"])
issue("three", rate=Rate(3, 86_400))
issue("one at once", concurrent=1)
today = now.strftime("%%a").lower()
other = (now + timedelta(days=3)).strftime("%%a").lower()
issue("never today", allowed_hours=f"{other} 10:00-12:00")
issue("ends in a week", expires_at=now + timedelta(days=6, hours=12))
issue("ends soon", expires_at=now + timedelta(hours=5))
issue("plain")
suspend_key(issue("suspended"))
old = issue("overlapping")
made["overlapping, new"] = rotate_key(old, overlap_until=now + timedelta(hours=1)).text
old = issue("replaced")
made["replaced, new"] = rotate_key(old).text
print(json.dumps(made))
"""


@pytest.fixture(scope="module")
def narrow(service: Service) -> dict[str, str]:
    """Keys of the shared service, by label, made in one process because each costs time."""
    printed = service.manage("shell", "-v", "0", "-c", _ISSUE % SCOPES).stdout
    issued: dict[str, str] = json.loads(printed.splitlines()[-1])
    service.known_secrets.extend(issued.values())
    return issued


def get(service: Service, key: str, path: str = "/api/memory") -> httpx.Response:
    with service.client(key) as client:
        return client.get(path)


@pytest.mark.produces(*DENIED_ADDRESS)
def test_a_key_is_good_in_its_networks_only(
    promises: Promises, service: Service, narrow: dict[str, str]
) -> None:
    for path in ("/api/memory", "/api/audit", "/api/whoami"):
        body = promises.held(
            get(service, narrow["elsewhere"], path), 403, "BLOCKED", DENIED_ADDRESS
        )
        assert promises.row(body["trace_id"])["key"] == narrow["elsewhere"].split("_")[1]
    promises.held(get(service, narrow["here"]), 200)


def test_a_key_runs_what_its_patterns_name(
    promises: Promises, service: Service, narrow: dict[str, str]
) -> None:
    with service.client(narrow["patterns"]) as client:
        for command, http_status in {"TRUE": 200, "FORMAT_DISK": 403, "UPTIME": 403}.items():
            answer = client.post("/api/execute", json={"command": command})
            assert answer.status_code == http_status
        answer = client.post("/api/execute", json={"command": "GET_NOTHING"})
        promises.held(answer, 200, "BLOCKED", ["G8_unknown_action"])


@pytest.mark.produces(*TOO_OFTEN)
def test_a_key_over_its_rate(promises: Promises, service: Service, narrow: dict[str, str]) -> None:
    answers = [get(service, narrow["three"]) for _ in range(5)]
    for left, answer in zip((2, 1, 0), answers, strict=False):
        promises.held(answer, 200)
        assert answer.headers["RateLimit-Policy"] == '"key";q=3;w=86400'
        assert re.fullmatch(rf'"key";r={left};t=[0-9]+', answer.headers["RateLimit"])
    for answer in answers[3:]:
        promises.held(answer, 429, "BLOCKED", TOO_OFTEN)
        assert 0 < int(answer.headers["Retry-After"]) <= 28_800
        assert answer.headers["RateLimit"].startswith('"key";r=0;')


@pytest.mark.slow
def test_one_request_at_once(promises: Promises, service: Service, narrow: dict[str, str]) -> None:
    key = narrow["one at once"]
    with service.client(key) as first, ThreadPoolExecutor() as pool:
        under_way = pool.submit(first.get, "/api/audit?wait=2&action=nothing_is_called_this")
        refused = None
        while not under_way.done() and refused is None:
            answer = get(service, key)
            refused = answer if answer.status_code == 429 else None
        assert under_way.result().status_code == 200
    assert refused is not None
    promises.held(refused, 429, "BLOCKED", TOO_OFTEN)
    assert refused.headers["Retry-After"] == "1"
    for _ in range(4):  # its place is free again, in every process
        promises.held(get(service, key), 200)


def test_a_key_is_refused_outside_of_its_hours(
    promises: Promises, service: Service, narrow: dict[str, str]
) -> None:
    promises.held(get(service, narrow["never today"]), 403, "BLOCKED", DENIED)


def test_a_key_is_told_that_it_ends(
    promises: Promises, service: Service, narrow: dict[str, str]
) -> None:
    for label, days in {"ends in a week": "7 days", "ends soon": "1 day"}.items():
        answer = get(service, narrow[label])
        promises.held(answer, 200)  # the envelope does not change for it
        warning = answer.headers["X-Key-Warning"]
        assert re.fullmatch(rf"WARNING expires in {days}, at 20\S+Z", warning)
    assert "X-Key-Warning" not in get(service, narrow["plain"]).headers


def test_suspended_and_replaced_keys_are_refused_and_overlapping_ones_live(
    promises: Promises, service: Service, narrow: dict[str, str]
) -> None:
    for label in ("suspended", "replaced"):
        promises.held(get(service, narrow[label]), 401, "BLOCKED", NO_KEY)
    for label in ("overlapping", "overlapping, new", "replaced, new"):
        promises.held(get(service, narrow[label]), 200)


def test_whoami(promises: Promises, service: Service, narrow: dict[str, str]) -> None:
    def whoami(label: str) -> dict[str, Any]:
        data: dict[str, Any] = promises.held(get(service, narrow[label], "/api/whoami"), 200)[
            "data"
        ]
        assert data["prefix"] == narrow[label].split("_")[1]
        assert narrow[label].split("_")[2] not in str(data)
        return data

    plain = whoami("plain")
    assert (plain["label"], plain["scopes"]) == ("plain", sorted(SCOPES))
    assert plain["rate"] is plain["allowed_networks"] is plain["allowed_hours"] is None
    assert 364 * 86_400 < plain["expires_in_s"] <= 365 * 86_400
    assert whoami("here")["allowed_networks"] == ["127.0.0.0/8"]
    assert whoami("patterns")["allowed_actions"] == ["GET_*", "TRUE"]
    assert whoami("one at once")["requests_at_once"] == 1
    promises.held(httpx.get(f"{service.url}/api/whoami"), 401, "BLOCKED", NO_KEY)


def test_whoami_tells_what_is_left_of_a_rate(promises: Promises, service: Service) -> None:
    key = service.issue_key("--rate", "10/86400")
    lefts = [get(service, key, "/api/whoami").json()["data"]["rate"] for _ in range(3)]
    assert {(left["requests"], left["window_s"]) for left in lefts} == {(10, 86_400)}
    # What another web process has borrowed meanwhile is not there either.
    remaining = [left["remaining"] for left in lefts]
    assert 9 >= remaining[0] > remaining[1] > remaining[2] >= 0


# -- refusals of strangers -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def strict(start_service: Services) -> Iterator[Service]:
    """A service that refuses an address unread after five refusals."""
    with start_service(TECHNO_REFUSALS_A_MINUTE_MOST="5") as service:
        yield service


@pytest.mark.slow
@pytest.mark.produces(*TOO_OFTEN)
def test_strangers_are_taken_together(strict: Service) -> None:
    """One row for the address and minute of both processes, and a count of all it stands for."""
    copied = strict.var_dir / "key_snapshot.json"
    prefix = strict.key.split("_")[1]
    assert wait_until(lambda: copied.exists() and prefix in copied.read_text(), 60)
    rows = strict.sql("SELECT count(*) FROM audit_logs")[0][0]
    told: dict[str, int] = {}
    statuses = []
    with strict.client(key="techno_ZZZZZZZZ_" + "a" * 49) as stranger:
        for _ in range(200):
            answer = stranger.get("/api/memory")
            statuses.append(answer.status_code)
            if answer.status_code == 429:
                body = Promises(strict).envelope(answer)
                assert body["reason_codes"] == TOO_OFTEN
                assert 0 < int(answer.headers["Retry-After"]) <= 60
                told[body["trace_id"]] = told.get(body["trace_id"], 0) + 1
    assert statuses.count(401) <= 5
    assert 1 <= len(told) <= 2  # at most one new minute
    for trace_id in told:
        detail = Promises(strict).row(trace_id)["detail"]
        assert detail["together"] == "127.0.0.1"
    assert strict.sql("SELECT count(*) FROM audit_logs")[0][0] - rows <= 5 + len(told) + 2
    for _ in range(6):  # who has a good key is let in from there as ever, by every process
        assert get(strict, strict.key).status_code == 200
    Promises.seen.update(TOO_OFTEN)
    strict.stop()
    strict.start()
    counted = dict(
        strict.sql("SELECT trace_id::text, refused FROM access_refused_minutes WHERE refused > 0")
    )
    for trace_id, answers in told.items():  # those that the row stands for, beside its own
        assert counted.get(trace_id, 0) == answers - 1


@pytest.mark.slow
def test_behind_a_proxy_each_address_is_its_own(start_service: Services) -> None:
    """The rightmost address that is no proxy of ours is the caller's; what it wrote left of it,
    in the same header or another one, changes nothing: neither its limit nor its networks."""
    with start_service(
        TECHNO_ADDRESS_REQUESTS_MOST="5",
        TECHNO_ADDRESS_WINDOW_S="3600",
        TECHNO_TRUSTED_PROXIES="127.0.0.1",
        TECHNO_WORKERS="1",
    ) as service:

        def ask(*forwarded: str, key: str = service.key) -> httpx.Response:
            headers = [("X-API-Key", key), *(("X-Forwarded-For", each) for each in forwarded)]
            return wire.ask(service, "GET", "/api/memory", headers)

        invented = [f"198.51.100.{number}, 203.0.113.5" for number in range(7)]
        answers = [ask(each) for each in invented]
        assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 2
        for answer in answers[5:]:
            assert Promises(service).envelope(answer)["reason_codes"] == TOO_OFTEN
        assert len({answer.headers["X-Trace-Id"] for answer in answers[5:]}) == 1
        assert ask("198.51.100.9", "203.0.113.5").status_code == 429
        assert ask("::ffff:203.0.113.5").status_code == 429
        # An IPv6 address is limited with its /64.
        ends = [ask(f"2001:db8::{number}").status_code for number in range(1, 7)]
        assert ends == [200] * 5 + [429]
        assert ask("2001:db8:0:1::1").status_code == 200
        key = service.issue_key("--network", "192.0.2.0/24")
        assert ask("192.0.2.7", key=key).status_code == 200
        denied = ask("192.0.2.7, 198.51.100.1", key=key)
        assert (denied.status_code, denied.json()["reason_codes"]) == (403, DENIED_ADDRESS)
        told = service.sql("SELECT DISTINCT user_ip FROM audit_logs")
        assert {"203.0.113.5", "192.0.2.7", "198.51.100.1"} <= {address for (address,) in told}


def test_a_stranger_forwards_nothing(
    promises: Promises, service: Service, narrow: dict[str, str]
) -> None:
    """The shared service trusts no proxy: who comes is whom the socket names."""
    with service.client(narrow["elsewhere"], **{"X-Forwarded-For": "192.0.2.7"}) as client:
        answer = client.get("/api/memory", headers={"X-Real-IP": "192.0.2.7"})
    promises.held(answer, 403, "BLOCKED", DENIED_ADDRESS)


# -- under load ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_revocation_holds_everywhere_under_load(service: Service) -> None:
    """No request that began 5 s after the revocation is let in, on any connection to any worker."""
    key = service.issue_key()
    callers = 8
    warm = threading.Barrier(callers + 1)

    def hammer(_: int) -> float:
        """Ask without a pause until refused; return when the last good request began."""
        with service.client(key) as client:
            assert client.get("/api/whoami").status_code == 200
            warm.wait(60)
            last_s = 0.0
            while True:
                begun_s = time.monotonic()
                status = client.get("/api/whoami").status_code
                if status == 401:
                    return last_s
                assert status == 200
                last_s = begun_s

    with ThreadPoolExecutor(callers) as pool:
        running = [pool.submit(hammer, number) for number in range(callers)]
        warm.wait(60)
        service.manage("apikey", "revoke", key.split("_")[1])
        revoked_s = time.monotonic()
        last = max(each.result() for each in running)
    assert last - revoked_s < REVOCATION_LIMIT_S
