"""Parameters from outside: hostile values stay one argument, or nothing runs."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.contract.promises import Promises

INVALID = (400, "BLOCKED", ["G11_invalid_payload"])


def run(client: httpx.Client, command: str, **body: Any) -> httpx.Response:
    return client.post("/api/execute", json={"command": command, **body})


def runs(promises: Promises) -> int:
    return int(promises.service.sql("SELECT count(*) FROM command_runs")[0][0])


#: What is tried, under the name that the documentation gives it.
HOSTILE = {
    "single quote": "it's",
    "double quotes": '"; cat /etc/shadow; "',
    "backslash": "a\\b\\",
    "command substitution": "$(id)",
    "backticks": "`id`",
    "variable": "$HOME ${IFS}",
    "separators": "a; id && id || id | id & id",
    "redirection": "> /tmp/x < /etc/passwd",
    "globs": "* ? [a-z] ~",
    "line ends": "a\nid\r\nid",
    "tabs and spaces": "  a\t b  ",
    "an option": "-rf",
    "a long option": "--output=/etc/passwd",
    "two hyphens": "--",
    "path traversal": "../../../../etc/passwd",
    "direction marks": "\u202egnp.exe\u2066",
    "combining and wide": "e\u0301\U0001f468\u200d\U0001f469",
    "terminal control": "\x1b[2J\x07",
    "formats": "%s%n%x {text} {0} {{text}}",
    "a word per line": "\u2028\u0085x",
    "empty": "",
    "very long": "x" * 30_000,
}


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_value_is_one_argument_and_no_more(
    promises: Promises, client: httpx.Client, value: str
) -> None:
    body = promises.held(run(client, "ECHO", params={"text": value}), 200)
    assert body["stdout"] == f"<{value}>\n<n=1>\n"
    kept = promises.service.sql(
        "SELECT argv, parameters, version FROM command_runs WHERE execution_id = %s",
        [body["execution_id"]],
    )
    argv = ["/usr/bin/printf", "--", "<%s>\\n", value, "n=1"]
    assert kept == [(argv, {"text": value, "count": 1, "loud": False}, 1)]


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "NUL": ({"text": "a\0b"}, "params.text: must not hold a NUL character."),
    "too long": ({"text": "x" * 30_001}, "params.text: must have at most 30000 characters."),
    "no text": ({"text": 5}, "params.text: must be a text."),
    "an array": ({"text": ["-c", "id"]}, "params.text: must be a text."),
    "an object": ({"text": {"$ref": "#"}}, "params.text: must be a text."),
    "missing": ({}, "params.text: is required."),
    "unknown": ({"text": "a", "argv": "b"}, "params.argv: is not a parameter of this action."),
    "number as text": ({"text": "a", "count": "1"}, "params.count: must be a whole number."),
    "a fraction": ({"text": "a", "count": 1.5}, "params.count: must be a whole number."),
    "too large": ({"text": "a", "count": 10}, "params.count: must be at most 9."),
    "a truth as text": ({"text": "a", "loud": "yes"}, "params.loud: must be true or false."),
}


@pytest.mark.produces("G11_invalid_payload")
@pytest.mark.parametrize(("params", "message"), REFUSED.values(), ids=REFUSED)
def test_what_breaks_a_rule_is_refused_and_nothing_runs(
    promises: Promises, client: httpx.Client, params: dict[str, Any], message: str
) -> None:
    before = runs(promises)
    body = promises.held(run(client, "ECHO", params=params), *INVALID)
    assert body["message"] == message
    assert promises.row(body["trace_id"])["action"] == "ECHO"
    assert runs(promises) == before


@pytest.mark.produces("G11_invalid_payload")
def test_a_lone_surrogate_is_refused(promises: Promises, client: httpx.Client) -> None:
    raw = b'{"command": "ECHO", "params": {"text": "\\ud800"}}'
    answer = client.post("/api/execute", content=raw, headers={"Content-Type": "application/json"})
    assert promises.held(answer, *INVALID)["message"] == "params.text: must be valid Unicode."


@pytest.mark.produces("G7_payload_limit")
def test_a_mebibyte_is_too_much(promises: Promises, client: httpx.Client) -> None:
    answer = run(client, "ECHO", params={"text": "x" * 1_048_576})
    promises.held(answer, 413, "BLOCKED", ["G7_payload_limit"])


@pytest.mark.produces("G11_invalid_payload")
@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("-n", "must not begin with a hyphen."),
        ("--help", "must not begin with a hyphen."),
        ("a\n", "must not hold line ends, control or direction characters."),
        ("$(id)", "must have the form that the action declares."),
    ],
)
def test_a_value_does_not_become_an_option(
    promises: Promises, client: httpx.Client, text: str, rule: str
) -> None:
    body = promises.held(run(client, "ECHO_OPTIONS", params={"text": text}), *INVALID)
    assert body["message"] == f"params.text: {rule}"


@pytest.mark.produces("G11_invalid_payload")
def test_an_action_without_parameters_takes_none(promises: Promises, client: httpx.Client) -> None:
    body = promises.held(run(client, "TRUE", params={"x": 1}), *INVALID)
    assert body["message"] == "params.x: is not a parameter of this action."
    promises.held(run(client, "TRUE", params={}), 200)


TOKEN, KEY = "hunter2!", "-----BEGIN KEY-----\nabcdefghijkl\n-----END KEY-----"


def test_secrets_reach_the_program_and_nothing_else(
    promises: Promises, client: httpx.Client
) -> None:
    given = {"token": TOKEN, "key": KEY}
    body = promises.held(run(client, "TELL_SECRETS", params=given), 200)
    told = body["stdout"].splitlines()
    assert told[:2] == ["token ***.", "***"]
    assert told[-4:] == ["0", "1", "2", "3"]  # no other descriptor is open in the program
    assert body["stderr"] == "***"
    kept = promises.service.sql(
        "SELECT r.*, t.* FROM command_runs r JOIN audit_traces t USING (trace_id)"
        " WHERE r.execution_id = %s",
        [body["execution_id"]],
    )
    seen = f"{kept} {body}"
    for secret in (TOKEN, *KEY.splitlines()):
        assert secret not in seen
    memory = client.get("/api/memory").json()
    assert TOKEN not in str(memory)
    assert TOKEN not in promises.service.full_output


@pytest.mark.produces("G11_invalid_payload")
def test_a_refused_secret_is_not_quoted(promises: Promises, client: httpx.Client) -> None:
    given = {"token": "short\u202esecret", "key": KEY}
    body = promises.held(run(client, "TELL_SECRETS", params=given), *INVALID)
    assert "secret" not in body["message"]


def test_a_dry_run_tells_what_would_run_and_starts_nothing(
    promises: Promises, client: httpx.Client
) -> None:
    before = runs(promises)
    asked = run(client, "ECHO", params={"text": "a b", "loud": True}, dry_run=True)
    body = promises.held(asked, 200)
    assert (body["execution_id"], body["exit_code"], body["stdout"]) == (None, None, "")
    data = body["data"]
    assert data["argv"] == ["/usr/bin/printf", "--", "<%s>\\n", "a b", "n=1", "--loud"]
    assert data["params"] == {"text": "a b", "count": 1, "loud": True}
    assert (data["dry_run"], data["version"], data["limits"]["timeout_s"]) == (True, 1, 15)
    assert promises.row(body["trace_id"])["detail"]["dry_run"] is True
    assert runs(promises) == before


def test_a_dry_run_masks_secrets(promises: Promises, client: httpx.Client) -> None:
    asked = run(client, "TELL_SECRETS", params={"token": TOKEN, "key": KEY}, dry_run=True)
    body = promises.held(asked, 200)
    assert body["data"]["params"] == {"token": "***", "key": "***"}
    assert body["data"]["environment"]["TOKEN"] == "***"
    assert body["data"]["descriptors"] == [3]
    assert TOKEN not in asked.text


@pytest.mark.produces("G11_invalid_payload", "G8_unknown_action", "G9_action_disabled")
def test_a_dry_run_is_refused_as_the_run_would_be(promises: Promises, client: httpx.Client) -> None:
    promises.held(run(client, "ECHO", dry_run=True), *INVALID)
    unknown = run(client, "FORMAT_DISK", dry_run=True)
    promises.held(unknown, 200, "BLOCKED", ["G8_unknown_action"])
    disabled = run(client, "DISABLED", dry_run=True)
    promises.held(disabled, 200, "BLOCKED", ["G9_action_disabled"])
    promises.held(run(client, "TRUE", dry_run="yes"), *INVALID)
