"""Others follow the log: a directory, an https endpoint, and a witness of independent making."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path

import pymerkle
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from audit.checkpoint import Checkpoint
from audit.note import Note, VerifierKey
from audit.tiles import Tile, decode_entries
from tests.audit.log import run_action, verify, wait_until_sealed
from tests.audit.witness import Endpoint, Witness
from tests.service import Service, Services

pytestmark = pytest.mark.slow

ORIGIN = "log.example/audit"
WITHIN_S = 90.0


def certificate(directory: Path) -> tuple[Path, Path]:
    """Make a certificate for 127.0.0.1 and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    cert, private = directory / "cert.pem", directory / "key.pem"
    cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return cert, private


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """An https server with a witness and a place for checkpoints."""
    directory = tmp_path_factory.mktemp("witness")
    made = Endpoint(Witness(directory / "state.json"), certificate(directory))
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def log(start_service: Services, endpoint: Endpoint) -> Iterator[Service]:
    """A service that hands its checkpoints to everybody."""
    url = f"https://127.0.0.1:{endpoint.port}"
    directory = endpoint.witness._state.parent
    with start_service(
        TECHNO_AUDIT_ORIGIN=ORIGIN,
        TECHNO_CHECKPOINT_EVERY_S="1",
        TECHNO_AUDIT_PUBLISH_DIR=str(directory / "tiles"),
        TECHNO_AUDIT_PUBLISH_URLS=f"{url}/checkpoint",
        TECHNO_AUDIT_WITNESSES=f"{url}/witness",
        TECHNO_AUDIT_WITNESS_KEYS=endpoint.witness.vkey,
        SSL_CERT_FILE=str(directory / "cert.pem"),
    ) as service:
        wait(lambda: (service.var_dir / "audit" / "last_checkpoint").exists())
        endpoint.witness.logs[ORIGIN] = log_key(service).vkey
        yield service


def log_key(service: Service) -> VerifierKey:
    return VerifierKey.parse(service.sql("SELECT vkey FROM audit_signing_keys")[0][0])


def wait(for_what: Callable[[], bool]) -> None:
    """Wait until something holds; every task of the keeper comes round within seconds."""
    ends_at = time.monotonic() + WITHIN_S
    while not for_what():
        assert time.monotonic() < ends_at, "it did not come"
        time.sleep(0.2)


def grow(service: Service) -> int:
    """Add a row and return how many rows are sealed then."""
    with service.client() as client:
        return wait_until_sealed(service, run_action(client)["trace_id"]) + 1


def cosigned(service: Service) -> int:
    found = service.sql("SELECT coalesce(max(checkpoint_size), 0) FROM audit_cosignatures")
    return int(found[0][0])


def published(service: Service, endpoint: Endpoint) -> Note:
    return Note.parse((endpoint.witness._state.parent / "tiles" / "checkpoint").read_bytes())


def test_a_witness_cosigns_what_grows(log: Service, endpoint: Endpoint) -> None:
    size = grow(log)
    wait(lambda: cosigned(log) >= size)
    first = cosigned(log)
    wanted = grow(log)
    wait(lambda: cosigned(log) >= wanted)

    assert endpoint.witness.knows()["size"] >= first
    lines = log.sql(
        "SELECT c.note, s.line FROM audit_cosignatures s JOIN LATERAL (SELECT note FROM "
        "audit_checkpoints k WHERE k.size = s.checkpoint_size ORDER BY id DESC LIMIT 1) c ON true"
    )
    assert len(lines) >= 2
    key = VerifierKey.parse(endpoint.witness.vkey)
    for note, line in lines:
        verified = Note.parse(f"{note}{line}".encode()).verify([key, log_key(log)])
        assert {signature.key.name for signature in verified} == {key.name, ORIGIN}


def test_a_witness_that_lost_its_memory_is_asked_again_from_there(
    log: Service, endpoint: Endpoint
) -> None:
    size = grow(log)
    wait(lambda: cosigned(log) >= size)
    endpoint.witness.forget()
    endpoint.witness.answers.clear()
    size = grow(log)

    wait(lambda: cosigned(log) >= size)

    assert 409 in endpoint.witness.answers
    assert endpoint.witness.knows()["size"] >= size


