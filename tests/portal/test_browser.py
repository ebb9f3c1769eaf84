"""The portal in a real browser: scripts, policy, keyboard, clipboard, colours, a phone's width."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.portal.outside import first_password
from tests.service import Service, Services

CHROMIUM = shutil.which("chromium")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on the path"),
]
ZONE = "America/Sao_Paulo"
#: A run is queued, taken by a worker and heard of by its page within this, whatever the load.
LIVE_LIMIT_MS = 60_000
HOSTILE = "<script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">"
PAGES = (
    "/admin/",
    "/admin/audit/audittrace/",
    "/admin/audit/audittrace/?status=BLOCKED&since=2026-01-01T00:00",
    "/admin/audit/audittrace/proof/",
    "/admin/audit/audittrace/verify/",
    "/admin/audit/audittrace/export/",
    "/admin/executor/commandrun/",
    "/admin/executor/commandrun/new/",
    "/admin/executor/commandrun/new/ASK_FIRST/",
    "/admin/executor/approval/",
    "/admin/executor/actionschedule/",
    "/admin/executor/actionschedule/add/",
    "/admin/executor/action/",
    "/admin/executor/action/add/",
    "/admin/access/apikey/",
    "/admin/access/apikey/add/",
    "/admin/auth/user/",
    "/admin/auth/user/add/",
    "/admin/auth/user/1/change/",
    "/admin/auth/user/1/password/",
    "/admin/auth/group/add/",
    "/admin/password_change/",
)

UNLABELLED = """
[...document.querySelectorAll("main :is(input, select, textarea)")]
    .filter((field) => !["hidden", "submit"].includes(field.type))
    .filter((field) => field.checkVisibility() && !field.labels?.length && !field.ariaLabel)
    .map((field) => field.name)
