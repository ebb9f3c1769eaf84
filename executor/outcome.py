"""What a finished process means: the contract's table from result to verdict. Pure."""

from __future__ import annotations

import signal

from executor.engine import Outcome, Result
from techno.governance.reason_codes import ReasonCode
from techno.governance.verdict import APPROVED, Verdict, refuse

_CODES = {
    Outcome.TIMED_OUT: ReasonCode.E12_TIMEOUT,
    Outcome.SPAWN_FAILED: ReasonCode.E6_SPAWN_FAILED,
    Outcome.CANCELLED: ReasonCode.E8_CANCELLED,
}


def verdict_of(result: Result) -> Verdict:
    """Return the verdict of a run that is over; an outcome nobody defined is BLOCKED."""
    if result.outcome is Outcome.EXITED:
        if result.exit_code == 0:
            verdict = APPROVED
        else:
            verdict = refuse(ReasonCode.E0_NONZERO_EXIT, message=_ending(result))
    else:
        verdict = refuse(_CODES.get(result.outcome, ReasonCode.E_UNKNOWN))
    if result.truncated:
        verdict = verdict.adding(ReasonCode.E7_OUTPUT_TRUNCATED)
    return verdict


#: Signals by which the kernel ends what went past a limit of its action.
_LIMITS: dict[int, str] = {
    signal.SIGXCPU: "it used up its CPU time",
    signal.SIGXFSZ: "it wrote more to a file than it may",
}


def _ending(result: Result) -> str:
    if result.signal is not None:
        why = _LIMITS.get(result.signal)
        told = f"The command was ended by signal {result.signal}"
        return f"{told}: {why}." if why else f"{told}."
    return f"The command ended with exit code {result.exit_code}."
