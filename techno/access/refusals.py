"""Refusals of strangers cannot fill the disk, nor keep the database busy.

An address (of IPv6, a /64) that was refused ``REFUSALS_A_MINUTE_MOST`` times within a minute
without a good key is refused for the next minute unread: no key is looked up, and no row is
written for each. One row is, before the first of these answers leaves, and stands for all of this
minute, of all processes and hosts: their answers carry its trace id (``refused_minutes``). How many
they were is told by a row that follows.

Callers with a familiar key are let through (``authenticate.is_familiar``): who shares an address
with a stranger must not suffer for it. The limit is one of all processes and hosts, by the
buckets of ``tokens``; when PostgreSQL is away each process counts for itself, and has a row of its
own in the journal. Memory is bounded: the addresses that were refused longest ago are forgotten
first.
"""

from __future__ import annotations

import atexit
import ipaddress
import threading
import time
from dataclasses import dataclass, field
from functools import lru_cache

import structlog
from django.conf import settings

from audit.recorder import AuditUnavailable
from techno.access.authenticate import is_familiar
from techno.access.refused_minutes import ACTION, MINUTE_S, add, open_minute
from techno.access.tokens import Taken, bucket
from techno.database.errors import StoreError
from techno.gate import Governed, begin, conclude
from techno.governance.reason_codes import ReasonCode
from techno.governance.restrictions import Rate
from techno.governance.trace import Trace, iso_ms
from techno.governance.verdict import Verdict, refuse

log = structlog.get_logger(__name__)
BLOCK_S = 60.0
ADDRESSES_MOST = 10_000
CLOSE_EVERY_S = 5.0
IPV6_PREFIX = 64


@dataclass(slots=True)
class _Address:
    """An address that is refused unread, and the row that stands for its present minute.

    ``refused`` answers of this process are not told yet. The row is of all processes if it
    ``is_shared``, else of this one.
    """

    subject: str
    until_s: float = float("-inf")
    minute: int = -1
    row: Trace | None = None
    is_shared: bool = False
    refused: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


_addresses: dict[str, _Address] = {}
_making = threading.Lock()


@lru_cache(maxsize=4096)
def subject_of(address: str) -> str:
    """Return what is limited together with ``address``: itself, or its /64 of IPv6."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if parsed.version == 4:
        return str(parsed)
    return str(ipaddress.ip_network((parsed, IPV6_PREFIX), strict=False))


def stop(governed: Governed, text: str) -> Verdict | None:
    """Return the refusal of a caller who is not even read, ``None`` for who may come in.

    Its row is durable then, and ``governed.trace`` is that row's. ``text`` is the key that was
    sent. Raises ``AuditUnavailable``.
    """
    most = settings.ADDRESS_REQUESTS_MOST
    if most:
        subject = subject_of(governed.trace.client_address)
        taken = bucket(f"address:{subject}", Rate(most, settings.ADDRESS_WINDOW_S)).take()
        if not taken.allowed:
            return _refuse(_address(subject), governed, taken)
    if not _addresses:
        return None
    found = _addresses.get(subject_of(governed.trace.client_address))
    if found is None or time.monotonic() >= found.until_s or is_familiar(text):
        return None
    return _refuse(found, governed)


def refused_too_often(governed: Governed, text: str) -> Verdict | None:
    """Count a stranger's refusal; return what takes its place when it was one too many.

    Then its row is durable, as with :func:`stop`. Raises ``AuditUnavailable``.
    """
    if is_familiar(text):
        return None
    subject = subject_of(governed.trace.client_address)
    rate = Rate(settings.REFUSALS_A_MINUTE_MOST, MINUTE_S)
    if bucket(f"refused:{subject}", rate).take().allowed:
        return None
    found = _address(subject)
    found.until_s = time.monotonic() + BLOCK_S
    return _refuse(found, governed)


def _address(subject: str) -> _Address:
    found = _addresses.get(subject)
    if found is None:
        with _making:
            while len(_addresses) >= ADDRESSES_MOST:
                oldest = _addresses.pop(next(iter(_addresses)))
                with oldest.lock:
                    _settle(oldest)
            found = _addresses.setdefault(subject, _Address(subject))
            _Closer.begin()
    return found


def _refuse(found: _Address, governed: Governed, taken: Taken | None = None) -> Verdict:
    """Refuse within the minute's row, writing that first where there is none yet."""
    verdict = refuse(ReasonCode.G13_RATE_LIMITED, message="This address asks too often.")
    wait_s = taken.retry_after_s if taken else found.until_s - time.monotonic()
    governed.headers["Retry-After"] = str(max(1, round(wait_s)))
    minute = governed.trace.arrived_ms // (MINUTE_S * 1000)
    with found.lock:
        if found.row is None or found.minute != minute:
            _settle(found)
            own = governed.trace
            governed.action, governed.detail = ACTION, {"together": found.subject}
            found.is_shared = open_minute(governed, verdict, found.subject, minute)
            found.minute, found.row = minute, governed.trace
            found.refused = int(governed.trace is not own)
        else:
            found.refused += 1
            governed.trace = found.row
    return verdict


def _settle(found: _Address) -> None:
    """Say what this process counted and has not said; a row of our own is told by another."""
    if found.row is None or not found.refused:
        return
    refused, found.refused = found.refused, 0
    if found.is_shared:
        try:
            found.refused = 0 if add(found.subject, found.minute, refused) else refused
        except StoreError as error:
            found.refused = refused
            log.warning("a count of refusals waits", address=found.subject, cause=str(error))
        return
    governed = begin(client_address=found.row.client_address)
    governed.action = ACTION
    governed.detail = {
        "together": found.subject,
        "earlier_row": found.row.trace_id,
        "earlier_minute": iso_ms(found.minute * MINUTE_S * 1000),
        "earlier_refused": refused,
    }
    try:
        conclude(governed, refuse(ReasonCode.G13_RATE_LIMITED))
    except AuditUnavailable as error:
        found.refused = refused
        log.error("a count of refusals could not be recorded", refused=refused,
                  address=found.subject, cause=str(error))  # fmt: skip


def close_minutes(*, all_of_them: bool = False) -> None:
    """Say what was counted, of minutes that are over and of shared ones; forget who kept quiet."""
    minute = int(time.time()) // MINUTE_S
    for subject, found in list(_addresses.items()):
        with found.lock:
            if all_of_them or found.minute < minute or found.is_shared:
                _settle(found)
            if found.minute < minute and not found.refused:
                found.row = None
            if found.until_s <= time.monotonic() and found.row is None:
                _addresses.pop(subject, None)


class _Closer:
    """The thread that closes minutes, begun with the first address that is refused."""

    _running: threading.Thread | None = None

    @classmethod
    def begin(cls) -> None:
        if cls._running is not None and cls._running.is_alive():
            return
        cls._running = threading.Thread(target=cls._run, name="refusals", daemon=True)
        cls._running.start()
        atexit.register(close_minutes, all_of_them=True)

    @staticmethod
    def _run() -> None:
        while True:
            time.sleep(CLOSE_EVERY_S)
            close_minutes()
