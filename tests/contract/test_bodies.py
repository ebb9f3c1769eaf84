"""Bodies that break a rule, each refused with a row, and none of them run."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.contract import wire
from tests.contract.promises import Promises
from tests.service import Service

UNREADABLE = ["G10_body_parse_error"]
INVALID = ["G11_invalid_payload"]
LIMIT_BYTES = 65_536
GOOD = b'{"command": "TRUE"}'

NOT_JSON = {
    "empty": b"",
    "not JSON": b"command=TRUE",
    "half": b'{"command": "TR',
    "two values": b'{"command": "TRUE"} {}',
    "a comment": b'{"command": "TRUE" /* please */}',
    "a trailing comma": b'{"command": "TRUE",}',
    "single quotes": b"{'command': 'TRUE'}",
    "NaN": b'{"command": "TRUE", "params": {"x": NaN}}',
    "Infinity": b'{"command": "TRUE", "params": {"x": -Infinity}}',
    "bad UTF-8": b'{"command": "TRUE", "session_id": "\xff\xfe"}',
    "overlong UTF-8": b'{"command": "TRUE", "session_id": "\xc0\xaf"}',
    "UTF-16": GOOD.decode().encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf" + GOOD,
    "a raw control character": b'{"command": "TRUE", "session_id": "a\x01b"}',
    "duplicate keys": b'{"command": "TRUE", "command": "GET_STATUS"}',
    "duplicate keys below": b'{"command": "TRUE", "params": {"a": 1, "a": 2}}',
    "deep nesting": b'{"command": "TRUE", "params": ' + b"[" * 7000 + b"]" * 7000 + b"}",
    "deep objects": b'{"a":' * 7000 + b"1" + b"}" * 7000,
    "a number beyond all digits": b'{"command": "TRUE", "params": {"x": ' + b"9" * 5000 + b"}}",
}

NOT_THIS_REQUEST = {
    "no command": {},
    "null command": {"command": None},
    "a number for a command": {"command": 7},
    "a list for a command": {"command": ["TRUE"]},
    "too short": {"command": "LS"},
    "too long": {"command": "A" * 33},
    "lower case": {"command": "get_status"},
    "digits": {"command": "GET_STATUS_2"},
    "other digits": {"command": "GET_٣"},
    "a newline at the end": {"command": "TRUE\n"},
    "space around": {"command": " TRUE "},
    "a path": {"command": "../BIN/SH"},
    "a shell": {"command": "TRUE; REBOOT"},
    "NUL": {"command": "TRUE\0"},
    "a lone surrogate": {"command": "\ud800"},
    "a long session": {"command": "TRUE", "session_id": "s" * 129},
    "a session that is none": {"command": "TRUE", "session_id": 5},
    "NUL in the session": {"command": "TRUE", "session_id": "a\0b"},
    "a surrogate in the session": {"command": "TRUE", "session_id": "a\udc00"},
    "a line end in the session": {"command": "TRUE", "sessionId": "a\nb"},
    "parameters that are no object": {"command": "TRUE", "params": [1]},
    "an unknown field": {"command": "TRUE", "sudo": True},
    "NUL in an unknown field": {"command": "TRUE", "su\0do": True},
    "a surrogate in an unknown field": {"command": "TRUE", "\ud83d": True},
}
NO_OBJECT = {"a list": [{"command": "TRUE"}], "a text": "TRUE", "a number": 5, "null": None}


@pytest.mark.produces(*UNREADABLE)
@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON)
def test_a_body_that_is_not_json(promises: Promises, service: Service, body: bytes) -> None:
    promises.held(wire.execute(service, body), 400, "BLOCKED", UNREADABLE)


@pytest.mark.produces(*INVALID)
@pytest.mark.parametrize(
    "value", [*NOT_THIS_REQUEST.values(), *NO_OBJECT.values()], ids=[*NOT_THIS_REQUEST, *NO_OBJECT]
)
def test_json_that_is_not_this_request(promises: Promises, service: Service, value: object) -> None:
    answer = wire.execute(service, json.dumps(value).encode())
    body = promises.held(answer, 400, "BLOCKED", INVALID)
    if isinstance(value, dict):
        named = set(value) - {"command"} or {"command"}
        assert body["message"].split(":")[0] in {*named, "su\\u0000do", "\\ud83d"}


def test_the_command_is_the_only_thing_needed(promises: Promises, service: Service) -> None:
    promises.held(wire.execute(service, GOOD), 200)
    full = {"command": "TRUE", "session_id": "é" * 128, "params": {}}
    promises.held(wire.execute(service, json.dumps(full).encode()), 200)
    promises.held(wire.execute(service, json.dumps(full, ensure_ascii=False).encode()), 200)


@pytest.mark.produces("G7_payload_limit")
def test_a_body_over_the_limit(promises: Promises, service: Service) -> None:
    padding = b" " * (LIMIT_BYTES - len(GOOD))
    promises.held(wire.execute(service, GOOD + padding), 200)
    refusal = 413, "BLOCKED", ["G7_payload_limit"]
    promises.held(wire.execute(service, GOOD + padding + b" "), *refusal)
    promises.held(wire.execute(service, GOOD, length=10**12), *refusal)


@pytest.mark.parametrize(
    "media_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""],
)
@pytest.mark.produces(*UNREADABLE)
def test_another_media_type(promises: Promises, service: Service, media_type: str) -> None:
    answer = wire.execute(service, GOOD, media_type=media_type)
    promises.held(answer, 415, "BLOCKED", UNREADABLE)


@pytest.mark.parametrize("media_type", ["application/json; charset=utf-8", "Application/JSON"])
def test_the_media_type_in_other_words(
    promises: Promises, service: Service, media_type: str
) -> None:
    promises.held(wire.execute(service, GOOD, media_type=media_type), 200)


# -- lengths that lie ----------------------------------------------------------------------------


def test_a_length_that_is_too_short(promises: Promises, service: Service) -> None:
    promises.held(wire.execute(service, GOOD, length=5), 400, "BLOCKED", UNREADABLE)


def test_a_length_that_is_too_long(promises: Promises, service: Service) -> None:
    answer = wire.execute(service, GOOD, length=len(GOOD) + 1, hang_up=True)
    promises.held(answer, 400, "BLOCKED", UNREADABLE)


@pytest.mark.slow
def test_a_body_that_never_ends(promises: Promises, service: Service) -> None:
    answer = wire.execute(service, GOOD, length=len(GOOD) + 1)
    promises.held(answer, 400, "BLOCKED", UNREADABLE)


@pytest.mark.parametrize("length", [-1, "abc", "", "1e3", "+19", "0x13", "19, 19"])
def test_a_length_that_is_no_number(
    promises: Promises, service: Service, length: int | str
) -> None:
    promises.held(wire.execute(service, GOOD, length=length), 400, "BLOCKED", UNREADABLE)


def test_two_lengths(promises: Promises, service: Service) -> None:
    answer = wire.execute(service, GOOD, ("Content-Length", "2"))
    promises.held(answer, 400, "BLOCKED", UNREADABLE)


# -- bodies in chunks ----------------------------------------------------------------------------


def in_chunks(service: Service, body: bytes, *, hang_up: bool = False) -> httpx.Response:
    headers = [
        ("X-API-Key", service.key),
        ("Content-Type", "application/json"),
        ("Transfer-Encoding", "chunked"),
    ]
    return wire.ask(service, "POST", "/api/execute", headers, body, hang_up=hang_up)


def chunk(body: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(body), body)


def test_a_body_in_chunks(promises: Promises, service: Service) -> None:
    answer = in_chunks(service, chunk(GOOD[:7]) + chunk(GOOD[7:]) + b"0\r\n\r\n")
    promises.held(answer, 200)


def test_chunks_over_the_limit(promises: Promises, service: Service) -> None:
    body = GOOD + b" " * LIMIT_BYTES
    answer = in_chunks(service, chunk(body) + b"0\r\n\r\n")
    promises.held(answer, 413, "BLOCKED", ["G7_payload_limit"])


@pytest.mark.parametrize(
    "body",
    [b"zz\r\n" + GOOD + b"\r\n0\r\n\r\n", b"5\r\n" + GOOD, chunk(GOOD)[:9], chunk(GOOD)],
    ids=["no size", "size too small", "cut in the chunk", "no last chunk"],
)
def test_chunks_that_are_broken(promises: Promises, service: Service, body: bytes) -> None:
    answer = in_chunks(service, body, hang_up=True)
    promises.held(answer, 400, "BLOCKED", UNREADABLE)


def test_a_length_and_chunks(promises: Promises, service: Service) -> None:
    answer = wire.execute(service, chunk(GOOD), ("Transfer-Encoding", "chunked"))
    promises.held(answer, 400, "BLOCKED", UNREADABLE)


def test_what_follows_a_refused_body_is_not_taken_for_a_request(service: Service) -> None:
    """The rest of a body must never be read as the connection's next request."""
    session = "smuggled-1"
    smuggled = f"GET /api/memory HTTP/1.1\r\nX-API-Key: {service.key}\r\nX-Session-Id: {session}"
    wire.execute(service, b"{}" + smuggled.encode() + b"\r\n\r\n", length=10**9)
    wire.execute(service, smuggled.encode() + b"\r\n\r\n", media_type="text/plain")
    assert service.sql("SELECT 1 FROM audit_logs WHERE session_id = %s", [session]) == []