def test_a_witness_that_knows_another_history_is_not_believed(
    log: Service, endpoint: Endpoint
) -> None:
    size = grow(log)
    wait(lambda: cosigned(log) >= size)
    state, truth = endpoint.witness._state, endpoint.witness.knows()
    endpoint.witness.answers.clear()
    for known in ({"size": 3, "root": "00" * 32}, {"size": 10**9, "root": "00" * 32}):
        state.write_text(json.dumps(known))
        before, heard = cosigned(log), len(endpoint.witness.answers)
        grow(log)
        wait(lambda heard=heard: len(endpoint.witness.answers) > heard + 1)  # type: ignore[misc]
        assert cosigned(log) == before
    assert {409, 422} <= set(endpoint.witness.answers)
    assert "knows another history than ours" in log.full_output
    state.write_text(json.dumps(truth))
    size = grow(log)
    wait(lambda: cosigned(log) >= size)


@pytest.mark.parametrize("mode", ["forging", "broken"])
def test_a_bad_witness_spoils_nothing_else(log: Service, endpoint: Endpoint, mode: str) -> None:
    before = cosigned(log)
    endpoint.witness.mode, heard = mode, len(endpoint.witness.answers)
    try:
        size = grow(log)
        wait(lambda: len(endpoint.witness.answers) > heard)
        wait(lambda: Checkpoint.parse(published(log, endpoint).text).size >= size)
        assert cosigned(log) == before
    finally:
        endpoint.witness.mode = ""
        endpoint.witness.forget()
    size = grow(log)
    wait(lambda: cosigned(log) >= size)


def test_the_endpoint_gets_every_checkpoint_again_until_it_took_it(
    log: Service, endpoint: Endpoint
) -> None:
    endpoint.failing = True
    size = grow(log)
    wait(lambda: "answered 503" in log.full_output)
    endpoint.failing = False

    def came() -> bool:
        notes = [Note.parse(text.encode()) for text in list(endpoint.checkpoints)]
        return any(Checkpoint.parse(note.text).size >= size for note in notes)

    wait(came)
    Note.parse(endpoint.checkpoints[-1].encode()).verify([log_key(log)])


def test_witness_and_service_go_on_after_a_restart(log: Service, endpoint: Endpoint) -> None:
    endpoint.stop()
    grow(log)
    wait(lambda: "cannot be reached" in log.full_output)
    log.stop()
    endpoint.start()
    log.start()

    size = grow(log)
    wait(lambda: cosigned(log) >= size)

    code, said = verify(log)
    assert code == 0, said


def test_a_mirror_rebuilds_the_signed_root_from_the_directory_alone(
    log: Service, endpoint: Endpoint
) -> None:
    size = grow(log)
    wait(lambda: Checkpoint.parse(published(log, endpoint).text).size >= size)
    directory = endpoint.witness._state.parent / "tiles"
    note = published(log, endpoint)
    note.verify([log_key(log)])
    checkpoint = Checkpoint.parse(note.text)

    tree = pymerkle.InmemoryTree(algorithm="sha256")
    for first in range(0, checkpoint.size, 256):
        width = min(256, checkpoint.size - first)
        data = (directory / Tile(None, first // 256, width).path).read_bytes()
        for leaf in decode_entries(data, width):
            tree.append_entry(leaf)
    assert tree.get_root() == checkpoint.root
    tile = (directory / Tile(0, 0, min(256, checkpoint.size)).path).read_bytes()
    first_leaf = decode_entries(
        (directory / Tile(None, 0, min(256, checkpoint.size)).path).read_bytes(),
        min(256, checkpoint.size),
    )[0]
    assert tile[:32] == sha256(b"\x00" + first_leaf).digest()


def test_a_directory_of_another_history_is_left_alone(log: Service, tmp_path: Path) -> None:
    """Tiles never change: what stands there of another log is not continued."""
    log.manage("audit", "tiles", str(tmp_path))
    good = (tmp_path / "checkpoint").read_bytes()
    text = Note.parse(good).text.splitlines()
    text[2] = "A" * 43 + "="
    (tmp_path / "checkpoint").write_bytes(good.replace(good.split(b"\n")[2], text[2].encode()))

    refused = log.manage("audit", "tiles", str(tmp_path), check=False)

    assert refused.returncode != 0
    assert "another history" in refused.stderr
    assert text[2].encode() in (tmp_path / "checkpoint").read_bytes()
