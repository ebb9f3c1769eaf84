"""Made tests/data/audit-bundle-v1.zip, once. No test runs this.

The recorded bundle stands for every bundle that is out in the world: it must verify for ever, so
it is not made anew when the code changes. A new version of a format gets a recording of its own.

    python -m tests.data.record_audit_bundle NEW_FILE
"""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random

from audit.canonical import redacted
from tests.audit.sample_log import (
    FIRST_KEY,
    SECOND_KEY,
    START,
    STEP,
    WITNESS_KEY,
    SampleLog,
    foreign_row,
    sample_log,
)

FIRST, END, SIZE = 7, 307, 320


def recorded_log() -> SampleLog:
    """320 rows, among them every form that a leaf of version 1 can have."""
    rows = sample_log(SIZE, seed=20261123).rows
    random = Random(1)
    rows[40] = {**foreign_row(40, random), "reason_codes": '{"note": 1.10}', "session_id": None}
    rows[41] = {**foreign_row(41, random), "timestamp": "infinity"}
    rows[42] = {**foreign_row(42, random), "timestamp": None, "reason_codes": None}
    rows[43] = {**foreign_row(43, random), "session_id": "long" * 17_000}
    rows[44] = {**foreign_row(44, random), "salt": bytes(16), "user_ip": "2001:db8::7"}
    rows[150]["companion"]["detail"] = {"é": "\u2028\x7f", "big": 2**53 - 1, "none": None}
    log = SampleLog(rows)
    for number in (60, 61, 44):
        log.rows[number] = redacted(log.rows[number])
    return log


def main(target: str) -> None:
    log = recorded_log()
    last = log.note(SIZE, SECOND_KEY)
    checkpoints = [
        log.note(50, FIRST_KEY),
        log.note(128, FIRST_KEY),
        log.note(200, FIRST_KEY, SECOND_KEY),
        log.note(256, SECOND_KEY),
        last.with_signatures(WITNESS_KEY.sign(last.text, 1_763_884_800)),
    ]
    content = log.bundle(
        checkpoints,
        first=FIRST,
        end=END,
        keys=[FIRST_KEY.verifier, SECOND_KEY.verifier, WITNESS_KEY.verifier],
        since=START + (FIRST + 1) * STEP,
        until=START + (END - 1) * STEP,
    )
    with Path(target).open("xb") as stream:
        stream.write(content)


if __name__ == "__main__":
    main(sys.argv[1])
