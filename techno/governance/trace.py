"""What is known of a request at the moment when it arrives."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

from techno.governance.frozen import frozen

_SECONDS_REMEMBERED = 64


@frozen
class Trace:
    """The identity and circumstances of one governed request.

    ``trace_id`` is a UUIDv7 in its usual text form; ``arrived_ms`` is the Unix time in
    milliseconds that stands in it, so that ordering by time and by id agree.
    ``arrived_monotonic_s`` is the same moment on the monotonic clock, for durations and
    deadlines. All texts come from the caller and are already escaped and capped.
    """

    trace_id: str
    arrived_ms: int
    arrived_monotonic_s: float
    method: str = ""
    path: str = ""
    client_address: str = ""
    session_id: str = ""
    user_agent: str = ""

    @property
    def timestamp(self) -> str:
        """The arrival as the contract writes times: ISO 8601, UTC, milliseconds, ``Z``."""
        return iso_ms(self.arrived_ms)


def iso_ms(unix_ms: int) -> str:
    """Format Unix milliseconds as ``2026-01-31T09:30:00.123Z``."""
    return f"{_second(unix_ms // 1000)}.{unix_ms % 1000:03d}Z"


@lru_cache(_SECONDS_REMEMBERED)
def _second(unix_s: int) -> str:
    """Format a second; all that happens within it has the same beginning."""
    return f"{datetime.fromtimestamp(unix_s, UTC):%Y-%m-%dT%H:%M:%S}"


def iso(moment: datetime) -> str:
    """Format an aware ``datetime`` as the contract writes times (milliseconds, ``Z``)."""
    moment = moment.astimezone(UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
