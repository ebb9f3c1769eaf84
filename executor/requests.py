"""What a caller asks for: one run of one action, before anything is known about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from techno.governance.frozen import frozen


@frozen
class RunRequest:
    """A request to run ``command``, from whichever door it came.

    ``parameters`` are the values as the caller gave them, unchecked. ``dry_run`` asks what would
    happen. ``respond_async`` asks for an answer before the end. ``idempotency_key`` is the
    caller's name for this request, and ``fingerprint`` the digest of what it asked for then.
    ``reason`` is what approvers are told; ``on_behalf_of`` names the people who stand behind a
    request that is made by no person, such as a schedule's, and may not approve of it.
    """

    command: str
    parameters: Mapping[str, object] = field(default_factory=dict)
    dry_run: bool = False
    respond_async: bool = False
    idempotency_key: str = ""
    reason: str = ""
    fingerprint: str = ""
    on_behalf_of: tuple[str, ...] = ()
