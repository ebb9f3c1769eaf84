"""The base of all adapters under ``/api/``."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework.views import APIView

from techno.governance.principal import Scope
from techno.web.renderer import EnvelopeRenderer, OneFormat


class GovernedView(APIView):
    """An adapter: it parses, calls its engine, and wraps the result. It decides nothing.

    ``action_name`` is what the trace calls the request until the view knows better;
    ``required_scope`` is what the key must have been issued for.
    """

    required_scope: ClassVar[Scope]
    action_name: ClassVar[str]
    content_negotiation_class = OneFormat
    http_method_names = ("get", "post")

    def initialize_request(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Name the action before anything can go wrong, so that refusals have it too."""
        governed = getattr(request, "governed", None)
        if governed is not None:  # the API's description is made from requests that are none
            governed.action = self.action_name
        asked = super().initialize_request(request, *args, **kwargs)
        # Our parser reads every body. DRF would take one in chunks, or an empty one, for none.
        asked._stream = request
        return asked

    def perform_content_negotiation(self, request: Any, force: bool = False) -> Any:
        """There is one format."""
        return _RENDERER, _RENDERER.media_type


_RENDERER = EnvelopeRenderer()
