"""Keys in the database: verified under any known pepper, tightened, followed, found in files."""

from __future__ import annotations

import json
import subprocess
import time
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.management import CommandError, call_command
from django.utils import timezone

from audit.models import AuditTrace
from techno.access import checks, snapshot
from techno.access.authenticate import Cause, KeyRefused, authenticate
from techno.access.change import describe_key, restrict_key, resume_key, revoke_key, suspend_key
from techno.access.issue import IssuedKey, issue_key
from techno.access.key_format import Pepper, digest_of, made_with
from techno.access.models import ApiKey
from techno.access.rotate import rotate_key
from techno.access.terms import longest_end
from techno.gate import begin
from techno.governance.principal import Principal, PrincipalKind
from tests.portal.making import unique

pytestmark = pytest.mark.usefixtures("database")
OLD, NEW = "o" * 40, "n" * 40


@pytest.fixture(autouse=True)
def _unremembered(settings: Any) -> None:
    settings.KEY_CACHE_S = 0


def issue(**wanted: Any) -> IssuedKey:
    return issue_key(label=unique("label"), **({"scopes": ["execute"]} | wanted))


def kept(issued: IssuedKey) -> ApiKey:
    return ApiKey.objects.get(pk=issued.key.pk)


def why_refused(text: str) -> Cause:
    with pytest.raises(KeyRefused) as refused:
        authenticate(text)
    return refused.value.cause


# -- digests ---------------------------------------------------------------------------------------


def test_a_digest_is_made_anew_when_its_key_is_used(settings: Any) -> None:
    settings.KEY_PEPPER = OLD
    issued = issue()
    assert made_with(kept(issued).digest) == f"h1:{Pepper.of(OLD).identity}"
    settings.KEY_PEPPER, settings.KEY_PEPPER_PREVIOUS = NEW, OLD
    authenticate(issued.text)
    assert kept(issued).digest == digest_of(issued.text, Pepper.of(NEW))
    settings.KEY_PEPPER_PREVIOUS = ""  # it can be forgotten
    authenticate(issued.text)


def test_a_digest_without_a_pepper_is_still_good(settings: Any) -> None:
    settings.KEY_PEPPER = ""
    issued = issue()
    assert made_with(kept(issued).digest) == "s1"
    authenticate(issued.text)
    settings.KEY_PEPPER = NEW
    authenticate(issued.text)
    assert made_with(kept(issued).digest) == f"h1:{Pepper.of(NEW).identity}"
    settings.KEY_PEPPER = ""  # lost: its keys are nobody's
    assert why_refused(issued.text) is Cause.UNKNOWN


def test_checks_tell_of_peppers_and_of_keys_without_end(settings: Any) -> None:
    def ids() -> set[str]:
        found = [
            *checks.digests_have_a_pepper(None),
            *checks.keys_can_be_recognised_and_end(None, ["default"]),
        ]
        return {str(each.id) for each in found}

    settings.KEY_PEPPER = NEW
    issued = issue()
    settings.KEY_PEPPER = OLD
    assert "techno.W205" in ids()
    settings.KEY_PEPPER = "short"
    assert "techno.E203" in ids()
    settings.KEY_PEPPER = ""
    assert "techno.W203" in ids()
    ApiKey.objects.filter(pk=issued.key.pk).update(expires_at=None)
    assert "techno.W204" in ids()
    revoke_key(issued.key.prefix)


# -- life ------------------------------------------------------------------------------------------


def test_no_key_lives_longer_than_the_longest_lifetime(settings: Any) -> None:
    settings.KEY_LIFETIME_MOST_DAYS = 30
    ends = kept(issue()).expires_at
    assert ends is not None
    assert abs(ends - longest_end()) < timedelta(minutes=1)
    with pytest.raises(ValidationError, match="30 days"):
        issue(expires_at=timezone.now() + timedelta(days=31))


def test_a_restriction_that_cannot_be_read_opens_nothing() -> None:
    issued = issue()
    ApiKey.objects.filter(pk=issued.key.pk).update(allowed_hours="whenever")
    assert why_refused(issued.text) is Cause.UNREADABLE


def test_what_is_revoked_stays_so() -> None:
    issued = issue()
    prefix = issued.key.prefix
    first = revoke_key(prefix).revoked_at
    assert revoke_key(prefix).revoked_at == first
    for act in (suspend_key, resume_key, restrict_key, rotate_key):
        with pytest.raises(ValidationError, match="revoked"):
            act(prefix)
    assert why_refused(issued.text) is Cause.REVOKED
    assert AuditTrace.objects.filter(action="key.revoke", detail__key=prefix).count() == 1


