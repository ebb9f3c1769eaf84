"""What makes up an action's definition: what a version of it keeps, and how two are compared."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from executor.models import Action
from executor.program_files import find_program

#: Everything that decides what a run of an action does. Whether it is enabled is no part of it.
FIELDS = (
    "description",
    "argv",
    "timeout_s",
    "output_limit_bytes",
    "environment",
    "working_directory",
    "parameters",
    "isolation",
    "max_running",
    "max_queued",
    "when_full",
    "is_async",
    "queue",
    "approvals_needed",
    "approver_groups",
    "approval_ttl_s",
    "reason_pattern",
)


def definition_of(action: Action) -> dict[str, Any]:
    """Return the definition as it is kept: JSON, each value of its one type."""
    found = {name: getattr(action, name) for name in FIELDS}
    return {**found, "timeout_s": float(action.timeout_s)}


def digest_of(definition: dict[str, Any]) -> str:
    """Return what two definitions share exactly when they are equal."""
    text = json.dumps(definition, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def with_program_found(argv: Any) -> Any:
    """Return ``argv`` with a program that has no path looked up, once and for all.

    What is no list, or names what is not there, stays as it is: the rules tell what is wrong.
    """
    if not isinstance(argv, list) or not argv or not isinstance(argv[0], str):
        return argv
    found = find_program(argv[0])
    return argv if found is None else [found, *argv[1:]]
