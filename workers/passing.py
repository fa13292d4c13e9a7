"""Jobs that this version does not know, or not with these words: left to a worker of the version that does.

During an update two versions work side by side on the same queues. A job carries ids and the rows say what is to be
done, so a job that nobody knows in the end is dropped without harm: the sweep of whoever rang for it rings again.
"""

import inspect
import time
from collections.abc import Collection

import structlog
from rq import Queue
from rq.job import Job

log = structlog.get_logger()

MOST_TIMES = 10
# So that a worker that is alone with such a job does not spin.
PAUSE_S = 1.0


def is_known(job: Job, ours: Collection[str]) -> bool:
    """One of ours, and with as many words as ours takes."""
    if job.func_name not in ours:
        return False
    try:
        inspect.signature(job.func).bind(*job.args, **job.kwargs)
    except TypeError:
        return False
    return True


def pass_on(job: Job) -> None:
    """Puts it at the end of its queue again, up to ten times."""
    times, name = job.meta.get("passed", 0), job.func_name or ""
    if not isinstance(times, int) or times >= MOST_TIMES:
        log.warning("job.dropped", function=name[:100])
        return
    log.warning("job.passed_on", function=name[:100], times=times + 1)
    time.sleep(PAUSE_S)
    Queue(job.origin, connection=job.connection, serializer="json").enqueue(
        name,
        args=tuple(job.args),
        kwargs=dict(job.kwargs),
        meta={"passed": times + 1},
        result_ttl=0,
        failure_ttl=86400,
        job_timeout=120,
        ttl=600,
    )
