"""A small audit log in memory, the same on every run: rows, leaves, nodes, signed checkpoints."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

from audit.bundle import BundleScope, write_bundle
from audit.canonical import LEAF_VERSION, leaf_bytes
from audit.checkpoint import Checkpoint
from audit.merkle import Coordinate, Frontier, leaf_hash, root_at
from audit.note import COSIGNATURE, Note, SigningKey, VerifierKey

ORIGIN = "example.org/portal/audit"
START = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)
STEP = timedelta(milliseconds=1_250)

FIRST_KEY = SigningKey(ORIGIN, bytes(range(32)))
SECOND_KEY = SigningKey(ORIGIN, bytes(range(32, 64)))
STRANGER_KEY = SigningKey(ORIGIN, bytes(range(64, 96)))
WITNESS_KEY = SigningKey("witness.example/w1", bytes(range(96, 128)), COSIGNATURE)

_ACTIONS = ("GET_STATUS", "DISK_USAGE", "LIST_PROCESSES", "UPTIME")
_AGENTS = ("curl/8.5.0", "Mozilla/5.0 (X11; Linux x86_64) console/2.3", 'odd "agent" \\ \t é 🦉')


def sample_row(number: int, random: Random) -> dict[str, Any]:
    """A row as the recorder writes it; `number` sets its time."""
    refused = number % 7 == 3
    moment = START + number * STEP
    milliseconds = int(moment.timestamp() * 1000)
    trace_id = UUID(int=milliseconds << 80 | 7 << 76 | 2 << 62 | random.getrandbits(62))
    return {
        "trace_id": trace_id,
        "timestamp": moment,
        "reason_codes": ["G8_unknown_action"] if refused else [],
        "session_id": f"console-{random.randrange(9)}",
        "user_ip": f"192.0.2.{random.randrange(1, 255)}",
        "salt": random.randbytes(16),
        "commitments": None,
        "companion": {
            "status": "BLOCKED" if refused else "APPROVED",
            "action": random.choice(_ACTIONS),
            "method": "POST",
            "path": "/api/execute",
            "http_status": 200,
            "duration_ms": random.randrange(2, 400),
            "principal_kind": "api_key",
            "principal_label": "console in the hall",
            "key_prefix": "a8Kd93Kx",
            "execution_id": None if refused else f"run_{number:06d}",
            "message": "Unknown action." if refused else "",
            "host": "web-1",
            "user_agent": random.choice(_AGENTS),
            "detail": {"attempt": 1, "limited": refused},
        },
    }


def foreign_row(number: int, random: Random) -> dict[str, Any]:
    """A row of another program: five columns, nothing beside them, sealed without a salt."""
    row = sample_row(number, random)
    return {**row, "companion": None, "salt": None, "session_id": "legacy", "user_ip": ""}


@dataclass
class SampleLog:
    """A log of these rows, as it was sealed; what a test does to `rows` later is tampering."""

    rows: list[dict[str, Any]]
    hashes: list[bytes] = field(init=False)
    nodes: dict[Coordinate, bytes] = field(init=False)

    def __post_init__(self) -> None:
        self.hashes = [leaf_hash(leaf_bytes(LEAF_VERSION, row)) for row in self.rows]
        self.seal()

    def seal(self) -> None:
        """Build the tree over the recorded hashes as they now are."""
        self.nodes = {}
        for run in Frontier().extend(self.hashes):
            self.nodes |= {(run.level, run.first + i): h for i, h in enumerate(run.hashes)}

    def source(self, wanted: Sequence[Coordinate]) -> dict[Coordinate, bytes]:
        """A node source."""
        return {coordinate: self.nodes[coordinate] for coordinate in wanted}

    def checkpoint(self, size: int) -> Checkpoint:
        """The tree head at `size`."""
        return Checkpoint(ORIGIN, size, root_at(size, self.source))

    def note(self, size: int, *keys: SigningKey) -> Note:
        """That tree head, signed."""
        return self.checkpoint(size).sign(*(keys or (FIRST_KEY,)))

    def bundle(
        self,
        checkpoints: Sequence[Note],
        first: int = 0,
        end: int | None = None,
        keys: Sequence[VerifierKey] = (FIRST_KEY.verifier,),
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> bytes:
        """The bundle of leaves ``[first, end)``."""
        end = len(self.hashes) if end is None else end
        target = io.BytesIO()
        write_bundle(
            target,
            BundleScope(
                origin=ORIGIN,
                first=first,
                end=end,
                created=START + timedelta(days=1),
                since=since,
                until=until,
            ),
            rows=[(LEAF_VERSION, row) for row in self.rows[first:end]],
            leaf_hashes=self.hashes[first:end],
            checkpoints=checkpoints,
            keys=keys,
            nodes=self.source,
        )
        return target.getvalue()


def sample_log(size: int, seed: int = 1) -> SampleLog:
    """A log of `size` rows, every 50th of them by another program."""
    random = Random(seed)
    rows = [foreign_row(n, random) if n % 50 == 9 else sample_row(n, random) for n in range(size)]
    return SampleLog(rows)


def write_file(path: Path, content: bytes) -> str:
    """Write and return the path as text."""
    path.write_bytes(content)
    return str(path)
