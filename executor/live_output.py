"""What a run printed so far, for people who watch: the end of each stream as text."""

from __future__ import annotations

from dataclasses import dataclass

from executor.sql import statement
from techno.database.current import store

#: So many bytes of each stream's end are shown while it runs.
SHOWN_BYTES = 16_384
_CONTINUATION, _LEAD = 0x80, 0xC0


@dataclass(frozen=True, slots=True)
class LiveStream:
    """The end of a stream. ``cut`` says that it began earlier than what is shown."""

    name: str
    text: str
    cut: bool


def live_output(execution_id: str) -> list[LiveStream]:
    """Return the ends of both streams of a run under way. Raises ``StoreUnavailable``."""
    found: dict[str, list[bytes]] = {"stdout": [], "stderr": []}
    for stream, data in store().list_reads.rows(statement("live_output"), [execution_id]):
        if sum(map(len, found[stream])) <= SHOWN_BYTES:
            found[stream].append(bytes(data))
    return [_end(name, b"".join(reversed(parts))) for name, parts in found.items()]


def _end(name: str, data: bytes) -> LiveStream:
    """Return the last bytes as text, without the halves of characters at both ends."""
    shown = data[-SHOWN_BYTES:]
    cut = len(shown) < len(data)
    if cut:
        shown = shown.lstrip(bytes(range(_CONTINUATION, _LEAD)))
    for back in range(1, min(4, len(shown) + 1)):
        lead = shown[-back]
        if lead >= _LEAD:  # the first byte of a character: is all of it here?
            if back < (2 if lead < 0xE0 else 3 if lead < 0xF0 else 4):
                shown = shown[:-back]
            break
        if lead < _CONTINUATION:
            break
    return LiveStream(name, shown.decode("utf-8", "replace"), cut)
