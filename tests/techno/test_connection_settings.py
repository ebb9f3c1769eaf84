"""What every connection sets for itself, whatever the server's configuration says."""

from __future__ import annotations

import pytest
from django.db import connection

from techno.database.current import store

#: With old statistics, or an index to be preferred, the planner's costs are high enough for older
#: servers to compile a question of a millisecond for half a second.
COMPILED = "SELECT setting, source FROM pg_settings WHERE name = 'jit'"


@pytest.mark.usefixtures("database")
def test_no_question_is_compiled() -> None:
    doors = store()
    for reads in (doors.reads, doors.list_reads, doors.ordered_reads):
        assert reads.rows(COMPILED) == [("off", "session")]
    with connection.cursor() as cursor:
        cursor.execute(COMPILED)
        assert cursor.fetchall() == [("off", "session")]