def test_a_refused_change_leaves_neither_change_nor_row() -> None:
    issued = issue()
    prefix = issued.key.prefix
    with pytest.raises(ValidationError, match="scopes"):
        restrict_key(prefix, scopes=["execute", "audit:read"])
    with pytest.raises(ValidationError, match="label"):
        describe_key(prefix, label=" ")
    assert not AuditTrace.objects.filter(detail__key=prefix).exclude(action="key.issue").exists()
    assert kept(issued).scopes == ["execute"]


def test_a_rotation_keeps_the_meant_lifetime_and_never_prolongs_the_old() -> None:
    issued = issue(expires_at=timezone.now() + timedelta(days=10))
    ApiKey.objects.filter(pk=issued.key.pk).update(created_at=timezone.now() - timedelta(days=20))
    old_end = kept(issued).expires_at
    assert old_end is not None
    new = rotate_key(issued.key.prefix, overlap_until=timezone.now() + timedelta(days=50))
    assert kept(issued).expires_at == old_end
    new_end = kept(new).expires_at
    assert new_end is not None
    assert timedelta(days=29) < new_end - timezone.now() <= timedelta(days=30)
    third = rotate_key(new.key.prefix)
    assert (kept(third).version, kept(third).lineage) == (3, issued.key.prefix)
    assert why_refused(new.text) is Cause.EXPIRED


def test_a_key_issues_no_keys() -> None:
    act = begin()
    act.principal = Principal(PrincipalKind.API_KEY, "abc")
    with pytest.raises(PermissionDenied):
        issue_key(label="x", scopes=["execute"], act=act)


def test_acts_of_the_terminal_name_its_account() -> None:
    issued = issue()
    row = AuditTrace.objects.get(action="key.issue", detail__key=issued.key.prefix)
    assert (row.principal_kind, row.method, row.status) == ("system", "COMMAND", "APPROVED")
    assert row.principal_label
    assert row.detail["after.scopes"] == "execute"
    assert issued.text.split("_")[2] not in str(row.detail)


# -- the copy for outages --------------------------------------------------------------------------


def test_the_copy_knows_restrictions_and_leaves_out_who_is_not_live() -> None:
    narrow = issue(allowed_networks=["192.0.2.0/24"], allowed_hours="mon 08:00-09:00")
    gone = issue()
    suspend_key(gone.key.prefix)
    snapshot.write_snapshot()
    written = json.loads(snapshot.snapshot_path().read_bytes())
    assert snapshot.snapshot_path().stat().st_mode & 0o777 == 0o600
    assert gone.key.prefix not in written["keys"]
    assert narrow.text.split("_")[2] not in str(written)
    snapshot._loaded = (float("-inf"), {})
    found = snapshot.find_in_snapshot(narrow.key.prefix, (kept(narrow).digest,))
    assert found is not None
    assert found.provisional
    assert found.restrictions == authenticate(narrow.text).restrictions
    assert snapshot.find_in_snapshot(narrow.key.prefix, (digest_of("another"),)) is None


@pytest.mark.parametrize(("moved_s", "serves"), [(-899, True), (-901, False), (60, False)])
def test_a_copy_serves_for_its_time_and_not_beyond(
    settings: Any, moved_s: int, serves: bool
) -> None:
    settings.KEY_SNAPSHOT_S = 900
    issued = issue()
    snapshot.write_snapshot()
    path = snapshot.snapshot_path()
    written = json.loads(path.read_bytes())
    path.write_text(json.dumps(written | {"made_at": time.time() + moved_s}))
    snapshot._loaded = (float("-inf"), {})
    found = snapshot.find_in_snapshot(issued.key.prefix, (kept(issued).digest,))
    assert (found is not None) is serves


# -- the command -----------------------------------------------------------------------------------


