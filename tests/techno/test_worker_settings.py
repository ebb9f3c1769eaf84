"""What a web process does once it is loaded."""

from __future__ import annotations

import json
import subprocess
import sys

from techno.web.gunicorn_conf import COLLECT_AFTER

LOADED = """
import gc, json
from techno.web import gunicorn_conf
kept = len(gc.get_objects())
gunicorn_conf.post_worker_init(None)
print(json.dumps([kept, gc.get_freeze_count(), len(gc.get_objects()), gc.get_threshold()]))
"""


def test_what_was_loaded_is_not_searched_for_garbage_again() -> None:
    done = subprocess.run([sys.executable, "-c", LOADED], check=True, capture_output=True)
    kept, frozen, left, thresholds = json.loads(done.stdout)
    assert frozen > kept // 2
    assert left < kept // 10
    assert tuple(thresholds) == COLLECT_AFTER
