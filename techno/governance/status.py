"""The five words with which every answer begins."""

from enum import StrEnum


class Status(StrEnum):
    """What became of a request. Whatever is not known for certain is ``BLOCKED``."""

    APPROVED = "APPROVED"
    BLOCKED = "BLOCKED"
    EXPIRED = "EXPIRED"
    WARNING = "WARNING"
    NEUTRAL = "NEUTRAL"

    @classmethod
    def of(cls, text: object) -> "Status":
        """Return the status that ``text`` names; anything else is ``BLOCKED``."""
        try:
            return cls(str(text))
        except ValueError:
            return cls.BLOCKED

    @property
    def result(self) -> str:
        """The console's two-valued reading of a status: ``SUCCESS`` or ``FAILED``."""
        return "FAILED" if self in _FAILED else "SUCCESS"


_FAILED = frozenset({Status.BLOCKED, Status.EXPIRED})

#: How bad a status is, worst last. A row that carries several codes shows the worst of them.
SEVERITY: dict[Status, int] = {
    Status.APPROVED: 0,
    Status.NEUTRAL: 1,
    Status.WARNING: 2,
    Status.EXPIRED: 3,
    Status.BLOCKED: 4,
}
