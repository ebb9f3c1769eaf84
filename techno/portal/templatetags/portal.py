"""The portal's pieces of HTML, for templates."""

from __future__ import annotations

from typing import Any

from django import template
from django.http import HttpRequest
from django.utils.translation import gettext

from techno.governance.reason_codes import ReasonCode
from techno.portal import fragments
from techno.portal.visible_text import make_line, make_visible

register = template.Library()

register.filter("moment", fragments.moment)
register.filter("duration", fragments.duration)
register.filter("badge", fragments.badge)
register.filter("codes", fragments.code_list)
register.filter("free_text", fragments.text_or_nothing)
register.filter("plain", fragments.plain)
register.filter("line", make_line)
register.simple_tag(fragments.copyable, name="copyable")
register.simple_tag(fragments.copy_button, name="copy_button")

THEMES = ("light", "dark")


@register.filter
def visible(value: object) -> str:
    """Return text of several lines with a visible sign for each hidden character."""
    return make_visible(str(value))


@register.filter
def explained(codes: Any) -> list[dict[str, str]]:
    """Return each reason code with its meaning and its remedy, in the reader's language."""
    found = []
    for text in fragments.code_texts(codes):
        facts = ReasonCode.of(text).value
        if facts.code == text:
            told = {"meaning": gettext(facts.meaning), "remedy": gettext(facts.remedy)}
        else:
            told = {"meaning": gettext("Not a reason code of this service."), "remedy": ""}
        found.append({"code": text, **told})
    return found


@register.simple_tag(takes_context=True)
def theme(context: template.Context) -> str:
    """Return the colours that this reader chose, or ``auto``."""
    request: HttpRequest | None = context.get("request")
    chosen = request.COOKIES.get("theme", "") if request is not None else ""
    return chosen if chosen in THEMES else "auto"
