"""The life of a worker process: procrastinate brings jobs, threads of ours run them.

A run's thread belongs to this process and not to procrastinate's loop, which ends whenever
PostgreSQL goes away: the loop is begun anew then, while the runs go on and tell their ends to the
journal. Nothing that procrastinate knows decides whether a run starts.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import procrastinate
import structlog
from procrastinate.exceptions import ProcrastinateException
from psycopg import Error as DriverError
from psycopg_pool import PoolTimeout

from audit import spill
from audit.journal import ReplayBusy
from audit.recorder import AuditUnavailable
from executor.deliveries import deliver
from executor.fleet import TASK
from executor.reaping import end_strays, reap_lost_runs
from executor.watching import watching
from techno.database.current import connection_parameters
from techno.database.errors import StoreError

log = structlog.get_logger(__name__)

#: A notification can be lost; then a job waits so long.
POLL_S = 2.0
RESTART_PAUSE_S = 0.5
#: How long runs may go on once the worker was asked to stop, and then to be ended.
GRACE_S = 15.0
LETTING_GO_S = 3.0
ENDING_S = 5.0
UPKEEP_EVERY_S = 1.0
REAP_EVERY_S = 3.0
STRAYS_EVERY_S = 30.0
#: A server that vanished without a word is noticed by the kernel.
KEEPALIVE = {
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
    "connect_timeout": 2,
}


class WorkerLoop:
    """Runs what comes in on ``queues``, ``concurrency`` runs at once, until it is stopped."""

    def __init__(self, queues: list[str], concurrency: int) -> None:
        self._queues = queues
        self._concurrency = concurrency
        self._pool = ThreadPoolExecutor(concurrency, thread_name_prefix="run")
        self._stopping = threading.Event()

    def run(self) -> None:
        """Work until SIGTERM or SIGINT; runs in progress are finished or, in the end, stopped."""
        logging.getLogger("procrastinate").setLevel(logging.WARNING)
        upkeep = threading.Thread(target=self._look_after_host, name="worker-upkeep", daemon=True)
        upkeep.start()
        asyncio.run(self._work())

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        stopped = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopped.set)
        self._free = asyncio.Semaphore(self._concurrency)
        working = asyncio.create_task(self._keep_fetching())
        await stopped.wait()
        self._stopping.set()
        working.cancel()
        await asyncio.wait({working}, timeout=LETTING_GO_S)
        await self._finish_runs()

    async def _finish_runs(self) -> None:
        """Give the runs time to end, then end them; each tells its own end."""
        for limit_s in (GRACE_S, ENDING_S):
            with suppress(TimeoutError):
                async with asyncio.timeout(limit_s):
                    for _ in range(self._concurrency):
                        await self._free.acquire()
                return
            watching.stop_all("the worker", "it was asked to stop")

    async def _keep_fetching(self) -> None:
        """Have procrastinate bring jobs, again and again: it gives up when PostgreSQL does."""
        while not self._stopping.is_set():
            try:
                await self._fetch()
            except (ProcrastinateException, DriverError, PoolTimeout, OSError) as error:
                log.warning("the queue cannot be read", cause=f"{type(error).__name__}: {error}")
            await asyncio.sleep(RESTART_PAUSE_S)

    async def _fetch(self) -> None:
        parameters = {**connection_parameters(), **KEEPALIVE, "application_name": "techno-worker"}
        connector = procrastinate.PsycopgConnector(
            kwargs=parameters, min_size=1, max_size=4, timeout=5.0
        )
        app = procrastinate.App(connector=connector)
        app.task(name=TASK)(self._take)
        async with app.open_async():
            await app.run_worker_async(
                queues=self._queues,
                concurrency=self._concurrency,
                name="techno",
                fetch_job_polling_interval=POLL_S,
                shutdown_graceful_timeout=0.2,
                delete_jobs="always",
                install_signal_handlers=False,
            )

    async def _take(self, execution_id: str) -> None:
        """Hand one job to a thread, and hold its place until the run has ended."""
        await self._free.acquire()
        loop = asyncio.get_running_loop()
        try:
            running = loop.run_in_executor(self._pool, deliver, execution_id)
        except RuntimeError:
            self._free.release()
            raise
        running.add_done_callback(lambda _: self._free.release())
        await asyncio.shield(running)

    def _look_after_host(self) -> None:
        """Bring this host's journal home, and close what other processes of it left behind.

        The keeper does both where one runs; a worker may be all that its host has.
        """
        rounds = 0
        while not self._stopping.wait(UPKEEP_EVERY_S):
            rounds += 1
            try:
                if spill.depth().records:
                    with suppress(ReplayBusy):
                        spill.replay()
                if rounds % int(REAP_EVERY_S / UPKEEP_EVERY_S) == 1:
                    reap_lost_runs()
                if rounds % int(STRAYS_EVERY_S / UPKEEP_EVERY_S) == 1:
                    end_strays()
            except (StoreError, AuditUnavailable, spill.JournalUnavailable, OSError) as error:
                log.warning("the worker's upkeep waits", cause=str(error))
