"""Signing in with second factors, passkeys and single sign-on, in a real browser."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from django.contrib.auth.hashers import make_password
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from techno.processes import wait_until
from tests.portal.making import unique
from tests.portal.test_browser import CHROMIUM, FLAGS
from tests.service import Service, Services

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on the path"),
]
PASSWORD = "a long phrase that nobody guesses"
STEP_S = 30
#: A code is not read when less of its time is left than this.
TO_TYPE_S = 6
PEOPLE = {
    "ana": {"preferred_username": "ana", "name": "Ana Ops", "groups": ["ops", "root"]},
    "eve": {"preferred_username": "eve", "name": "Eve", "groups": ["visitors"]},
}


@contextmanager
def openid_provider() -> Iterator[str]:
    """A real OpenID provider on a free port; it knows ``PEOPLE``."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    claims = [json.dumps({"sub": sub, **claims}) for sub, claims in PEOPLE.items()]
    users = [word for text in claims for word in ("--user-claims", text)]
    command = [sys.executable, "-m", "oidc_provider_mock", "--port", str(port), *users]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    address = f"http://localhost:{port}"
    try:
        assert wait_until(lambda: _answers(f"{address}/.well-known/openid-configuration"), 30.0)
        yield address
    finally:
        process.terminate()
        process.wait(10)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


@pytest.fixture(scope="module")
def portal(start_service: Services) -> Iterator[Service]:
    """A service that insists on second factors and has a provider."""
    with (
        openid_provider() as issuer,
        start_service(
            TECHNO_SECOND_FACTOR="always",
            TECHNO_OIDC_ISSUER=issuer,
            TECHNO_OIDC_CLIENT_ID="techno",
            TECHNO_OIDC_CLIENT_SECRET="not so secret",
            TECHNO_OIDC_NAME="Test ID",
            TECHNO_OIDC_GROUPS="ops=operator",
        ) as service,
    ):
        yield service


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield launched
        launched.close()


@pytest.fixture
def context(browser: Browser, portal: Service) -> Iterator[BrowserContext]:
    # Passkeys work at https and at localhost, not at an address.
    address = portal.url.replace("127.0.0.1", "localhost")
    with browser.new_context(base_url=address, viewport={"width": 390, "height": 844}) as opened:
        opened.set_default_timeout(20_000)
        yield opened


@pytest.fixture
def page(context: BrowserContext, portal: Service) -> Iterator[Page]:
    complaints: list[str] = []
    opened = context.new_page()
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("console", lambda told: _ours(told, portal) and complaints.append(told.text))
    yield opened
    assert complaints == []


def _ours(told: Any, service: Service) -> bool:
    """Whether a page of the service complains; the refusal that a test asks for does not count."""
    if told.type not in ("error", "warning") or "status of 403" in told.text:
        return False
    return f":{service.port}/" in str(told.location.get("url"))


def somebody(service: Service) -> str:
    """Make a superuser with a password, and return the name."""
    name = unique("person")
    service.sql(
        "INSERT INTO auth_user (username, password, first_name, last_name, email, is_superuser,"
        " is_staff, is_active, date_joined) VALUES (%s, %s, '', '', '', true, true, true, now())",
        [name, make_password(PASSWORD)],
    )
    return name


def sign_in(page: Page, name: str) -> None:
    page.goto("/admin/")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in", exact=True).click()


def sign_out(page: Page) -> None:
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()


