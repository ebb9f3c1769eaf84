"""Markers are planted in every secret, and looked for where none may be.

``tests.leaks`` does the looking; the session's shared service is searched by it once all tests of
this process are done with it (``tests/conftest.py``), whatever they did.
"""

from __future__ import annotations

import contextlib
import html
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from techno.access.key_format import make_key
from tests import isolation
from tests.contract import wire
from tests.leaks import leaks, secrets_of
from tests.portal.outside import sign_in
from tests.service import Service, Services

PAGES_LEAST, PAGES_MOST = 30, 150
IN_FILES = ("SECRET_KEY", "TECHNO_KEY_PEPPER", "TECHNO_METRICS_TOKEN", "TECHNO_API_KEY")


@pytest.fixture(scope="module")
def planted(start_service: Services) -> Iterator[Service]:
    """A service all of whose secrets come from files."""
    directory = isolation.OWN_DIRECTORY / f"secrets-{secrets.token_hex(4)}"
    directory.mkdir(mode=0o700)
    given = {}
    for name in IN_FILES:
        path = directory / name.lower()
        path.write_text(f"marker-of-{name.lower()}-{secrets.token_hex(16)}\n")
        given[f"{name}_FILE"] = str(path)
    with start_service(TECHNO_WORKERS="1", **given) as service:
        yield service


def answers(service: Service, key: str, directory: Path) -> Iterator[httpx.Response]:
    """Ask for all sorts of things, well and badly, with secrets where callers put them."""
    stolen = directory / "stolen"
    stolen.write_text(f"the key is {key}\nand {make_key().text}")
    service.add_action("SHOW_STOLEN", ["/bin/cat", str(stolen)])
    service.add_action("SHOW_ENVIRONMENT", ["/usr/bin/env"])
    wrong = key[:-1] + ("A" if key[-1] != "A" else "B")
    environment_key = secrets_of(service)["TECHNO_API_KEY_FILE"]
    for sent in (key, wrong, environment_key, environment_key + "x", f"{key},{key}"):
        with service.client(sent) as client:
            yield client.get("/api/whoami")
            yield client.get("/api/memory")
            yield client.get("/api/audit?limit=1000")
            yield client.get("/api/diagnostic/metrics")
            yield client.get("/metrics", headers={"Authorization": f"Bearer {sent}"})
            for command in ("SHOW_STOLEN", "SHOW_ENVIRONMENT", "GET_STATUS", "nothing"):
                yield client.post("/api/execute", json={"command": command})
    yield wire.ask(service, "GET", "/api/memory", [("X-API-Key", key), ("X-API-Key", key)])
    yield wire.ask(service, "GET", "/api/memory", [("X-API-Key", key.encode() + b"\xff")])


def pages(service: Service) -> Iterator[httpx.Response]:
    """Look at everything that the portal shows: each page, and each that a page leads to."""
    with contextlib.closing(sign_in(service)) as browser:
        waiting, seen = ["/admin/"], {"/admin/"}
        while waiting:
            answer = browser.get(waiting.pop())
            yield answer
            if "text/html" not in answer.headers.get("Content-Type", ""):
                continue
            for link in re.findall(r'href="(/admin/[^"#]*)"', answer.text):
                path = html.unescape(link)
                if path not in seen and "logout" not in path and len(seen) < PAGES_MOST:
                    seen.add(path)
                    waiting.append(path)
    assert len(seen) > PAGES_LEAST


@pytest.mark.slow
def test_secrets_are_nowhere_but_in_their_own_places(planted: Service, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    key = planted.issue_key(label="planted")
    known = secrets_of(planted)
    assert {f"{name}_FILE" for name in IN_FILES} <= known.keys()
    printed = []
    for answer in answers(planted, key, tmp_path):
        for name, text in known.items():
            assert text not in answer.text + str(answer.headers), (name, answer.request.url)
        if "the key is" in answer.text:
            printed.append(answer.json()["stdout"])
    for page in pages(planted):
        for name, text in known.items():
            assert text not in page.text + str(page.headers), (name, page.request.url)
    assert printed
    for text in printed:
        assert re.fullmatch(r"the key is techno_\w{8}_\*{49}\nand techno_\w{8}_\*{49}", text)
    token = known["TECHNO_METRICS_TOKEN_FILE"]
    told = httpx.get(f"{planted.url}/metrics", headers={"Authorization": f"Bearer {token}"})
    assert told.status_code == 200
    assert leaks(planted) == []


@pytest.mark.slow
def test_a_leak_would_be_found(planted: Service) -> None:
    """The search finds what is planted where it must not be: it is not blind."""
    planted.known_secrets.append("techno_planted_" + "in_a_label_of_a_key")
    planted.manage("apikey", "create", "in_a_label_of_a_key")
    (planted.var_dir / "run" / "note").write_text("in_a_label_of_a_key")
    found = {place.partition(" in ")[2] for place in leaks(planted)}
    assert {"table access_api_keys", "table audit_traces", "run/note"} <= found
    planted.known_secrets.pop()


def test_both_ways_of_giving_a_secret_are_one_too_many(service: Service, tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("from a file\n")
    for variables, told in (
        ({"SECRET_KEY": "x", "SECRET_KEY_FILE": str(path)}, "both set"),
        ({"TECHNO_API_KEY_FILE": str(tmp_path / "none")}, "cannot be read"),
    ):
        done = service.manage_with(variables, "check")
        assert done.returncode != 0
        assert told in done.stderr
        assert "from a file" not in done.stderr