"""


@pytest.fixture(scope="module")
def portal(start_service: Services) -> Iterator[Service]:
    """A service with some history."""
    with start_service() as service:
        service.add_action("HOSTILE", ["/bin/echo", HOSTILE])
        slow = ["/bin/sh", "-c", "echo has begun; sleep 600"]
        service.add_action("ASK_FIRST", slow, approvals_needed=1, timeout_s=900)
        with service.client() as console:
            for command in ("GET_STATUS", "HOSTILE", "NO_SUCH_ACTION"):
                console.post("/api/execute", json={"command": command})
        yield service


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    # Playwright's loop belongs to this thread from now on; Django would refuse its connections.
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield launched
        launched.close()


@pytest.fixture
def complaints() -> list[str]:
    """What the browser complained of: scripts that failed, and breaches of the policy."""
    return []


@pytest.fixture(params=[(1280, "light"), (390, "dark")], ids=["desk", "phone"])
def page(
    request: pytest.FixtureRequest, browser: Browser, portal: Service, complaints: list[str]
) -> Iterator[Page]:
    """A page after signing in, on a desk in light colours and on a phone in dark ones."""
    width, colours = request.param
    context = browser.new_context(
        base_url=portal.url,
        viewport={"width": width, "height": 844},
        color_scheme=colours,
        timezone_id=ZONE,
        locale="en-US",
        permissions=["clipboard-read", "clipboard-write"],
    )
    opened = _listening(context, complaints)
    _sign_in(opened, portal)
    yield opened
    context.close()
    assert complaints == []


def _listening(context: BrowserContext, complaints: list[str]) -> Page:
    opened = context.new_page()
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on(
        "console",
        lambda message: message.type in ("error", "warning") and complaints.append(message.text),
    )
    return opened


def _sign_in(page: Page, service: Service) -> None:
    page.goto("/admin/")
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill(first_password(service))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()


def test_no_page_breaks_the_policy_or_the_width(page: Page) -> None:
    for path in PAGES:
        response = page.goto(path)
        assert response is not None
        assert response.status == 200, path
        width = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert width <= 0, f"{path} is {width} px too wide"
        unlabelled = page.evaluate(UNLABELLED)
        assert unlabelled == [], path


def test_times_are_the_readers_own_with_utc_in_the_title(page: Page) -> None:
    page.goto("/admin/audit/audittrace/")
    time = page.locator("main time").first
    sent = datetime.fromisoformat(str(time.get_attribute("datetime")))
    local = f"{sent.astimezone(ZoneInfo(ZONE)):%Y-%m-%d %H:%M:%S}"
    expect(time).to_have_text(local)
    assert f"{sent.astimezone(UTC):%Y-%m-%d %H:%M:%S}" in str(time.get_attribute("title"))


def test_a_typed_time_is_local_and_travels_as_utc(page: Page) -> None:
    page.goto("/admin/audit/audittrace/")
    page.get_by_text("More filters").click()
    page.locator("[name=since]").fill("2026-01-01T00:00:30")
    page.get_by_role("button", name="Filter", exact=True).click()
    page.wait_for_url(re.compile("since="))
    assert "since=2026-01-01T03%3A00%3A30.000Z" in page.url
    assert "status=" not in page.url
    expect(page.locator("[name=since]")).to_have_value("2026-01-01T00:00:30")
    expect(page.locator("main time").first).to_be_visible()


def test_a_trace_is_found_and_read_by_keyboard_alone(page: Page) -> None:
    page.goto("/admin/audit/audittrace/?action=NO_SUCH_ACTION")
    trace = page.locator("[data-copy]").first
    trace_id = str(trace.get_attribute("data-copy"))
    trace.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == trace_id
    page.goto("/admin/audit/audittrace/")
    page.keyboard.press("/")
    page.keyboard.press("Control+V")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(trace_id))
    link = page.locator("main td.when a")
    expect(link).to_have_count(1)
    link.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="NO_SUCH_ACTION")).to_be_visible()
    expect(page.get_by_text("G8_unknown_action")).to_be_visible()


def test_the_first_stop_skips_to_the_content(page: Page) -> None:
    page.goto("/admin/audit/audittrace/")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


def test_hostile_output_does_nothing(page: Page) -> None:
    page.goto("/admin/executor/commandrun/?action=HOSTILE")
    page.locator(".ledger .when a").first.click()
    expect(page.locator("pre").first).to_have_text(f"{HOSTILE}\n")
    assert "taken" not in page.title()


def test_a_key_is_shown_once(page: Page, portal: Service) -> None:
    page.goto("/admin/access/apikey/add/")
    page.get_by_label("Label").fill("console of the browser")
    page.get_by_label(re.compile("diagnostics:read")).check()
    page.get_by_role("button", name="Issue the key").click()
    secret = page.locator(".secret code").inner_text()
    page.get_by_role("button", name="Copy the key").click()
    assert page.evaluate("navigator.clipboard.readText()") == secret
    with portal.client(secret) as console:
        assert console.get("/api/memory").json()["status"] == "APPROVED"
    page.reload()
    expect(page.get_by_role("heading", name="console of the browser")).to_be_visible()
    assert secret not in page.content()
    page.get_by_role("link", name="Revoke").click()
    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("status")).to_contain_text("1 key is revoked.")


def test_the_colours_are_the_systems_until_somebody_chooses(page: Page) -> None:
    def ground() -> Any:
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    page.goto("/admin/")
    as_system = ground()
    button = page.locator("[data-theme-button]")
    button.click()
    expect(button).to_have_accessible_name("Colours: light")
    light = ground()
    button.click()
    dark = ground()
    assert light != dark
    assert as_system in (light, dark)
    page.reload()
    assert ground() == dark
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_the_menu_is_at_hand_at_every_width(page: Page) -> None:
    page.goto("/admin/")
    entry = page.get_by_role("link", name="Command runs")
    opener = page.get_by_role("button", name="Menu")
    if opener.is_visible():
        expect(entry).to_be_hidden()
        opener.focus()
        page.keyboard.press("Enter")
    entry.click()
    expect(page.get_by_role("heading", name="Command runs")).to_be_visible()
    if opener.is_visible():
        opener.click()
        page.keyboard.press("Escape")
    current = page.locator("#menu [aria-current]")
    expect(current).to_have_text("Command runs")


def test_all_boxes_of_a_list_are_ticked_at_once(page: Page) -> None:
    page.goto("/admin/executor/action/")
    page.locator("#action-toggle").check()
    boxes = page.locator("input.action-select")
    assert boxes.count() > 1
    assert all(boxes.nth(n).is_checked() for n in range(boxes.count()))


def test_without_scripts_everything_can_still_be_read(browser: Browser, portal: Service) -> None:
    with browser.new_context(base_url=portal.url, java_script_enabled=False) as context:
        page = context.new_page()
        _sign_in(page, portal)
        page.goto("/admin/audit/audittrace/?status=BLOCKED")
        expect(page.locator("main time").first).to_contain_text("UTC")
        expect(page.locator(".copy").first).to_be_hidden()


@pytest.fixture(scope="module")
def asking(portal: Service) -> str:
    """A key behind which stands somebody else than who signs in here."""
    return portal.issue_key("--owner", "somebody else", "--scope", "execute")


def test_a_run_is_approved_watched_and_stopped(page: Page, portal: Service, asking: str) -> None:
    """The whole way by keyboard and button, on a page that follows the run by itself."""
    with portal.client(asking) as console:
        body = {"command": "ASK_FIRST", "reason": "to be watched"}
        execution_id = console.post("/api/execute", json=body).json()["execution_id"]
    page.goto("/admin/executor/approval/")
    page.locator(f'a[href="/admin/executor/approval/{execution_id}/"]').first.press("Enter")
    page.get_by_label("Reason").fill("read it")
    page.get_by_role("button", name="Approve").press("Enter")
    expect(page.get_by_role("status")).to_contain_text("You approved the run.")
    page.locator(f'a[href="/admin/executor/commandrun/{execution_id}/change/"]').or_(
        page.locator(f'a[href="/admin/executor/commandrun/{execution_id}/"]')
    ).first.click()
    printed = page.locator('[data-live-stream="stdout"]')
    expect(printed).to_contain_text("has begun", timeout=LIVE_LIMIT_MS)
    page.get_by_label("Reason").fill("seen enough")
    page.get_by_role("button", name="Stop the run").press("Enter")
    expect(page.locator("dl.reasons")).to_contain_text("E8_cancelled", timeout=LIVE_LIMIT_MS)
    expect(page.locator("main")).to_contain_text("has begun")
