"""Whether a caller is let in now: whose key it is, and whether it is used as it may be.

What costs nothing is asked first; the rate and the places of a key, which are used up by asking,
come last. Everything here is read from the principal that authentication remembers.
"""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime

from techno.access.authenticate import authenticate
from techno.access.holds import HOLDS
from techno.access.tokens import Taken, bucket
from techno.access.uses import note_use
from techno.gate import Governed
from techno.governance.principal import PrincipalKind
from techno.governance.reason_codes import ReasonCode
from techno.governance.restrictions import Rate
from techno.governance.trace import iso
from techno.governance.verdict import APPROVED, Verdict, refuse

#: From so many days before its end, each answer to a key says that it ends.
WARNING_DAYS = 14
DAY_S = 86_400
WARNING_HEADER = "X-Key-Warning"


def admit(governed: Governed, text: str) -> Verdict:
    """Name the caller whose key is ``text`` on the act, and decide whether it is let in.

    Raises ``KeyRefused`` for what is no live key, and ``StoreError``.
    """
    principal = authenticate(text)
    governed.principal = principal
    if principal.kind is not PrincipalKind.API_KEY:
        return APPROVED
    limits = principal.restrictions
    now_s = time.time()
    if limits.expires_at_s is not None:
        _warn(governed, limits.expires_at_s, now_s)
    if not limits.admits_address(governed.trace.client_address):
        return refuse(
            ReasonCode.G3_ADDRESS_DENIED, message="This key is not to be used from this address."
        )
    if limits.hours is not None and not limits.hours.allow(now_s):
        return refuse(
            ReasonCode.G2_SCOPE_DENIED, message="This key is not to be used at this hour."
        )
    if limits.rate is not None:
        taken = bucket(f"key:{principal.identity}", limits.rate).take()
        tell_rate(governed, "key", limits.rate, taken)
        if not taken.allowed:
            return refuse(ReasonCode.G13_RATE_LIMITED, message="This key asks too often.")
    if limits.concurrent is not None:
        release = HOLDS.take(principal.identity, limits.concurrent)
        if release is None:
            governed.headers["Retry-After"] = "1"
            return refuse(
                ReasonCode.G13_RATE_LIMITED,
                message="As many requests of this key are under way as it may have.",
            )
        governed.releases.append(release)
    note_use(governed)
    return APPROVED


def tell_rate(governed: Governed, policy: str, rate: Rate, taken: Taken) -> None:
    """Note what the answer shall say of a rate, in the IETF's fields."""
    headers = governed.headers
    headers["RateLimit-Policy"] = f'"{policy}";q={rate.requests};w={rate.window_s}'
    headers["RateLimit"] = f'"{policy}";r={taken.remaining};t={taken.full_in_s}'
    if not taken.allowed:
        headers["Retry-After"] = str(taken.retry_after_s)


def _warn(governed: Governed, expires_at_s: float, now_s: float) -> None:
    """Say from two weeks before a key's end on that it ends."""
    left_s = expires_at_s - now_s
    if left_s > WARNING_DAYS * DAY_S:
        return
    days = max(1, math.ceil(left_s / DAY_S))
    ends = iso(datetime.fromtimestamp(expires_at_s, UTC))
    unit = "day" if days == 1 else "days"
    governed.headers[WARNING_HEADER] = f"WARNING expires in {days} {unit}, at {ends}"
