"""A stranger asks for proofs over HTTP and checks them without us."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from audit.checkpoint import ProofFile, open_checkpoint
from audit.merkle import leaf_hash, verify_consistency
from audit.note import Note, VerifierKey, decode_base64
from tests.audit.log import run_action, wait_until_sealed
from tests.service import Service

TEXT = {"Accept": "text/plain"}


@pytest.fixture(scope="module")
def client(service: Service) -> Iterator[httpx.Client]:
    with service.client() as opened:
        yield opened


def checkpoint_of(client: httpx.Client) -> dict[str, object]:
    answer = client.get("/api/audit/checkpoint")
    assert answer.status_code == 200, answer.text
    data: dict[str, object] = answer.json()["data"]
    return data


def test_a_row_is_proven_at_once(client: httpx.Client) -> None:
    """Nobody waits for the keeper: the proof is made when it is asked for."""
    trace_id = run_action(client)["trace_id"]

    data = client.get(f"/api/audit/{trace_id}/proof").json()["data"]
    text = client.get(f"/api/audit/{trace_id}/proof", headers=TEXT)

    assert text.headers["Content-Type"].startswith("text/plain")
    proof = ProofFile.parse(text.content)
    published = checkpoint_of(client)
    keys = [VerifierKey.parse(key) for key in published["keys"]]  # type: ignore[attr-defined]
    leaf = leaf_hash(data["leaf"].encode("ascii"))
    assert leaf.hex() == data["leaf_hash"]
    assert trace_id in data["leaf"]
    assert proof.verify(leaf, keys, str(published["origin"])).size > proof.index
    with pytest.raises(Exception, match=r"prove|root|path|leaf"):
        proof.verify(leaf_hash(b"another"), keys, str(published["origin"]))


def test_the_log_only_grows(client: httpx.Client, service: Service) -> None:
    old = checkpoint_of(client)
    run_action(client)
    wait_until_sealed(service, run_action(client)["trace_id"])
    client.get(f"/api/audit/{run_action(client)['trace_id']}/proof")  # signs a newer checkpoint

    answer = client.get("/api/audit/consistency", params={"from": old["size"]}).json()["data"]

    keys = [VerifierKey.parse(key) for key in old["keys"]]  # type: ignore[attr-defined]
    new, _ = open_checkpoint(answer["checkpoint"].encode(), keys, str(old["origin"]))
    assert new.size > int(str(old["size"]))
    verify_consistency(
        int(str(old["size"])),
        new.size,
        [bytes.fromhex(value) for value in answer["proof"]],
        decode_base64(str(old["root"])),
        new.root,
    )


def test_the_checkpoint_is_a_signed_note(client: httpx.Client) -> None:
    published = checkpoint_of(client)
    note = client.get("/api/audit/checkpoint", headers=TEXT)

    assert Note.parse(note.content).text.startswith(f"{published['origin']}\n")
    assert note.headers["X-Trace-Id"]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api/audit/00000000-0000-7000-8000-000000000000/proof", 404, "G8_unknown_action"),
        ("/api/audit/not-a-trace/proof", 404, "G8_unknown_action"),
        ("/api/audit/consistency", 400, "G11_invalid_payload"),
        ("/api/audit/consistency?from=-1", 400, "G11_invalid_payload"),
        ("/api/audit/consistency?from=1.5", 400, "G11_invalid_payload"),
        ("/api/audit/consistency?from=999999999999", 400, "G11_invalid_payload"),
        ("/api/audit/consistency?from=0&to=999999999999", 400, "G11_invalid_payload"),
    ],
)
def test_what_cannot_be_proven(client: httpx.Client, path: str, status: int, code: str) -> None:
    answer = client.get(path)

    assert (answer.status_code, answer.json()["reason_codes"]) == (status, [code])
    assert answer.json()["message"]


def test_proofs_need_the_scope(service: Service) -> None:
    with service.client(service.issue_key("--scope", "execute")) as client:
        for path in ("checkpoint", "consistency?from=0"):
            answer = client.get(f"/api/audit/{path}")
            assert (answer.status_code, answer.json()["reason_codes"]) == (403, ["G2_scope_denied"])
