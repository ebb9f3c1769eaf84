"""What a key may know of itself."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime
from typing import Any

from techno.access.tokens import bucket
from techno.governance.principal import Principal
from techno.governance.trace import iso


def describe_caller(principal: Principal) -> dict[str, Any]:
    """Return what a key is, what it may do, until when, and how often it may still ask now."""
    limits = principal.restrictions
    actions = principal.allowed_actions
    ends_s = limits.expires_at_s
    return {
        "prefix": principal.key_prefix,
        "label": principal.label,
        "scopes": sorted(scope.value for scope in principal.scopes),
        "allowed_actions": None
        if actions is None
        else sorted({*actions, *principal.action_patterns}),
        "allowed_networks": None
        if limits.networks is None
        else [str(network) for network in limits.networks],
        "allowed_hours": limits.hours.text if limits.hours else None,
        "requests_at_once": limits.concurrent,
        "rate": _rate(principal),
        "expires_at": None if ends_s is None else iso(datetime.fromtimestamp(ends_s, UTC)),
        "expires_in_s": None if ends_s is None else max(0, math.floor(ends_s - time.time())),
    }


def _rate(principal: Principal) -> dict[str, int] | None:
    rate = principal.restrictions.rate
    if rate is None:
        return None
    left = bucket(f"key:{principal.identity}", rate).look()
    return {"requests": rate.requests, "window_s": rate.window_s, "remaining": left.remaining}
