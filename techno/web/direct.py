"""The short way of a governed request: from the web server to its view and back.

Django's handler does for every request what only pages for people need: signals that look after
the ORM's connections and caches, nine middleware classes that step aside one by one, and a route
found anew, level by level. Together that cost half of a request's processor time. What differs
from the long way is nothing that a caller could see.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import structlog
from django.conf import settings
from django.core.handlers.exception import response_for_exception
from django.core.handlers.wsgi import LimitedStream, WSGIHandler, WSGIRequest
from django.db import close_old_connections
from django.http import HttpRequest, HttpResponseBase
from django.urls import ResolverMatch, URLResolver, get_resolver

from techno.database.backend.base import has_connected

log = structlog.get_logger(__name__)

_GOVERNED_PREFIX = "/api/"
_GOVERNED = frozenset({"/api", "/process", "/audit/fetch"})


def is_governed(path: str) -> bool:
    """Whether what is asked under ``path`` must leave an audit row."""
    return path.startswith(_GOVERNED_PREFIX) or path in _GOVERNED


class Views:
    """The views behind the governed paths, called as Django's handler would call them.

    Routes without parameters are remembered by their path: there are as many as were written
    down, whatever callers ask for.
    """

    def __init__(self) -> None:
        self._resolver: URLResolver | None = None
        self._exact: dict[str, ResolverMatch] = {}

    def respond(self, request: HttpRequest) -> HttpResponseBase:
        """Return the view's response; an exception becomes the response that stands for it."""
        try:
            match = self._find(request.path_info)
            request.resolver_match = match
            response: Any = match.func(request, *match.args, **match.kwargs)
            if callable(getattr(response, "render", None)):  # it was left to be rendered late
                response = response.render()
            if response is None:
                raise ValueError(f"the view {match.view_name} returned nothing")
            return response  # type: ignore[no-any-return]
        except Exception as error:  # noqa: BLE001 - as Django's handler does
            return response_for_exception(request, error)

    def _find(self, path: str) -> ResolverMatch:
        """Return the route of ``path``. Raises ``Resolver404``."""
        resolver = get_resolver(settings.ROOT_URLCONF)
        if resolver is not self._resolver:
            self._resolver, self._exact = resolver, {}
        found = self._exact.get(path)
        if found is None:
            found = resolver.resolve(path)
            if not found.args and not found.kwargs:
                self._exact[path] = found
        return found


class GovernedWSGIRequest(WSGIRequest):
    """Django's request, made quickly where the path needs no decoding. There is no script name."""

    def __init__(self, environ: dict[str, Any]) -> None:
        """Take what the web server made of a request under a governed path."""
        path = environ["PATH_INFO"]
        if not path.isascii():
            super().__init__(environ)
            return
        self.environ = self.META = environ
        self.path = self.path_info = path
        environ["SCRIPT_NAME"] = ""
        self.method = environ["REQUEST_METHOD"].upper()
        self._set_content_type_params(environ)  # type: ignore[attr-defined]
        length = environ.get("CONTENT_LENGTH", "")
        self._stream = LimitedStream(  # type: ignore[assignment]
            environ["wsgi.input"], int(length) if length.isdecimal() else 0
        )
        self._read_started = False
        self.resolver_match = None


class Handler(WSGIHandler):
    """Django's WSGI application, with the short way for governed requests."""

    def __call__(  # type: ignore[override]
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer one request."""
        if not is_governed(environ["PATH_INFO"]) or environ.get("SCRIPT_NAME"):
            return super().__call__(environ, start_response)
        # Governed views hold no connection of the ORM's for longer than a request; hardly one
        # opens any. A thread that never did has none to look after.
        looks_after_orm = has_connected()
        if looks_after_orm:
            close_old_connections()
        request = GovernedWSGIRequest(environ)
        response = self._middleware_chain(request)  # type: ignore[attr-defined]
        # What is behind ``response.items()``, which finds each value anew by its name.
        headers = [*response.headers._store.values()]
        if response.cookies:
            headers += [
                ("Set-Cookie", each.output(header="")) for each in response.cookies.values()
            ]
        start_response(f"{response.status_code} {response.reason_phrase}", headers)
        if response.streaming:
            return response  # type: ignore[no-any-return]
        try:
            return (response.content,)
        finally:
            _close(response)
            if looks_after_orm or has_connected():
                close_old_connections()


def _close(response: Any) -> None:
    """Do what ``response.close()`` does but for the signal that a request is over."""
    for closer in response._resource_closers:
        try:
            closer()
        except Exception as error:
            log.warning("what a response held could not be closed", exc_info=error)
    response._resource_closers.clear()
    response.closed = True
