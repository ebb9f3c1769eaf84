"""Small pieces of HTML that many pages show: a time, a status, an identifier to copy."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from django.utils.dateparse import parse_datetime
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from techno.governance.reason_codes import ReasonCode
from techno.governance.status import Status
from techno.portal.visible_text import make_line

NOTHING = SafeString('<span class="nothing">–</span>')
MILLISECONDS_SHOWN_AS_SECONDS = 1000
_KEY_STATES = {
    "live": "approved",
    "suspended": "warning",
    "expired": "expired",
    "revoked": "blocked",
}


def moment(value: datetime | str | None) -> SafeString:
    """Return a time: UTC as sent, turned into the reader's own by ``local_time.js``."""
    if isinstance(value, str):
        value = parse_datetime(value)
    if value is None:
        return NOTHING
    utc = value.astimezone(UTC)
    milliseconds = f".{utc.microsecond // 1000:03d}"
    seconds = utc.isoformat(" ", "seconds")[:19]  # strftime writes the year 1 without zeros
    return format_html(
        '<time datetime="{}Z" title="{} UTC">{} UTC</time>',
        seconds.replace(" ", "T") + milliseconds,
        seconds + milliseconds,
        seconds,
    )


def moment_by(value: datetime | None, name: str) -> SafeString:
    """Return a time, and by whom where that is known."""
    if not name:
        return moment(value)
    by = gettext("by %(name)s") % {"name": make_line(name)}
    return format_html("{} {}", moment(value), by)


def duration(value_ms: int | None) -> str | SafeString:
    """Return a duration in milliseconds, or in seconds where it is long."""
    if value_ms is None:
        return NOTHING
    if value_ms < MILLISECONDS_SHOWN_AS_SECONDS:
        return f"{value_ms} ms"
    return f"{value_ms / 1000:.1f} s"


def badge(status: object) -> SafeString:
    """Return a status as a coloured word; what is no status is shown as BLOCKED is."""
    known = Status.of(status)
    text = make_line(str(status)) or gettext("none")
    return format_html('<span class="badge {}">{}</span>', known.value.lower(), text)


def state_badge(state: str, text: str) -> SafeString:
    """Return the state of a key or of a switch, coloured like the status that it resembles."""
    return format_html('<span class="badge {}">{}</span>', _KEY_STATES.get(state, state), text)


def text_or_nothing(value: object) -> str | SafeString:
    """Return free text on one line, or a dash for none."""
    return make_line(str(value)) if value not in (None, "") else NOTHING


def lines(*parts: str) -> SafeString:
    """Return the parts that are not empty, each on a line of its own."""
    return format_html_join(SafeString("<br>"), "{}", ((part,) for part in parts if part))


def code(text: str, *, most: int = 0) -> SafeString:
    """Return text as code, on one line; ``most`` characters of it, the whole in its title."""
    line = make_line(text)
    short = f"{line[:most]}…" if 0 < most < len(line) else line
    return format_html('<code title="{}">{}</code>', line, short)


def copy_button(text: str, what: str) -> SafeString:
    """Return the button that copies ``text``; ``what`` names it to those who cannot see it."""
    return format_html(
        '<button type="button" class="copy" data-copy="{}" aria-label="{}"></button>', text, what
    )


def copyable(value: object, what: str = "", *, url: str = "", tail: int = 0) -> SafeString:
    """Return an identifier with its copy button, as a link where ``url`` is given.

    ``tail`` shows only so many last characters; the whole is copied and stands in the title.
    A text with anything hidden in it gets no button: nobody sees what they would paste.
    """
    text = "" if value is None else str(value)
    if not text:
        return NOTHING
    shown = make_line(text)
    short = f"…{shown[-tail:]}" if 0 < tail < len(shown) else shown
    code = format_html('<code title="{}">{}</code>', shown, short)
    if url:
        code = format_html('<a href="{}">{}</a>', url, code)
    if shown != text:
        return code
    label = what or gettext("Copy %(text)s") % {"text": shown}
    return format_html('<span class="copyable">{}{}</span>', code, copy_button(text, label))


def code_texts(codes: Any) -> list[str]:
    """Return what a row holds as its reason codes as texts; another writer's may hold anything."""
    if not isinstance(codes, (list, tuple)):
        codes = [codes]
    return [plain(code) for code in codes]


def plain(value: Any) -> str:
    """Return a value out of JSON as one line of text."""
    return make_line(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def code_list(codes: Any) -> SafeString:
    """Return reason codes, each with its meaning as a title."""
    texts = code_texts(codes)
    if not texts:
        return NOTHING
    return format_html_join(
        " ", '<code class="reason" title="{}">{}</code>', ((_meaning(text), text) for text in texts)
    )


def _meaning(text: str) -> str:
    code = ReasonCode.of(text)
    known = code.code == text
    return gettext(code.value.meaning) if known else gettext("Not a reason code of this service.")
