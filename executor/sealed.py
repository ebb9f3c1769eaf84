"""A resolved run on its way to whoever starts it, secrets included.

The process that is asked and the process that runs may be on different hosts with PostgreSQL
between them. So what was decided travels in the run's own row, sealed and bound to the run's
identity; it is erased when the run ends.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from executor.decision import Decision
from executor.registry import RegisteredAction
from executor.sealing import Unsealable, seal, unseal


def seal_decision(decision: Decision, execution_id: str) -> str:
    """Return ``decision`` as a text that only this installation can read, for one run only."""
    fields = dataclasses.asdict(decision)
    del fields["seen"]  # whoever starts it looks again
    return seal({"run": execution_id, "decision": fields})


def unseal_decision(text: str, execution_id: str) -> Decision:
    """Return what was sealed for this run. Raises ``Unsealable``."""
    value = unseal(text)
    if value.get("run") != execution_id:
        raise Unsealable("the values were sealed for another run")
    try:
        return _decision(value["decision"])
    except (AttributeError, KeyError, TypeError) as error:
        raise Unsealable(f"the values are of another release: {error}") from error


def _decision(fields: dict[str, Any]) -> Decision:
    """Build the value anew; a field that this release does not know is a ``TypeError``."""
    action = {**fields.pop("action")}
    action["argv"] = tuple(action["argv"])
    for name in ("argv", "shown_argv", "secrets"):
        fields[name] = tuple(fields[name])
    return Decision(action=RegisteredAction(**action), **fields)
