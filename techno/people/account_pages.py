"""What the pages under ``/account/`` have around them: the portal, for those who may see it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

PREFIX = "/account/"


def portal_around(request: HttpRequest) -> dict[str, Any]:
    """Return the menu and what else the portal's frame shows, on account pages only."""
    if not request.path.startswith(PREFIX):
        return {}
    around = admin.site.each_context(request)
    around["advise_second_factor"] = False  # these pages are where one follows the advice
    return around
