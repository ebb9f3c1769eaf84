"""The settings that the documentation gives for production pass every check there is."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import pytest
from django.test import Client

from techno.web import checks
from tests import databases, isolation
from tests.docs.container_files import image_environment
from tests.docs.settings_in_code import ROOT
from tests.service import Service

PAGE = (ROOT / "docs" / "INSTALLATION.md").read_text(encoding="utf-8")


def documented() -> dict[str, str]:
    """Return the settings of "Behind a reverse proxy"."""
    section = PAGE.split("## Behind a reverse proxy\n", 1)[1].split("\n## ", 1)[0]
    block = re.search(r"```\n((?:TECHNO_\w+=\S+\n)+)```", section)
    assert block is not None
    return dict(line.split("=", 1) for line in block.group(1).splitlines())


def check(**environ: str) -> subprocess.CompletedProcess[str]:
    settings = image_environment() | documented() | {"TECHNO_API_KEY": "k" * 40} | environ
    var_dir = isolation.OWN_DIRECTORY / "production"
    settings |= {"TECHNO_VAR_DIR": str(var_dir)}
    environment = isolation.service_environment(var_dir, "") | settings
    arguments = ("check", "--deploy", "--fail-level", "WARNING")
    return databases.manage(environment, *arguments, check=False)


@pytest.mark.slow
def test_the_documented_production_settings_pass_every_check() -> None:
    assert documented()["TECHNO_HTTPS"] == "true"
    done = check()
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("setting", "value", "told"),
    [
        ("TECHNO_HTTPS", "false", "security.W012"),
        ("TECHNO_DEBUG", "true", "techno.E402"),
        ("TECHNO_SECOND_FACTOR", "ask", "techno.W401"),
        ("TECHNO_SECOND_FACTOR", "perhaps", "techno.E401"),
        ("TECHNO_CORS_ORIGINS", "http://console.example.org", "techno.E502"),
    ],
)
def test_what_is_unsafe_is_told(setting: str, value: str, told: str) -> None:
    done = check(**{setting: value})
    assert done.returncode != 0
    assert told in done.stderr


@pytest.mark.usefixtures("database")
def test_clocks_that_disagree_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert checks.clocks_agree(None, databases=["default"]) == []
    monkeypatch.setattr(checks, "clocks_apart_s", lambda: -7.3)
    (message,) = checks.clocks_agree(None, databases=["default"])
    assert message.id == "techno.W501"
    assert "-7.3 s" in message.msg


@pytest.mark.usefixtures("database")
def test_the_first_password_and_missing_groups_are_told(settings: Any) -> None:
    from techno.people.checks import people_in_the_database
    from techno.people.models import FirstPassword
    from tests.portal.making import person

    user = person()
    FirstPassword.note(user)
    settings.OIDC_GROUPS = ["theirs=no such group"]
    told = {message.id: message.msg for message in people_in_the_database(None, ["default"])}
    assert user.username in told["techno.W403"]
    assert "no such group" in told["techno.W404"]
    user.set_password("another long phrase")
    user.save()
    again = people_in_the_database(None, ["default"])
    assert all(user.username not in message.msg for message in again)


@pytest.mark.usefixtures("database")
def test_pages_and_answers_carry_their_policies() -> None:
    page = Client().get("/account/login/")
    assert page["X-Frame-Options"] == "DENY"
    assert page["Referrer-Policy"] == "same-origin"
    assert page["Cross-Origin-Opener-Policy"] == "same-origin"
    assert page["X-Content-Type-Options"] == "nosniff"
    assert "camera=()" in page["Permissions-Policy"]
    answer = Client().get("/api/memory", REMOTE_ADDR="192.0.2.80")
    assert answer["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert "Set-Cookie" not in answer
    for name in ("swagger", "redoc"):
        policy = Client().get(f"/api/schema/{name}/")["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "script-src 'self'" in policy


@pytest.mark.slow
def test_https_hardens_the_cookies(start_service: Any) -> None:
    with start_service(
        TECHNO_HTTPS="true",
        TECHNO_TRUSTED_PROXIES="127.0.0.1",
        TECHNO_CORS_ORIGINS="https://c.example.org",
    ) as service:
        with service.client("", **{"X-Forwarded-Proto": "https"}) as browser:
            page = browser.get("/account/login/")
            assert "max-age=31536000" in page.headers["Strict-Transport-Security"]
            cookie = page.headers["Set-Cookie"]
            assert cookie.startswith("__Host-csrftoken=")
            assert "Secure" in cookie
            assert "Path=/" in cookie
        _console_origins(service)


def _console_origins(service: Service) -> None:
    """Only the configured origin may read answers; what browsers ask beforehand leaves a row."""
    asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key"}
    with service.client("") as console:
        for origin, allowed in (("https://c.example.org", True), ("https://d.example.org", False)):
            before = console.options("/api/execute", headers={"Origin": origin, **asks})
            refused = console.get("/api/memory", headers={"Origin": origin})
            assert (before.status_code, refused.status_code) == (200, 401)
            for answer in (before, refused):
                granted = answer.headers.get("Access-Control-Allow-Origin")
                assert granted == (origin if allowed else None)
                assert "Access-Control-Allow-Credentials" not in answer.headers
            row = service.sql(
                "SELECT action, status FROM audit_traces WHERE trace_id = %s",
                [before.headers["X-Trace-Id"]],
            )
            assert row == [("cors.preflight", "APPROVED")]
        page = console.options("/account/login/", headers={"Origin": "https://c.example.org"})
        assert "Access-Control-Allow-Origin" not in page.headers


@pytest.mark.slow
def test_what_stands_in_the_database_is_checked_with_it(service: Service) -> None:
    arguments = ("check", "--deploy", "--database", "default", "--fail-level", "WARNING")
    done = service.manage_with(documented(), *arguments)
    assert done.returncode != 0
    # Two actions that are there for tests, and a password that nobody changed yet.
    assert set(re.findall(r"techno\.\w+", done.stderr)) - {"techno.W203"} == {
        "techno.W301",
        "techno.W304",
        "techno.W403",
    }
