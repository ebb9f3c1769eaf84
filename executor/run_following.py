"""Following a run's output as it is printed, byte for byte, from any position on.

Whoever waits for more holds a thread, so only so many wait at once; all others get what there is
and ask again. That is how those who watch never starve those who want something done.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from audit.tail import Followers
from executor.run_reader import StoredRun, Stretch, output_after, state_of

LOOK_EVERY_S = 0.2
PAGE_BYTES = 262_144
WAIT_MOST_S = 10


@dataclass(frozen=True, slots=True)
class OutputPage:
    """Pieces of output in their order, where to go on, and whether there is more to come."""

    pieces: list[Stretch]
    next: int
    state: str
    ended: bool


def follow_output(
    run: StoredRun, after: int, stream: str, *, wait_s: float, followers: Followers
) -> OutputPage:
    """Return what was printed from ``after`` on, waiting up to ``wait_s`` for something to come.

    ``stream`` may be ``all``; positions count both streams in any case. Raises
    ``StoreUnavailable``.
    """
    with followers.admitted() as admitted:
        ends_at_s = time.monotonic() + (wait_s if admitted else 0)
        while True:
            page = _page(run, after, stream)
            left_s = ends_at_s - time.monotonic()
            if page.pieces or page.ended or left_s <= 0:
                return page
            after = page.next
            time.sleep(min(LOOK_EVERY_S, left_s))


def _page(run: StoredRun, after: int, stream: str) -> OutputPage:
    """Return what there is. The state is read first: an ended run prints nothing afterwards."""
    state = run.state if run.is_ended else state_of(run.execution_id)
    pieces = output_after(run, after, PAGE_BYTES, ended=state == "ended")
    end = after
    if pieces:
        end = pieces[-1].position + len(pieces[-1].data)
    wanted = [piece for piece in pieces if stream in ("all", piece.stream)]
    return OutputPage(wanted, end, state, ended=state == "ended" and not pieces)
