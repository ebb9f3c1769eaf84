"""What Prometheus counts. Labels are closed vocabularies: no caller can invent a series."""

from __future__ import annotations

from functools import cache

from prometheus_client import Counter, Histogram

from techno.governance.verdict import Verdict

_SHORT_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_LONG_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 60.0, 600.0)

REQUESTS = Counter(
    "techno_requests_total", "Governed requests answered.", ["endpoint", "status", "http_status"]
)
REASON_CODES = Counter("techno_reason_codes_total", "Reason codes in answers.", ["code"])
RUN_SECONDS = Histogram(
    "techno_run_duration_seconds", "How long commands ran.", ["status"], buckets=_LONG_S
)
AUDIT_WRITE_SECONDS = Histogram(
    "techno_audit_write_seconds", "How long an audit row took to be durable.", buckets=_SHORT_S
)
AUDIT_FAILURES = Counter(
    "techno_audit_write_failures_total", "Requests whose audit row could not be made durable."
)

SIGN_INS_REFUSED = Counter(
    "techno_sign_ins_refused_total", "People who were not let in, by what was wrong.", ["wrong"]
)


@cache
def _requests(endpoint: str, status: str, http_status: int) -> Counter:
    return REQUESTS.labels(endpoint, status, str(http_status))


@cache
def _reason_code(code: str) -> Counter:
    return REASON_CODES.labels(code)


@cache
def _run_seconds(status: str) -> Histogram:
    return RUN_SECONDS.labels(status)


def answered(endpoint: str, verdict: Verdict, http_status: int) -> None:
    """Count one answer. ``endpoint`` is the route's name, not the caller's path."""
    _requests(endpoint, verdict.status.value, http_status).inc()
    for code in verdict.reason_codes:
        _reason_code(code.value.code).inc()


def audit_write_observed(seconds: float) -> None:
    """Note how long one audit write took."""
    AUDIT_WRITE_SECONDS.observe(seconds)


def sign_in_refused(wrong: str) -> None:
    """Count a sign-in that was refused; ``wrong`` is one of a few texts of ours."""
    SIGN_INS_REFUSED.labels(wrong).inc()


def run_ended(status: str, seconds: float) -> None:
    """Note how long one command ran. ``status`` is the run's verdict."""
    _run_seconds(status).observe(seconds)
