"""The log's keys are replaced with an overlap in which both sign."""

from __future__ import annotations

import pytest

from audit.note import Note, UnknownKeyError, VerifierKey
from tests.audit.log import run_action, verify, wait_until_sealed
from tests.service import Service, Services

pytestmark = pytest.mark.slow


def newest(service: Service) -> Note:
    """Seal and sign, and return the newest checkpoint as the API gives it."""
    with service.client() as client:
        wait_until_sealed(service, run_action(client)["trace_id"])
        service.manage("audit", "checkpoint")
        text = client.get("/api/audit/checkpoint", headers={"Accept": "text/plain"}).content
    return Note.parse(text)


def keys(service: Service) -> dict[str, str]:
    """Return the log's keys and what each does, as the command lists them."""
    lines = [line.split("\t") for line in service.manage("audit", "keys").stdout.splitlines()]
    return {vkey: state for state, vkey in (line for line in lines if len(line) == 2)}


def test_both_sign_and_then_only_the_new_one(start_service: Services) -> None:
    with start_service() as service:
        newest(service)
        (old,) = keys(service)
        refused = service.manage(
            "audit", "keys", "--retire", VerifierKey.parse(old).key_id.hex(), check=False
        )
        assert refused.returncode != 0
        assert "only signing key" in refused.stderr

        service.manage("audit", "keys", "--add")
        both = keys(service)
        assert both[old] == "signs"
        (new,) = set(both) - {old}
        note = newest(service)
        for vkey in (old, new):
            assert note.verify([VerifierKey.parse(vkey)])
        files = list((service.var_dir / "audit").glob("*.key"))
        assert len(files) == 2
        assert all(path.stat().st_mode & 0o077 == 0 for path in files)

        service.manage("audit", "keys", "--retire", VerifierKey.parse(old).key_id.hex())
        assert keys(service) == {old: "was", new: "signs"}
        note = newest(service)
        assert note.verify([VerifierKey.parse(new)])
        with pytest.raises(UnknownKeyError):
            note.verify([VerifierKey.parse(old)])
        assert service.sql(
            "SELECT action FROM audit_traces WHERE action LIKE 'audit.%_key' ORDER BY timestamp"
        ) == [("audit.add_key",), ("audit.retire_key",)]

        code, said = verify(service)
        assert code == 0, said
        code, said = verify(service, "--vkey", new)
        assert code == 1, "the checkpoints of the first key are believed by who believes that key"
        assert "signed by no known key" in said
        code, said = verify(service, "--vkey", old, "--vkey", new)
        assert code == 0, said
