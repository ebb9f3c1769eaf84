"""The API's own description: valid, complete, and true of what the service answers."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.contract.promises import Promises, document
from tests.service import Service

PATHS = {
    "/api/execute": "post",
    "/process": "post",
    "/api/audit": "get",
    "/audit/fetch": "get",
    "/api/memory": "get",
    "/api/diagnostic/metrics": "get",
    "/api/runs": "get",
    "/api/runs/{execution_id}": "get",
    "/api/runs/{execution_id}/output": "get",
    "/api/runs/{execution_id}/cancel": "post",
}
ALIASES = {"/process", "/audit/fetch"}
FUZZED = 40


@pytest.fixture
def description(service: Service) -> dict[str, Any]:
    found: dict[str, Any] = document(service).raw_schema
    return found


def test_the_description_is_valid(service: Service) -> None:
    document(service).validate()


@pytest.mark.slow
def test_the_description_is_made_without_a_warning(service: Service) -> None:
    pepper = {"TECHNO_KEY_PEPPER": "0" * 64}  # on a server of one's own there is none by itself
    done = service.manage_with(pepper, "spectacular", "--validate", "--fail-on-warn")
    assert (done.returncode, done.stderr) == (0, "")


def test_every_endpoint_is_described_with_its_refusals(description: dict[str, Any]) -> None:
    for path, method in PATHS.items():
        operation = description["paths"][path][method]
        assert set(operation["responses"]) >= {"200", "401", "403", "405", "429", "500", "503"}
        assert operation.get("deprecated", False) == (path in ALIASES)
        assert operation["security"] == [{"ApiKey": []}]
        assert operation["summary"]
    scheme = description["components"]["securitySchemes"]["ApiKey"]
    assert scheme == {"type": "apiKey", "in": "header", "name": "X-API-Key"}
    assert set(description["paths"]["/api/execute"]["post"]["responses"]) >= {"202", "409", "413"}


def test_the_pages_of_the_description_leave_rows_and_work_offline(
    promises: Promises, service: Service
) -> None:
    with service.client(key="") as client:
        for path in ("/api/schema/", "/api/schema/swagger/", "/api/schema/redoc/"):
            answer = client.get(path)
            assert answer.status_code == 200
            assert answer.headers["Cache-Control"] == "no-store"
            row = promises.row(answer.headers["X-Trace-Id"])
            assert (row["status"], row["codes"]) == ("APPROVED", [])
            assert "https://cdn" not in answer.text
            assert "unpkg" not in answer.text


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS)
def test_requests_made_from_the_description_are_answered_as_described(
    service: Service, promises: Promises, path: str
) -> None:
    """Requests that fit the description and such that do not; never a 500, always an envelope."""
    operation = document(service)[path][PATHS[path].upper()]
    with service.client() as client:

        @settings(
            max_examples=FUZZED,
            deadline=None,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(data=st.data())
        def answered(data: st.DataObject) -> None:
            mode = data.draw(st.sampled_from(list(schemathesis.GenerationMode)))
            case = data.draw(operation.as_strategy(generation_mode=mode))
            sent = case.as_transport_kwargs(base_url=service.url, headers=dict(client.headers))
            answer = client.request(
                **{
                    name: sent[name]
                    for name in ("method", "url", "headers", "params")
                    if name in sent
                },
                **(
                    {"content": json.dumps(sent["json"]).encode()}
                    if sent.get("json") is not None
                    else {"content": sent["data"]}
                    if isinstance(sent.get("data"), (bytes, str))
                    else {}
                ),
            )
            assert answer.status_code in (200, 400, 401, 404, 405, 413, 415), answer.text
            promises.envelope(answer)

        answered()


@pytest.mark.slow
@pytest.mark.produces("E10_not_sealed")
def test_a_row_is_not_proven_before_it_is_sealed(
    promises: Promises, service: Service, client: httpx.Client
) -> None:
    """Whoever seals takes the tree's one row; here we hold it."""
    with service.connect() as connection, connection.transaction():
        connection.execute("SELECT FROM audit_tree WHERE id = 1 FOR UPDATE")
        trace_id = client.get("/api/memory").json()["trace_id"]
        answer = client.get(f"/api/audit/{trace_id}/proof")
        promises.held(answer, 202, "NEUTRAL", ["E10_not_sealed"])
