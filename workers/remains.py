"""What RQ keeps of a worker that was killed: its name, and the job in its hands, which would count as running for minutes.

The job itself needs nobody: it was a bell, the rows say what is to be done, and the sweep rings again. Only workers of this
machine are looked at, since a process id of another says nothing here; those are left to RQ's own cleaning.
"""

import os
import re
import socket
import time
from pathlib import Path

import redis
import structlog
from rq import Queue, Worker
from rq.exceptions import NoSuchJobError
from rq.executions import Execution
from rq.job import Job
from rq.worker import BaseWorker

from app.core.jobs import QUEUES

log = structlog.get_logger()
NAME = re.compile(r"\w+-\d+-(?P<pid>\d+)@(?P<host>.+)")


def name_of(queue: str) -> str:
    """Says where the worker of this process runs, also when Redis came back empty and no longer lists it."""
    return f"{queue}-{int(time.time())}-{os.getpid()}@{socket.gethostname()}"


def clear(redis_url: str) -> int:
    """Gives the number of dead workers. Redis away is no reason to stop: without it there is nothing to clear."""
    connection = redis.Redis.from_url(redis_url, socket_timeout=2, socket_connect_timeout=1)
    try:
        dead = [worker for worker in Worker.all(connection=connection) if _is_dead(worker)]
        names = {worker.name for worker in dead}
        for queue in QUEUES:
            _clear_queue(connection, queue, names)
        for worker in dead:
            worker.register_death()  # type: ignore[no-untyped-call]
    except (redis.RedisError, OSError) as error:
        log.warning("remains.left", error=type(error).__name__)
        return 0
    except Exception:
        # Whoever asks starts workers anew, which matters more than what the dead left.
        log.exception("remains.broke")
        return 0
    finally:
        connection.close()
    return len(dead)


def _is_dead(worker: BaseWorker) -> bool:
    return worker.hostname == socket.gethostname() and bool(worker.pid) and _is_gone(int(worker.pid or 0))


def _is_dead_name(name: str) -> bool:
    found = NAME.fullmatch(name)
    return found is not None and found["host"] == socket.gethostname() and _is_gone(int(found["pid"]))


def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return False


def _clear_queue(connection: "redis.Redis", name: str, dead: set[str]) -> None:
    registry = Queue(name, connection=connection, serializer="json").started_job_registry
    keys: list[bytes] = connection.zrange(registry.key, 0, -1)  # type: ignore[assignment]
    for key in keys:
        execution = Execution.from_composite_key(key.decode(), connection)
        try:
            execution.refresh()  # type: ignore[no-untyped-call]
        except ValueError:
            # It ended between the two questions, or what was known of it is gone.
            connection.zrem(registry.key, key)
            continue
        if execution.worker_name not in dead and not _is_dead_name(execution.worker_name):
            continue
        connection.zrem(registry.key, key)
        _forget(connection, execution)


def _forget(connection: "redis.Redis", execution: Execution) -> None:
    try:
        job = Job.fetch(execution.job_id, connection=connection, serializer="json")
    except NoSuchJobError:
        connection.delete(execution.key)
        return
    with connection.pipeline() as pipeline:
        execution.delete(job, pipeline)
        pipeline.execute()
    job.delete()
    log.warning("job.orphaned", function=(job.func_name or "")[:100], worker=execution.worker_name)
