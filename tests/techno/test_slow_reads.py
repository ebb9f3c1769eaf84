"""A slow question is refused alone; a server that is silent is told to everybody."""

from __future__ import annotations

import pytest

from techno.database.current import store
from techno.database.errors import StoreSlow


@pytest.mark.usefixtures("database")
def test_a_slow_query_ends_and_closes_nothing() -> None:
    reads = store().reads

    with pytest.raises(StoreSlow):
        reads.rows("SELECT pg_sleep(30)")

    assert store().circuit.cause == ""
    assert reads.rows("SELECT 1") == [(1,)]
