"""What a floor needs to be served as fast as it can be."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest


def with_length(get_response: Any) -> Any:
    """Say how long the answer is: without, gunicorn would send it in chunks, which costs more."""

    def respond(request: HttpRequest) -> Any:
        response = get_response(request)
        response["Content-Length"] = str(len(response.content))
        return response

    return respond
