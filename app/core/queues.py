"""What lies in RQ's queues and who works on them, read in two round trips."""

from dataclasses import dataclass
from datetime import datetime

import redis
from rq import Queue, Worker
from rq.utils import utcparse

from app.core.clock import now
from app.core.jobs import QUEUES


@dataclass
class QueueState:
    name: str
    jobs: int = 0
    failed: int = 0
    workers: int = 0
    # Seconds since the worker that was heard of least recently gave a sign; 0 without workers.
    silent_for: float = 0.0


def read(connection: "redis.Redis") -> list[QueueState]:
    """Raises redis.RedisError, OSError."""
    found = {name: QueueState(name) for name in QUEUES}
    queues = {name: Queue(name, connection=connection, serializer="json") for name in QUEUES}
    with connection.pipeline(transaction=False) as asked:
        for queue in queues.values():
            asked.llen(queue.key)
            asked.zcard(queue.failed_job_registry.key)
        asked.smembers(Worker.redis_workers_keys)
        *lengths, worker_keys = asked.execute()
    for index, state in enumerate(found.values()):
        state.jobs, state.failed = lengths[2 * index : 2 * index + 2]
    with connection.pipeline(transaction=False) as asked:
        for key in sorted(worker_keys):
            asked.hmget(key, "queues", "last_heartbeat")
        heard = asked.execute() if worker_keys else []
    at = now()
    for names, heartbeat in heard:
        for name in (names or b"").decode().split(","):
            if name in found and heartbeat:
                _count_worker(found[name], at, utcparse(heartbeat.decode()))
    return list(found.values())


def _count_worker(state: QueueState, at: datetime, heartbeat: datetime) -> None:
    state.workers += 1
    state.silent_for = max(state.silent_for, (at - heartbeat).total_seconds())
