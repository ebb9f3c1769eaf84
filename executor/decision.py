"""What the gate says about a request to run: a refusal, or all that is needed to start it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field

from executor.parameters import Arguments, InvalidParameter, Parameters
from executor.registry import RegisteredAction, SeenAction, see_action
from executor.requests import RunRequest
from techno.gate import Governed, decide_action
from techno.governance.frozen import frozen
from techno.governance.reason_codes import ReasonCode
from techno.governance.text import caller_text
from techno.governance.verdict import Verdict, refuse

RULE_LIMIT = 300


@frozen
class Decision:
    """An allowed run, resolved: nothing that follows looks at the request's parameters again.

    ``argv``, ``environment`` and ``descriptors`` are what the process gets; ``shown_argv`` and
    ``parameters`` are for whoever reads about it, with secrets masked. ``secrets`` are the texts
    that the run's output must not show either. ``seen`` is the state of the action's row on which
    it was decided.
    """

    action: RegisteredAction
    argv: tuple[str, ...]
    shown_argv: tuple[str, ...]
    parameters: Mapping[str, object]
    environment: Mapping[str, str]
    descriptors: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    seen: str = ""


def decide(
    governed: Governed,
    request: RunRequest,
    *,
    see: Callable[[str], SeenAction | None] = see_action,
) -> Decision | Verdict:
    """Decide about ``request``; a :class:`Verdict` is a refusal.

    ``see`` brings the action. Raises ``StoreUnavailable``.
    """
    command = request.command
    verdict = decide_action(governed.principal, command)
    if not verdict.approved:
        return verdict
    seen = see(command)
    if seen is None:
        return refuse(ReasonCode.G8_UNKNOWN_ACTION, message=f"There is no action {command}.")
    action = seen.action
    if not action.enabled:
        return refuse(ReasonCode.G9_ACTION_DISABLED, message=f"{command} is disabled.")
    try:
        found = arguments_of(action, request.parameters)
    except InvalidParameter as error:
        return refuse(ReasonCode.G11_INVALID_PAYLOAD, message=caller_text(str(error), RULE_LIMIT))
    return Decision(
        action=action,
        argv=found.argv,
        shown_argv=found.argv,  # a secret cannot stand in an argument
        parameters=found.values,
        environment={**action.environment, **found.variables},
        descriptors=found.descriptors,
        secrets=found.secrets,
        seen=seen.state,
    )


def arguments_of(action: RegisteredAction, given: Mapping[str, object]) -> Arguments:
    """Check a caller's values against what an action declares.

    Raises ``parameters.InvalidParameter``.
    """
    if not action.parameters and not given:
        return Arguments(action.argv)
    return _ready(action).resolve(given)


#: The declarations of each action's newest version that was asked for, ready to check values.
_prepared: dict[str, tuple[RegisteredAction, Parameters]] = {}


def _ready(action: RegisteredAction) -> Parameters:
    known = _prepared.get(action.name)
    if known is not None:
        of, parameters = known
        if (of.version, of.argv, of.parameters) == (
            action.version,
            action.argv,
            action.parameters,
        ):
            return parameters
    parameters = Parameters(action.argv, action.parameters)
    _prepared[action.name] = (action, parameters)
    return parameters
