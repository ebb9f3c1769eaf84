"""JSON on the hot path: orjson, and no negotiation about a format there is only one of."""

from __future__ import annotations

from typing import Any

import orjson
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.renderers import BaseRenderer


class EnvelopeRenderer(BaseRenderer):
    """Renders the envelope as UTF-8 JSON. Raises ``TypeError`` for what is not JSON."""

    media_type = "application/json"
    format = "json"
    charset = None
    render_style = "binary"

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Any = None,
    ) -> bytes:
        """Return ``data`` as JSON."""
        return b"" if data is None else orjson.dumps(data)


class OneFormat(BaseContentNegotiation):
    """Every governed answer is JSON whatever ``Accept`` says: a refusal must be readable."""

    def select_parser(self, request: Any, parsers: Any) -> Any:
        """Return the parser for the request's media type, or ``None``."""
        media_type = (request.content_type or "").partition(";")[0].strip().lower()
        return next((parser for parser in parsers if parser.media_type == media_type), None)

    def select_renderer(self, request: Any, renderers: Any, format_suffix: Any = None) -> Any:
        """Return the first renderer."""
        return renderers[0], renderers[0].media_type