def apikey(*arguments: str) -> str:
    out = StringIO()
    call_command("apikey", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


def test_the_whole_life_by_command() -> None:
    text = apikey(
        *("create", unique("label"), "--scope", "execute", "--action", "GET_*", "--days", "90"),
        *("--network", "127.0.0.0/8", "--rate", "100/m", "--concurrent", "3"),
        *("--hours", "daily 00:00-24:00 Europe/Lisbon", "--purpose", "tests"),
    ).strip()
    prefix = text.split("_")[1]
    limits = authenticate(text).restrictions
    assert (str(limits.rate), limits.concurrent) == ("100/60s", 3)
    shown = apikey("show", prefix)
    for told in ("GET_*", "127.0.0.0/8", "100/60s", "Europe/Lisbon", "tests", "live", "h1:"):
        assert told in shown
    apikey("restrict", prefix, "--rate", "10/60", "--action", "GET_STATUS")
    apikey("describe", prefix, "--owner", "somebody")
    with pytest.raises(CommandError, match="rate"):
        apikey("restrict", prefix, "--rate", "11/60")
    apikey("suspend", prefix)
    assert why_refused(text) is Cause.SUSPENDED
    apikey("resume", prefix)
    second = apikey("rotate", prefix, "--overlap", "2d").strip()
    assert authenticate(second).restrictions.rate == authenticate(text).restrictions.rate
    apikey("revoke", prefix)
    assert why_refused(text) is Cause.REVOKED
    actions = AuditTrace.objects.filter(detail__key=prefix).values_list("action", flat=True)
    assert sorted(actions) == [
        *("key.describe", "key.issue", "key.restrict", "key.resume", "key.revoke", "key.suspend"),
    ]
    listed = apikey("list", "--digests")
    assert prefix in listed
    assert text not in listed + shown


@pytest.mark.parametrize(
    "arguments",
    [
        ("show", "nobody"),
        ("revoke", "nobody"),
        ("create", " "),
        ("create", "x", "--rate", "many"),
        ("create", "x", "--network", "here"),
        ("create", "x", "--hours", "always"),
        ("create", "x", "--expires", "2026-13-45"),
        ("create", "x", "--expires", "soon"),
        ("create", "x", "--days", "0"),
        ("create", "x", "--days", "5000"),
    ],
)
def test_the_command_says_what_is_wrong(arguments: tuple[str, ...]) -> None:
    with pytest.raises(CommandError):
        apikey(*arguments)


# -- finding them ----------------------------------------------------------------------------------


def test_keys_are_found_in_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    live, gone, altered = issue(), issue(), issue()
    revoke_key(gone.key.prefix)
    ApiKey.objects.filter(pk=altered.key.pk).update(digest=digest_of("another"))
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "notes.txt").write_text(f"one\ntwo\nKEY={live.text}\n")
    (tmp_path / "binary").write_bytes(
        b"\x00\xff\n" + gone.text.encode() + b"\x00" + altered.text.encode()
    )
    # A key that two pieces share, behind more than one of them.
    monkeypatch.setattr("techno.access.scan.PIECE_BYTES", 100)
    long_line = "y" * 160 + f"{live.text}{'z' * 400}\n{gone.text}"
    (tmp_path / "big").write_text(long_line)
    (tmp_path / "link").symlink_to(tmp_path / "deep")
    (tmp_path / "lookalike").write_text(live.text[:-1] + ("A" if live.text[-1] != "A" else "B"))
    out, err = StringIO(), StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command(
            "apikey", "scan", str(tmp_path), str(tmp_path / "none"), stdout=out, stderr=err
        )
    assert ended.value.code == 1
    assert out.getvalue().splitlines() == [
        f"{tmp_path}/big:1: {live.key.prefix} live",
        f"{tmp_path}/big:2: {gone.key.prefix} revoked",
        f"{tmp_path}/binary:2: {gone.key.prefix} revoked",
        f"{tmp_path}/binary:2: {altered.key.prefix} altered",
        f"{tmp_path}/deep/er/notes.txt:3: {live.key.prefix} live",
    ]
    assert "none" in err.getvalue()
    for issued in (live, gone, altered):
        assert issued.text.split("_")[2] not in out.getvalue() + err.getvalue()


def test_grep_finds_with_the_published_expression(tmp_path: Path) -> None:
    from techno.governance.key_text import KEY_EXPRESSION

    (tmp_path / "file").write_text(f"x {issue().text} y\n")
    found = subprocess.run(
        ["grep", "-rnE", KEY_EXPRESSION, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert found.stdout.count("\n") == 1


def test_the_use_is_noted_with_address_and_agent() -> None:
    from techno.access.admit import admit

    issued = issue()
    governed = begin(client_address="192.0.2.9", user_agent="agent/1 <b>")
    assert admit(governed, issued.text).approved
    key = kept(issued)
    assert (key.last_used_address, key.last_used_agent) == ("192.0.2.9", "agent/1 <b>")
    before = key.last_used_at
    time.sleep(0.01)
    admit(begin(client_address="192.0.2.10"), issued.text)
    assert kept(issued).last_used_at == before
