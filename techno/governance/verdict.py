"""A decision as a frozen value: what was decided, and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from techno.governance.reason_codes import ReasonCode
from techno.governance.status import SEVERITY, Status


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate, or an act's outcome, says of one request.

    ``http_status`` is the status line of the answer. ``message`` is one plain sentence for the
    caller, empty on success; it never holds internals. Match on ``status``: a verdict has no
    truth value, so that ``if verdict:`` cannot let a refusal through.
    """

    status: Status
    reason_codes: tuple[ReasonCode, ...] = ()
    http_status: int = 200
    message: str = ""

    def __bool__(self) -> bool:
        raise TypeError("a Verdict has no truth value; compare its status")

    @property
    def approved(self) -> bool:
        """Whether the status is exactly ``APPROVED``."""
        return self.status is Status.APPROVED

    @property
    def failed(self) -> bool:
        """Whether the console shows this as a failure (``BLOCKED`` or ``EXPIRED``)."""
        return self.status in (Status.BLOCKED, Status.EXPIRED)

    @property
    def codes(self) -> list[str]:
        """The reason codes as the console and the audit row carry them."""
        return [code.value.code for code in self.reason_codes]

    def adding(self, *codes: ReasonCode) -> Verdict:
        """Return this verdict with informative codes appended; its status stays."""
        missing = tuple(code for code in dict.fromkeys(codes) if code not in self.reason_codes)
        return Verdict(self.status, self.reason_codes + missing, self.http_status, self.message)


APPROVED = Verdict(Status.APPROVED)


def refuse(*codes: ReasonCode, message: str = "", http_status: int | None = None) -> Verdict:
    """Build the verdict that ``codes`` stand for; the first one decides the HTTP status.

    The status is the worst that any code stands for, and never ``APPROVED``. Without ``message``
    the first code's meaning is the sentence. ``http_status`` overrides the registry where the
    contract gives one code two situations (an unknown endpoint is 404, an unknown command 200).
    """
    if not codes:
        raise ValueError("a refusal names at least one reason code")
    facts = [code.value for code in codes]
    statuses = [fact.status for fact in facts if fact.status is not None]
    status = max(statuses, key=SEVERITY.__getitem__, default=Status.BLOCKED)
    if http_status is None:
        http_status = next((fact.http_status for fact in facts if fact.http_status), 200)
    return Verdict(status, tuple(codes), http_status, message or facts[0].meaning)


def checked(status: object, codes: Iterable[object], http_status: int, message: str) -> Verdict:
    """Build a verdict from untrusted parts: what is not defined becomes ``BLOCKED``, ``E_unknown``.

    This is the seam for anything that did not come from our own constructors. Known codes stay,
    each unknown one is replaced by a single ``E_unknown``; an unknown status adds it as well.
    """
    known: list[ReasonCode] = []
    for text in codes:
        code = text if isinstance(text, ReasonCode) else ReasonCode.of(text)
        if code not in known:
            known.append(code)
    try:
        word = Status(str(status))
    except ValueError:
        word = Status.BLOCKED
        if ReasonCode.E_UNKNOWN not in known:
            known.append(ReasonCode.E_UNKNOWN)
    if ReasonCode.E_UNKNOWN in known:
        word = Status.BLOCKED
    return Verdict(word, tuple(known), http_status, message)
