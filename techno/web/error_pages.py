"""What Django answers when a view is missing or fails: pages for people, nothing for the API.

Under a governed path the middleware puts an envelope in place of whatever comes, so a page made
there would only cost time, and could itself fail.
"""

from __future__ import annotations

import sys

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views import defaults

from techno.people.adapters.records import too_many_attempts
from techno.portal.middleware import AWAY, store_away

RETRY_AFTER_S = 60


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 400."""
    return _bare(request, 400) or defaults.bad_request(request, exception)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 403."""
    return _bare(request, 403) or defaults.permission_denied(request, exception)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 404."""
    return _bare(request, 404) or defaults.page_not_found(request, exception)


def too_many_requests(request: HttpRequest) -> HttpResponse:
    """Answer 429; django-allauth asks for it when attempts are limited.

    Raises ``AuditUnavailable``.
    """
    too_many_attempts(request)
    page = render(request, "429.html", status=429)
    page["Retry-After"] = str(RETRY_AFTER_S)
    return page


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer 500; 503 where the database was away before any view was reached."""
    bare = _bare(request, 500)
    if bare is not None:
        return bare
    error = sys.exc_info()[1]
    if isinstance(error, AWAY):
        return store_away(request, error)
    return defaults.server_error(request)


def _bare(request: HttpRequest, status: int) -> HttpResponse | None:
    return HttpResponse(status=status) if hasattr(request, "governed") else None
