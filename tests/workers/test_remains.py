"""A worker that was killed leaves nothing in RQ that would count as running."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask
from rq import Queue, Worker

from app.core import runtime
from workers import remains

_HOLDS_A_JOB = """
import sys, time
import redis
from rq import Queue
from rq.executions import prepare_execution
from workers import remains
from workers.boot import OurJob, QueueWorker
connection = redis.Redis.from_url(sys.argv[1])
queue = Queue("chores", connection=connection, serializer="json", job_class=OurJob)
name = remains.name_of("chores")
worker = QueueWorker([queue], connection=connection, serializer="json", job_class=OurJob, name=name)
worker.register_birth()
job = queue.enqueue("workers.housekeeping.each_hour", job_timeout=120)
worker.prepare_execution(job)
worker.prepare_job_execution(job)
print("holds it", flush=True)
time.sleep(60)
"""


@contextmanager
def holding_a_job() -> Iterator[Queue]:
    """A worker with a job in its hands, killed at the end."""
    found = runtime.current()
    queue = Queue("chores", connection=found.redis, serializer="json")
    child = subprocess.Popen(
        [sys.executable, "-c", _HOLDS_A_JOB, found.settings.redis_url],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.getcwd()},
    )
    try:
        assert child.stdout and child.stdout.readline().strip() == b"holds it"
        assert queue.started_job_registry.count == 1
        yield queue
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait(10)
        if child.stdout:
            child.stdout.close()


def test_the_job_of_a_killed_worker_is_not_taken_for_running(app: Flask) -> None:
    found = runtime.current()
    with holding_a_job() as queue:
        assert remains.clear(found.settings.redis_url) == 0
        assert queue.started_job_registry.count == 1
    assert remains.clear(found.settings.redis_url) == 1
    assert queue.started_job_registry.count == 0
    assert Worker.all(connection=found.redis) == []


def test_nor_is_that_of_a_worker_which_an_emptied_redis_no_longer_lists(app: Flask) -> None:
    found = runtime.current()
    with holding_a_job() as queue:
        found.redis.delete("rq:workers")
        remains.clear(found.settings.redis_url)
        assert queue.started_job_registry.count == 1
    remains.clear(found.settings.redis_url)
    assert queue.started_job_registry.count == 0


def test_nor_is_one_of_which_nothing_is_known(app: Flask) -> None:
    found = runtime.current()
    queue = Queue("chores", connection=found.redis, serializer="json")
    found.redis.zadd(queue.started_job_registry.key, {"gone:never": time.time() + 1000})
    remains.clear(found.settings.redis_url)
    assert queue.started_job_registry.count == 0


def test_remains_that_make_no_sense_do_not_end_whoever_starts_workers(app: Flask) -> None:
    found = runtime.current()
    found.redis.sadd("rq:workers", "rq:worker:odd")
    found.redis.hset("rq:worker:odd", mapping={"hostname": socket.gethostname(), "pid": "none"})
    assert remains.clear(found.settings.redis_url) == 0


def test_redis_away_is_no_reason_to_stop() -> None:
    assert remains.clear("redis://127.0.0.1:1") == 0
