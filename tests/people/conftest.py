"""People, and what is on record of them."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.core.cache import cache

PASSWORD = "a long phrase that nobody guesses"


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let passwords cost little; what they cost really is the hasher's to test."""
    from django.contrib.auth.hashers import Argon2PasswordHasher

    for name, value in (("time_cost", 1), ("memory_cost", 64), ("parallelism", 1)):
        monkeypatch.setattr(Argon2PasswordHasher, name, value)


@pytest.fixture(autouse=True)
def nobody_counted(request: pytest.FixtureRequest) -> None:
    """Let each test begin with no attempts counted."""
    if "database" in request.fixturenames:
        request.getfixturevalue("database")
        cache.clear()


def rows(**wanted: Any) -> list[Any]:
    """Return traces with these fields, oldest first."""
    from audit.models import AuditTrace

    return list(AuditTrace.objects.filter(**wanted).order_by("trace_id"))


def stay_within_a_minute(seconds: float = 8.0) -> None:
    """Wait for the next minute of the clock when this one ends sooner than in ``seconds``."""
    left_s = 60 - time.time() % 60
    if left_s < seconds:
        time.sleep(left_s)


def counted(row: Any) -> int:
    """Return how many refusals ``row`` stands for beside its own, as all processes counted."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT refused FROM access_refused_minutes WHERE trace_id = %s", [row.trace_id]
        )
        found: int = cursor.fetchone()[0]
    return found
