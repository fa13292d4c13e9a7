"""The worker processes: one parent that imports the app once and forks a child for each queue, and starts a dead one anew.

Each child is an RQ SimpleWorker on one queue (with two, a worker killed at the wrong moment loses a job) with the JSON
serializer (with pickle, whoever can write to Redis runs code here), and a job runs only if it is one of core.jobs.
Run by `python -m workers.boot`.
"""

import ctypes
import os
import signal
import sys
import time
from typing import Any

import redis
import structlog
from rq import Queue, SimpleWorker
from rq.job import Job

from app.config import ConfigError, Settings, load
from app.core import collector, jobs, logs, runtime
from app.integrations import registry
from workers import (
    housekeeping,
    inbound,
    mails,
    media,
    passing,
    remains,
    sends,
    stopping,
    syncs,
    tables,
    tokens,
)

log = structlog.get_logger()

COUNTS = {"inbound": 1, "sends": 2, "syncs": 1, "chores": 1}
OURS = frozenset(job.function for job in jobs.JOBS)
LOADED = (housekeeping, inbound, mails, media, sends, syncs, tokens, registry)
_PR_SET_PDEATHSIG = 1


class OurJob(Job):
    """A job names its function by a dotted path, and RQ calls whatever stands there. Ours are called and nothing else,
    so that who can write to Redis cannot run code here. What is not ours may be that of another version that runs beside
    this one while an update is under way: it is left to whoever knows it."""

    def perform(self) -> Any:
        if not passing.is_known(self, OURS):
            return passing.pass_on(self)
        return super().perform()

    def restore(self, raw_data: Any) -> None:
        super().restore(raw_data)
        self._success_callback_name = self._failure_callback_name = self._stopped_callback_name = None


class QueueWorker(SimpleWorker):
    """Ends after the batch in hand when asked to."""

    def request_stop(self, signum: int, frame: Any) -> None:
        stopping.ask()
        super().request_stop(signum, frame)  # type: ignore[no-untyped-call]


def work(queue: str, settings: Settings) -> None:
    """The life of a child: works on one queue until it is told to end."""
    _end_with_parent()
    found = runtime.install(runtime.build(settings, pool_size=24))
    structlog.contextvars.bind_contextvars(queue=queue)
    _wait_for_redis(found.redis)
    blocking = redis.Redis.from_url(settings.redis_url, health_check_interval=20)
    worker = QueueWorker(
        [Queue(queue, connection=blocking, serializer="json", job_class=OurJob)],
        connection=blocking,
        serializer="json",
        job_class=OurJob,
        worker_ttl=25,
        maintenance_interval=10,
        job_monitoring_interval=5,
        name=remains.name_of(queue),
    )
    worker.work(logging_level="WARNING", with_scheduler=False)
    found.close()


def _end_with_parent() -> None:
    """A parent that is killed takes its children along."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _wait_for_redis(connection: "redis.Redis") -> None:
    while stopping.keep_on():
        try:
            connection.ping()
            return
        except (redis.RedisError, OSError):
            time.sleep(0.5)


def _fork(queue: str, settings: Settings, *, again: bool = False) -> int:
    """`again`: the tables may have changed since the parent looked at them."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if again:
            tables.need_known(settings)
        work(queue, settings)
        status = 0
    except SystemExit as refused:
        status = refused.code if isinstance(refused.code, int) else 1
    except BaseException:
        log.exception("worker.died", queue=queue)
    finally:
        os._exit(status)


class Family:
    """The parent's book of children: pid → queue."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.children: dict[int, str] = {}
        self.ending = False
        self.refused = False

    def start(self) -> None:
        remains.clear(self.settings.redis_url)
        for queue, default in COUNTS.items():
            count = int(os.environ.get(f"WORKERS_{queue.upper()}", default))
            for _ in range(count):
                self.children[_fork(queue, self.settings)] = queue

    def end(self, *_: object) -> None:
        self.ending = True
        for pid in self.children:
            _signal(pid, signal.SIGTERM)

    def watch(self) -> None:
        """Starts a child that died anew until all are told to end; a second SIGTERM is not needed, they are waited for. One
        that does not know the tables any more stays away: the others go on, as a migration lets them."""
        while self.children:
            try:
                pid, status = os.wait()
            except ChildProcessError:
                return
            queue = self.children.pop(pid, None)
            if queue is None or self.ending:
                continue
            if os.waitstatus_to_exitcode(status) == tables.UNKNOWN_TABLES:
                log.error(
                    "worker.refused", queue=queue, reason="It does not know the tables as they are now."
                )
                self.refused = True
                continue
            log.warning("worker.restarted", queue=queue, status=status)
            remains.clear(self.settings.redis_url)
            time.sleep(0.5)
            if not self.ending:
                self.children[_fork(queue, self.settings, again=True)] = queue


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def main() -> None:
    try:
        settings = load()
    except ConfigError as error:
        sys.exit(str(error))
    logs.set_up(settings.log_level)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.ask())
    tables.need_known(settings)
    collector.spare_what_is_there()
    family = Family(settings)
    signal.signal(signal.SIGTERM, family.end)
    signal.signal(signal.SIGINT, family.end)
    if stopping.keep_on():
        family.start()
        family.watch()
        if family.refused and not family.ending:
            sys.exit(tables.UNKNOWN_TABLES)


if __name__ == "__main__":
    main()
