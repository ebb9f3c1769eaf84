"""A row that is recorded but not under a signed checkpoint: the answer says so, and when to ask."""

from __future__ import annotations

import pytest

from tests.audit.log import run_action, wait_until_sealed
from tests.contract.promises import Promises
from tests.service import Services

pytestmark = pytest.mark.slow


@pytest.mark.produces("E10_not_sealed")
def test_a_proof_waits_for_a_signature(start_service: Services) -> None:
    with start_service(embedded=True) as service, service.client() as client:
        wait_until_sealed(service, run_action(client)["trace_id"])
        service.manage("audit", "checkpoint")
        (service.var_dir / "audit" / "last_checkpoint").unlink()  # nothing is signed from here on

        trace_id = run_action(client)["trace_id"]
        answer = client.get(f"/api/audit/{trace_id}/proof")

        Promises(service).held(answer, 202, "NEUTRAL", ["E10_not_sealed"])
