"""``manage.py audit journal``: reads what waits, without a database, and finds damage."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from audit.journal import Journal
from tests import databases, isolation

pytestmark = pytest.mark.slow

RECORD = {
    "format": 1,
    "writes": [
        {
            "statement": "audit.trace",
            "row": {"trace_id": "0199", "action": "memory.read\x1b[31m", "status": "APPROVED"},
        }
    ],
}


def read(var_dir: Path, *arguments: str) -> tuple[int, str]:
    environment = isolation.service_environment(var_dir)
    done = databases.manage(environment, "audit", "journal", *arguments, check=False)
    return done.returncode, done.stdout + done.stderr


def test_what_waits_what_was_put_aside_and_damage(tmp_path: Path) -> None:
    assert read(tmp_path)[0] == 0
    waiting, refused = Journal(tmp_path / "journal"), Journal(tmp_path / "journal-refused")
    waiting.append(b"of another service")
    waiting.append(orjson.dumps(RECORD))
    refused.append(orjson.dumps(RECORD))
    waiting.close()
    refused.close()

    code, said = read(tmp_path)

    assert code == 0, said
    assert "journal: 2 records wait" in said
    assert "refused: 1 records wait" in said
    assert "trace_id=0199 action=memory.read\\x1b[31m status=APPROVED" in said
    assert "no record of this service: 18 bytes" in said
    assert not (tmp_path / "postgres").exists()

    (segment,) = [path for path in (tmp_path / "journal").iterdir() if b"another" in _read(path)]
    segment.write_bytes(_read(segment).replace(b"another", b"anXther"))
    code, said = read(tmp_path)
    assert code == 1, said
    assert "damaged:" in said
    assert said.rstrip().endswith("DAMAGED")


def _read(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""
