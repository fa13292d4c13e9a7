"""Signs of life: every worker process by RQ's own heartbeat, and the scheduler by a key that fades.

What lies in the queues is in app/core/queues.py.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import redis
from rq import Worker
from rq.utils import utcparse

from app.core.clock import now
from app.core.jobs import QUEUES

SCHEDULER_KEY = "levelhead:schedule:beat"
SCHEDULER_FADES = timedelta(seconds=30)
# An idle worker gives a sign every ten seconds (workers/boot.py); one with a job may be silent for the job's two minutes.
IDLE_SILENT = timedelta(seconds=45)
BUSY_SILENT = timedelta(seconds=150)


@dataclass(frozen=True)
class WorkerState:
    name: str
    queue: str
    is_busy: bool
    heard_at: datetime
    started_at: datetime | None
    jobs_done: int

    def is_alive(self, at: datetime) -> bool:
        return at - self.heard_at <= (BUSY_SILENT if self.is_busy else IDLE_SILENT)


def workers(connection: "redis.Redis") -> list[WorkerState]:
    """By queue, in two round trips; killed ones stay in the list for a minute or two. Raises redis.RedisError, OSError."""
    keys: list[Any] = sorted(connection.smembers(Worker.redis_workers_keys))
    with connection.pipeline(transaction=False) as asked:
        for key in keys:
            asked.hmget(key, "queues", "state", "last_heartbeat", "birth", "successful_job_count")
        answers = asked.execute() if keys else []
    found = [
        WorkerState(
            name=key.decode().rpartition(":")[2],
            queue=queues.decode(),
            is_busy=state == b"busy",
            heard_at=utcparse(heard.decode()),
            started_at=utcparse(birth.decode()) if birth else None,
            jobs_done=int(done or 0),
        )
        for key, (queues, state, heard, birth, done) in zip(keys, answers, strict=True)
        if queues and heard
    ]
    return sorted(found, key=lambda worker: (_place(worker.queue), worker.name))


def _place(queue: str) -> int:
    return QUEUES.index(queue) if queue in QUEUES else len(QUEUES)


def scheduler_beats(connection: "redis.Redis") -> None:
    """Raises redis.RedisError, OSError."""
    connection.set(SCHEDULER_KEY, now().isoformat(), ex=SCHEDULER_FADES)


def scheduler_heard_at(connection: "redis.Redis") -> datetime | None:
    """None when it has been silent for half a minute. Raises redis.RedisError, OSError."""
    value: Any = connection.get(SCHEDULER_KEY)
    return datetime.fromisoformat(value.decode()) if value else None
