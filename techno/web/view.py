"""The base of all adapters under ``/api/``."""

from __future__ import annotations

from functools import cache
from typing import Any, ClassVar

from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.request import Empty, Request
from rest_framework.views import APIView

from techno.governance.principal import Scope
from techno.web.renderer import EnvelopeRenderer, OneFormat


class GovernedRequest(Request):
    """DRF's request for bodies that are one value: there are no forms and no files.

    What views ask of Django's request most often is at hand, and not looked for here first.
    """

    _full_data: Any
    governed: Any
    negotiator: Any

    def __init__(self, request: Any, view: GovernedView) -> None:
        """Wrap ``request``, as it comes to ``view``."""
        super().__init__(
            request,
            parsers=view.get_parsers(),
            authenticators=view.get_authenticators(),
            negotiator=view.get_content_negotiator(),
            parser_context=view.get_parser_context(request),
        )
        self.META, self.path, self.method = request.META, request.path, request.method

    @property
    def data(self) -> Any:
        """The body, parsed. Raises ``UnsupportedMediaType`` and whatever its parser does."""
        if self._full_data is Empty:
            parser = self.negotiator.select_parser(self, self.parsers)
            if parser is None:
                raise UnsupportedMediaType(self.content_type)
            self._full_data = {}  # for whoever asks again after a failure
            self._full_data = parser.parse(self._request, self.content_type, self.parser_context)
        return self._full_data


class GovernedView(APIView):
    """An adapter: it parses, calls its engine, and wraps the result. It decides nothing.

    ``action_name`` is what the trace calls the request until the view knows better;
    ``required_scope`` is what the key must have been issued for. Parsers, authenticators and
    permissions keep nothing of a request, so all requests share one of each.
    """

    required_scope: ClassVar[Scope]
    action_name: ClassVar[str]
    content_negotiation_class = OneFormat
    http_method_names = ("get", "post")
    #: DRF would tell with every answer which methods there are; a 405 does, which is enough.
    default_response_headers: ClassVar[dict[str, str]] = {}

    def initialize_request(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Name the action before anything can go wrong, so that refusals have it too."""
        asked = GovernedRequest(request, self)
        governed = getattr(request, "governed", None)
        if governed is not None:  # the API's description is made from requests that are none
            governed.action = self.action_name
            asked.governed = governed
        return asked

    def initial(self, request: Any, *args: Any, **kwargs: Any) -> None:
        """Check who asks, what for and how often; there is one format and one version."""
        self.perform_authentication(request)
        self.check_permissions(request)
        self.check_throttles(request)

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Let request and view go: they know each other, and would stay until a collection."""
        request.parser_context.clear()
        return super().finalize_response(request, response, *args, **kwargs)

    def perform_authentication(self, request: Any) -> None:
        """Find out who asks. Ours need nothing of what DRF puts around a request."""
        for authenticator in self.get_authenticators():
            found = authenticator.authenticate(request._request)
            if found is not None:
                request.user, request.auth = found
                return
        super().perform_authentication(request)

    def get_content_negotiator(self) -> Any:
        """Return the one that all requests share."""
        return _shared((self.content_negotiation_class,))[0]

    def get_parsers(self) -> list[Any]:
        """Return those that all requests share."""
        return _shared(tuple(self.parser_classes))

    def get_authenticators(self) -> list[Any]:
        """Return those that all requests share."""
        return _shared(tuple(self.authentication_classes))

    def get_permissions(self) -> list[Any]:
        """Return those that all requests share."""
        return _shared(tuple(self.permission_classes))

    def perform_content_negotiation(self, request: Any, force: bool = False) -> Any:
        """There is one format."""
        return _RENDERER, _RENDERER.media_type


@cache
def _shared(classes: tuple[type, ...]) -> list[Any]:
    return [each() for each in classes]


_RENDERER = EnvelopeRenderer()