def code_of(secret: str) -> str:
    """Return the code that an app shows now, with time left to type it."""
    from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value

    left = STEP_S - time.time() % STEP_S
    if left < TO_TYPE_S:
        time.sleep(left)
    return format_hotp_value(hotp_value(secret, int(time.time()) // STEP_S))


def rows_of(service: Service, name: str) -> list[tuple[Any, ...]]:
    return service.sql(
        "SELECT action, status FROM audit_traces WHERE principal_label = %s ORDER BY trace_id",
        [name],
    )


def set_up_an_app(page: Page) -> tuple[str, list[str]]:
    """Set up an app from the page that insists; return its secret and the recovery codes."""
    expect(page.get_by_role("heading", name="Second factor")).to_be_visible()
    page.get_by_role("link", name="Set up an app").click()
    secret = page.locator(".secret code").inner_text()
    assert page.locator(".qr svg").bounding_box() is not None
    page.get_by_label("Authenticator code").fill(code_of(secret))
    page.get_by_role("button", name="Set up").click()
    expect(page.get_by_text("only time that the codes are shown")).to_be_visible()
    codes = page.locator(".recovery-codes code").all_inner_texts()
    assert len(codes) == 10
    return secret, codes


def test_an_app_is_insisted_on_set_up_and_asked_for(page: Page, portal: Service) -> None:
    name = somebody(portal)
    sign_in(page, name)
    page.goto("/admin/access/apikey/add/")
    secret, codes = set_up_an_app(page)
    page.get_by_role("link", name="I have kept them").click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    page.goto("/account/2fa/codes/")
    assert codes[0] not in page.content()
    sign_out(page)
    sign_in(page, name)
    expect(page.get_by_role("heading", name="Second factor")).to_be_visible()
    page.get_by_label("Code").fill("000000")
    page.get_by_role("button", name="Log in", exact=True).click()
    expect(page.get_by_text("Incorrect code")).to_be_visible()
    assert page.goto("/admin/") is not None
    assert "/account/" in page.url
    page.get_by_label("Code").fill(code_of(secret))
    page.get_by_role("button", name="Log in", exact=True).click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    told = rows_of(portal, name)
    for row in (("person.sign_in", "APPROVED"), ("factor.add", "APPROVED")):
        assert row in told
    assert ("person.sign_out", "APPROVED") in told


def test_a_recovery_code_lets_in_once(page: Page, portal: Service) -> None:
    name = somebody(portal)
    sign_in(page, name)
    _secret, codes = set_up_an_app(page)
    page.goto("/admin/")
    for attempt, heading in ((1, "Overview"), (2, "Second factor")):
        sign_out(page) if attempt == 1 else page.get_by_role("button", name="Log out").click()
        sign_in(page, name)
        page.get_by_label("Code").fill(codes[3])
        page.get_by_role("button", name="Log in", exact=True).click()
        expect(page.get_by_role("heading", name=heading)).to_be_visible()
    expect(page.get_by_text("Incorrect code")).to_be_visible()


def authenticator(context: BrowserContext, page: Page) -> None:
    """Give the browser a device that makes passkeys, and says yes."""
    session = context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    session.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2",
                "transport": "internal",
                "hasResidentKey": True,
                "hasUserVerification": True,
                "isUserVerified": True,
                "automaticPresenceSimulation": True,
            }
        },
    )


def test_a_passkey_is_made_and_opens_the_door(
    context: BrowserContext, page: Page, portal: Service
) -> None:
    authenticator(context, page)
    name = somebody(portal)
    sign_in(page, name)
    page.get_by_role("link", name="Add a passkey").click()
    page.get_by_label("Name").fill("the test's device")
    page.get_by_label("Passwordless").check()
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_text("only time that the codes are shown")).to_be_visible()
    sign_out(page)
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    sign_out(page)
    sign_in(page, name)
    expect(page.get_by_role("heading", name="Second factor")).to_be_visible()
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    page.goto("/account/reauthenticate/?next=/admin/access/apikey/")
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_role("heading", name="API keys")).to_be_visible()


def by_provider(page: Page, sub: str) -> None:
    page.goto("/account/login/")
    page.get_by_role("link", name="Log in with Test ID").click()
    page.locator('input[name="sub"]').fill(sub)
    page.get_by_role("button", name=re.compile("authorize", re.IGNORECASE)).first.click()


def test_the_provider_s_groups_let_in_and_give_roles(page: Page, portal: Service) -> None:
    by_provider(page, "ana")
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    (person,) = portal.sql(
        "SELECT is_superuser, is_staff, password FROM auth_user WHERE username = 'ana'"
    )
    assert person[:2] == (False, True)
    assert person[2].startswith("!")
    groups = portal.sql(
        "SELECT g.name FROM auth_group g JOIN auth_user_groups ug ON ug.group_id = g.id"
        " JOIN auth_user u ON u.id = ug.user_id WHERE u.username = 'ana'"
    )
    assert groups == [("operator",)]
    assert page.goto("/admin/access/apikey/").status == 403  # type: ignore[union-attr]
    page.goto("/admin/")
    sign_out(page)
    by_provider(page, "ana")
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    assert portal.sql("SELECT count(*) FROM auth_user WHERE username LIKE 'ana%'") == [(1,)]


def test_whom_no_group_lets_in_stays_out(page: Page, portal: Service) -> None:
    by_provider(page, "eve")
    expect(page.get_by_role("heading", name="You may not log in")).to_be_visible()
    assert portal.sql("SELECT count(*) FROM auth_user WHERE username = 'eve'") == [(0,)]
    told = portal.sql(
        "SELECT status, detail->>'failed' FROM audit_traces WHERE action = 'person.sign_in'"
        " ORDER BY trace_id DESC LIMIT 1"
    )
    assert told == [("BLOCKED", "provider")]
