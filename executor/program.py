"""The one place that starts programs: what was decided, confined, run to its end, masked."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from django.conf import settings

from executor import engine
from executor.accounts import Account
from executor.confinement import CannotConfine, Confined, account_of, complaint_in, confine
from executor.decision import Decision
from executor.isolation import NOTHING, checked_isolation
from executor.masking import MaskedOutput, mask_text
from executor.output import OnOutput
from executor.program_files import complaint_about
from executor.run_directory import private_directory
from executor.watching import Watch

#: How the tools in front of a program end when they could not start it.
_TOOL_FAILED = (1, 126, 127)


def perform(
    decision: Decision,
    execution_id: str,
    watch: Watch,
    *,
    deadline: float | None = None,
    on_output: OnOutput | None = None,
) -> engine.Result:
    """Run what was decided, in this process, to its end. The intent stands already.

    For web processes and workers alike. Neither the result nor ``on_output`` shows a secret.
    """
    secrets = decision.secrets
    shown = MaskedOutput(secrets, on_output) if on_output is not None else None
    try:
        with ExitStack() as stack:
            # Making a group takes a while: only those that nobody waits for have one.
            grouped = on_output is not None
            command, tools = _prepare(stack, decision, execution_id, grouped=grouped)
            result = engine.run(
                command,
                deadline=deadline,
                cancelled=watch.cancelled,
                on_output=on_output if shown is None else shown.take,
            )
    except CannotConfine as error:
        return engine.unstarted(str(error))
    if shown is not None:
        shown.finish(cut_short=result.truncated)
    if tools:
        result = _told_by_tools(result, tools)
    return _masked(result, secrets)


def _prepare(
    stack: ExitStack, decision: Decision, execution_id: str, *, grouped: bool
) -> tuple[engine.Command, tuple[str, ...]]:
    """Return what the engine is to run, and which tools stand in front of it.

    What is made for the run goes with ``stack``. Raises ``CannotConfine``.
    """
    action = decision.action
    isolation = checked_isolation(action.isolation) if action.isolation else NOTHING
    if settings.STRICT_PROGRAMS:
        complaint = complaint_about(decision.argv[0])
        if complaint:
            raise CannotConfine(f"{complaint}; TECHNO_STRICT_PROGRAMS forbids that")
    confined = Confined(decision.argv, account_of(isolation))
    directory = action.working_directory
    if not directory:
        directory = _own_directory(stack, execution_id, confined.account)
    if isolation is not NOTHING:
        confined = confine(
            decision.argv,
            isolation,
            confined.account,
            directory,
            writable=not action.working_directory,
            hidden=(str(settings.VAR_DIR),),
        )
    command = engine.Command(
        argv=confined.argv,
        timeout_s=action.timeout_s,
        output_limit_bytes=action.output_limit_bytes,
        env={**confined.environment, **decision.environment},
        cwd=directory,
        marker=execution_id,
        descriptors={int(number): text.encode() for number, text in decision.descriptors.items()},
        umask=isolation.umask,
        grouped=grouped,
    )
    return command, confined.tools


def _own_directory(stack: ExitStack, execution_id: str, account: Account) -> str:
    owner = (account.uid, account.gid) if account.is_changed else None
    try:
        return stack.enter_context(private_directory(execution_id, owner))
    except OSError as error:
        raise CannotConfine(f"its private directory cannot be made: {error.strerror}") from error


def _told_by_tools(result: engine.Result, tools: tuple[str, ...]) -> engine.Result:
    """Tell a program that did not start from one that ended badly."""
    if result.outcome is not engine.Outcome.EXITED or result.exit_code not in _TOOL_FAILED:
        return result
    complaint = "" if result.stdout else complaint_in(result.stderr, tools)
    if not complaint:
        return result
    outcome = engine.Outcome.SPAWN_FAILED
    return replace(result, outcome=outcome, exit_code=None, stderr="", detail=complaint)


def _masked(result: engine.Result, secrets: tuple[str, ...]) -> engine.Result:
    """Return a result whose texts show no secret, and no part of one that a limit cut."""
    if not (result.stdout or result.stderr or result.detail):
        return result
    shown: dict[str, Any] = {
        "stdout": mask_text(result.stdout, secrets, cut_short=result.truncated),
        "stderr": mask_text(result.stderr, secrets, cut_short=result.truncated),
        "detail": mask_text(result.detail, secrets),
    }
    if all(getattr(result, name) is text for name, text in shown.items()):
        return result  # as usual
    return replace(result, **shown)
