"""What all pages for people have in common: their policy, and a page for when the store is away."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string

from audit.recorder import AuditUnavailable
from techno.database.errors import StoreUnavailable
from techno.portal.forbidden import record_refused_page

log = structlog.get_logger(__name__)

#: What pages may ask a browser for: passkeys and the clipboard, and nothing else.
PERMISSIONS_POLICY = ", ".join(
    (
        "publickey-credentials-get=(self)",
        "publickey-credentials-create=(self)",
        "clipboard-write=(self)",
        *(
            f"{feature}=()"
            for feature in (
                "accelerometer", "browsing-topics", "camera", "display-capture", "geolocation",
                "gyroscope", "magnetometer", "microphone", "midi", "payment", "usb",
            )
        ),
    )
)  # fmt: skip
RETRY_AFTER_S = 5
FORBIDDEN = 403
#: What is raised while PostgreSQL is away.
AWAY = (OperationalError, InterfaceError, StoreUnavailable, AuditUnavailable)


class PortalPages:
    """Sets what HTML pages may ask of a browser, and answers 503 while the store is away.

    A page that was refused to somebody leaves once that is on record.
    Governed requests pass it by: their answers are no pages.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer one request."""
        response = self._get_response(request)
        if hasattr(request, "governed"):
            return response
        if response.status_code == FORBIDDEN:
            try:
                record_refused_page(request)
            except AWAY as error:
                response.close()
                response = store_away(request, error)
        if _is_page(response):
            response.headers.setdefault("Permissions-Policy", PERMISSIONS_POLICY)
        return response

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Turn an outage of PostgreSQL into a page that says so; let the rest pass."""
        if hasattr(request, "governed") or not isinstance(error, AWAY):
            return None
        return store_away(request, error)


def store_away(request: HttpRequest, error: Exception) -> HttpResponse:
    """Return the page that says that PostgreSQL does not answer, and log why."""
    log.error("a portal page could not be read", path=request.path, cause=str(error).strip())
    # Without the request: its context would ask the very store for the person's session.
    page = render_to_string("admin/store_away.html", {"address": request.get_full_path()})
    return HttpResponse(page, status=503, headers={"Retry-After": str(RETRY_AFTER_S)})


def _is_page(response: HttpResponseBase) -> bool:
    return response.headers.get("Content-Type", "").startswith("text/html")
