"""What goes wrong with the embedded server, as one sentence with the next step."""

from __future__ import annotations


class EmbeddedError(Exception):
    """The embedded server cannot be used; the message is one sentence that says what to do."""
