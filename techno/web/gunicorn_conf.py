"""How gunicorn runs the web processes. Everything that may differ is an environment variable."""

from __future__ import annotations

import gc
import os
import signal
from pathlib import Path
from typing import Any

from gunicorn.http import wsgi as gunicorn_wsgi
from prometheus_client import multiprocess

from techno import env
from techno.launch import follow_parent
from techno.web.balance import CONNECTIONS, NOBODY
from techno.web.interrupts import SUPERVISOR_VARIABLE, WORKER_LOST
from techno.web.whole_response import WholeResponse

wsgi_app = "techno.wsgi:application"
_host = f"[{env.HOST}]" if ":" in env.HOST else env.HOST
bind = f"{_host}:{env.PORT}"
workers = env.whole("TECHNO_WORKERS", default=2, least=1, most=64)
worker_class = "techno.web.worker.GovernedWorker"
threads = env.whole("TECHNO_THREADS", default=16, least=1, most=256)
# Not preloaded: a worker that is forked from a master with threads and connections inherits both.
preload_app = False
keepalive = 15
timeout = 30  # of the worker's own loop; requests have deadlines of their own
graceful_timeout = 20  # longer than any answer may take
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 (heartbeat files)
# Only a proxy that the operator named may say that a request came by https.
forwarded_allow_ips = ",".join(env.words("TECHNO_TRUSTED_PROXIES"))
control_socket_disable = True
accesslog = None
errorlog = "-"
loglevel = "warning"
proc_name = "techno"

gunicorn_wsgi.Response = WholeResponse

#: After so many new objects the youngest are searched for garbage; every tenth time older ones too.
#: A request leaves next to none: what it uses goes with its answer.
COLLECT_AFTER = (5_000, 10, 10)


def pre_fork(server: Any, worker: Any) -> None:
    """Give the worker its place among the numbers of connections."""
    worker.place = CONNECTIONS.free_place({each.place for each in server.WORKERS.values()})


def post_fork(_server: Any, worker: Any) -> None:
    """Let the worker end with its master, also when that is killed: it finishes its requests."""
    follow_parent(signal.SIGTERM, worker.ppid)


def post_worker_init(_worker: Any) -> None:
    """Keep what was loaded for good out of every later search for garbage."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


def child_exit(_server: Any, worker: Any) -> None:
    """Close the dead worker's books, and tell the supervisor, who looks after its commands."""
    CONNECTIONS.write(worker.place, NOBODY)
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]
    # Should the supervisor be gone, our parent is somebody else, whom the signal might kill.
    if os.environ.get(SUPERVISOR_VARIABLE) == str(os.getppid()):
        os.kill(os.getppid(), WORKER_LOST)
