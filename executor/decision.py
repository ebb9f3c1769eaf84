"""What the gate says about a request to run: a refusal, or all that is needed to start it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from executor.registry import RegisteredAction, find_action
from executor.requests import RunRequest
from techno.gate import Governed, decide_action
from techno.governance.reason_codes import ReasonCode
from techno.governance.verdict import Verdict, refuse


@dataclass(frozen=True, slots=True)
class Decision:
    """An allowed run, resolved: nothing that follows looks at the request's parameters again.

    ``argv`` and ``environment`` are what the process gets; ``shown_argv`` and ``parameters`` are
    the same for whoever reads about it, with secrets masked. ``secrets`` are the values that the
    run's output must not show either.
    """

    action: RegisteredAction
    argv: tuple[str, ...]
    shown_argv: tuple[str, ...]
    parameters: Mapping[str, object]
    environment: Mapping[str, str]
    secrets: tuple[str, ...] = ()


def decide(governed: Governed, request: RunRequest) -> Decision | Verdict:
    """Decide about ``request``; a :class:`Verdict` is a refusal. Raises ``StoreUnavailable``."""
    command = request.command
    verdict = decide_action(governed.principal, command)
    if not verdict.approved:
        return verdict
    action = find_action(command)
    if action is None:
        return refuse(ReasonCode.G8_UNKNOWN_ACTION, message=f"There is no action {command}.")
    if not action.enabled:
        return refuse(ReasonCode.G9_ACTION_DISABLED, message=f"{command} is disabled.")
    return Decision(action, action.argv, action.argv, {}, action.environment)
