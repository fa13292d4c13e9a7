"""A worker of the plain design: RQ as its manual shows it, the app imported before the first job."""

import redis
from rq import Queue, SimpleWorker

from app.config import load
from app.core import runtime
from bench import sends


def main() -> None:
    settings = load()
    runtime.install(runtime.build(settings))
    connection = redis.Redis.from_url(settings.redis_url)
    jobs = Queue("plain", connection=connection, serializer="json")
    SimpleWorker([jobs], connection=connection, serializer="json").work(logging_level="ERROR")


if __name__ == "__main__":
    assert sends.send_plainly
    main()
