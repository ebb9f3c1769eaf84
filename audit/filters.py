"""The query of the audit endpoint, checked by django-filter and made a typed value."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import django_filters
from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict

from audit.models import AuditTrace
from audit.reader import LIMIT_DEFAULT, LIMIT_MOST, AuditQuery, BadCursor, decode_cursor
from audit.tail import WAIT_MOST_S, decode_tail, is_tail_cursor
from techno.governance.reason_codes import ReasonCode
from techno.governance.status import Status

PENDING = "PENDING"
ALL = "all"
TEXT_LIMIT = 256
_STATUSES = {status.value: status.value for status in Status} | {PENDING: Status.NEUTRAL.value}
_CODES = frozenset(code.code for code in ReasonCode)


class BadQuery(ValueError):
    """A query value breaks a rule; ``field`` names it and the text says which."""

    def __init__(self, field: str, rule: str) -> None:
        super().__init__(f"{field}: {rule}")
        self.field = field


def _check_filter(value: str) -> None:
    if value not in (ALL, *_STATUSES) and value not in _CODES:
        words = ", ".join((ALL, *_STATUSES))
        raise ValidationError(f"must be one of {words}, or a reason code.")


def _check_cursor(value: str) -> None:
    try:
        decode_tail(value) if is_tail_cursor(value) else decode_cursor(value)
    except BadCursor as error:
        raise ValidationError("must be one that this service returned.") from error


class _Text(django_filters.CharFilter):
    """An exact text of bounded length."""

    def __init__(self, help_text: str, **kwargs: Any) -> None:
        super().__init__(max_length=TEXT_LIMIT, help_text=help_text, **kwargs)


class _WholeNumberField(forms.IntegerField):
    """Digits 0 to 9 and nothing else: Python's ``int`` takes more for a number than a URL may."""

    def to_python(self, value: Any) -> int | None:
        """Return the number. Raises ``ValidationError``."""
        if value not in self.empty_values and re.fullmatch(r"-?[0-9]{1,9}", str(value)) is None:
            raise ValidationError("must be a whole number.")
        return super().to_python(value)


class _Limit(django_filters.NumberFilter):
    """A whole number: ``2.5`` and ``many`` are refused, not rounded."""

    field_class = _WholeNumberField


class AuditFilter(django_filters.FilterSet):
    """The contract's query parameters. It checks; ``audit.reader`` does the reading."""

    filter = _Text(
        "all (default), a status, PENDING (= NEUTRAL) or a reason code.",
        validators=[_check_filter],
        strip=False,
    )
    limit = _Limit(
        min_value=1, max_value=LIMIT_MOST, help_text=f"1 to {LIMIT_MOST}, default {LIMIT_DEFAULT}."
    )
    cursor = django_filters.CharFilter(
        max_length=TEXT_LIMIT,
        validators=[_check_cursor],
        help_text="The `next` or `previous` of a page.",
    )
    reason_code = _Text("Rows that hold this reason code, or any of several with commas.")
    codes = django_filters.ChoiceFilter(
        choices=[("any", "any"), ("all", "all")],
        help_text="Whether any (default) or all of the reason codes must be there.",
    )
    action = _Text("Rows of this action.")
    session_id = _Text("Rows of this session.", strip=False)
    user_ip = _Text("Rows of this client address.")
    trace_id = django_filters.UUIDFilter(help_text="The row with this trace id.")
    key = _Text("Rows of the key with this public prefix.")
    wait = _Limit(
        min_value=0,
        max_value=WAIT_MOST_S,
        help_text="Follow the log: wait up to so many seconds for rows after the cursor.",
    )
    since = django_filters.IsoDateTimeFilter(help_text="From this ISO 8601 time on.")
    until = django_filters.IsoDateTimeFilter(help_text="Before this ISO 8601 time.")

    class Meta:
        model = AuditTrace
        fields: tuple[str, ...] = ()


@lru_cache(maxsize=512)
def parse_query(query_string: str) -> AuditQuery:
    """Return what a query string asks for. Raises :class:`BadQuery`.

    The console asks the same few questions over and over; each is checked once.
    """
    given = QueryDict(query_string)
    for name, values in given.lists():
        if name in AuditFilter.base_filters and len(values) > 1:
            raise BadQuery(name, "may be given once.")
        if name in AuditFilter.base_filters and any("\0" in value for value in values):
            raise BadQuery(name, "must not hold a NUL character.")
    form = AuditFilter(given, queryset=AuditTrace.objects.none()).form
    if not form.is_valid():
        field, complaints = next(iter(form.errors.items()))
        raise BadQuery(str(field), str(complaints[0]))
    return _typed(form.cleaned_data)


def _typed(values: dict[str, Any]) -> AuditQuery:
    if values["cursor"] and is_tail_cursor(values["cursor"]) and values["wait"] is None:
        raise BadQuery("wait", "must be given with the cursor of a followed page (0 is allowed).")
    if values["cursor"] and values["wait"] is not None and not is_tail_cursor(values["cursor"]):
        raise BadQuery("cursor", "must be one of a followed page when wait is given.")
    chosen = values["filter"] or ALL
    status = _STATUSES.get(chosen, "")
    code = values["reason_code"] or ""
    if chosen in _CODES:
        if code and code != chosen:
            raise BadQuery("filter", "and reason_code name two different codes.")
        code = chosen
    return AuditQuery(
        limit=LIMIT_DEFAULT if values["limit"] is None else int(values["limit"]),
        cursor=values["cursor"] or "",
        status=status,
        reason_code=code,
        all_codes=values["codes"] == "all",
        action=values["action"] or "",
        session_id=values["session_id"] or "",
        user_ip=values["user_ip"] or "",
        trace_id=str(values["trace_id"] or ""),
        key=values["key"] or "",
        since=values["since"],
        until=values["until"],
        wait_s=None if values["wait"] is None else int(values["wait"]),
    )
