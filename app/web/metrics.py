"""`/metrics` for Prometheus: gauges that are read from Postgres and Redis at the moment of the scrape.

Counters in the memory of each process would be wrong as soon as there are two, so there are none. Every name is described
in docs/guides/metrics.md; a test compares the two.
"""

import hmac
import time
from collections.abc import Iterable, Mapping

import redis
import structlog
from flask import Blueprint, Response, make_response, request
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from app.config import is_loopback
from app.core import queues, runtime, schema, tenancy
from app.core.queues import QueueState
from app.core.security import public
from app.domain import vitals
from app.domain.vitals import Vitals

log = structlog.get_logger()
blueprint = Blueprint("metrics", __name__)

PREFIX = "levelhead_"


class Gathered(Collector):
    """The families of one scrape."""

    def __init__(self, families: Iterable[GaugeMetricFamily]) -> None:
        self.families = list(families)

    def collect(self) -> Iterable[GaugeMetricFamily]:
        return self.families


@blueprint.get("/metrics")
@public
def metrics() -> Response:
    """For this machine, or with METRICS_TOKEN as bearer."""
    if not _may_read():
        answer = make_response("Send METRICS_TOKEN as bearer token, or ask from this machine.\n", 401)
        answer.headers["WWW-Authenticate"] = "Bearer"
        answer.mimetype = "text/plain"
        return answer
    started = time.perf_counter()
    families = [*_postgres(), *_redis()]
    families.append(_one("scrape_seconds", "Time it took to read all this", time.perf_counter() - started))
    return Response(generate_latest(Gathered(families)), content_type=CONTENT_TYPE_PLAIN_0_0_4)


def _may_read() -> bool:
    token = runtime.current().settings.metrics_token
    scheme, _, shown = request.headers.get("Authorization", "").partition(" ")
    if token and scheme.lower() == "bearer" and hmac.compare_digest(shown.strip().encode(), token.encode()):
        return True
    # Behind a proxy on this machine every visitor seems to come from here, unless TRUSTED_PROXIES is set.
    forwarded = any(name in request.headers for name in ("X-Forwarded-For", "Forwarded", "X-Real-Ip"))
    return is_loopback(request.remote_addr) and not forwarded


def _postgres() -> Iterable[GaugeMetricFamily]:
    yield _one("schema_known_version", "Newest migration this code knows", int(schema.known_version() or 0))
    try:
        with tenancy.session_for() as session:
            found = vitals.read(session)
    except SQLAlchemyError as error:
        log.warning("metrics.postgres", error=type(error).__name__)
        yield _one("postgres_up", "1 when Postgres answered every question in time", 0)
        return
    yield _one("postgres_up", "1 when Postgres answered every question in time", 1)
    yield from _of_work(found)
    yield from _of_the_day(found)


def _of_work(found: Vitals) -> Iterable[GaugeMetricFamily]:
    yield _one("schema_installed_version", "Migration the tables are at", int(found.installed_version or 0))
    states = dict.fromkeys(("waiting", "sending", "checking"), 0) | found.outbox
    yield _many("outbox_texts", "Texts on their way to a provider", ("state",), _keyed(states))
    yield _one(
        "outbox_late_seconds",
        "How long the oldest text that may go has been due",
        found.outbox_late.total_seconds(),
    )
    yield _many(
        "events_open", "Events that are not settled", ("provider", "state"), found.open_events.items()
    )
    yield _one(
        "events_late_seconds", "Age of the oldest event nobody handled", found.events_late.total_seconds()
    )
    mails = dict.fromkeys(("waiting", "sending", "failed"), 0) | found.mails
    yield _many(
        "mails", "Own mails: waiting and sending now, failed of the last 24 hours", ("state",), _keyed(mails)
    )
    yield _one(
        "mails_late_seconds",
        "How long the oldest waiting mail has been due",
        found.mails_late.total_seconds(),
    )
    yield _many(
        "connections", "Connections of live accounts", ("provider", "state"), found.connections.items()
    )
    yield _one("circuit_breakers_open", "Connections whose provider has trouble", found.breakers)
    yield _one("provider_breakers_open", "Providers with trouble on most connections", found.silent_providers)


def _of_the_day(found: Vitals) -> Iterable[GaugeMetricFamily]:
    yield _many(
        "events_24h",
        "Events stored in the last 24 hours by their state now",
        ("provider", "state"),
        found.events_of_day.items(),
    )
    yield _many(
        "messages_24h",
        "Messages written in the last 24 hours by their state now",
        ("direction", "state"),
        found.messages_of_day.items(),
    )


def _redis() -> Iterable[GaugeMetricFamily]:
    try:
        found = queues.read(runtime.current().redis)
    except (redis.RedisError, OSError) as error:
        log.warning("metrics.redis", error=type(error).__name__)
        yield _one("redis_up", "1 when Redis answered", 0)
        return
    yield _one("redis_up", "1 when Redis answered", 1)
    yield _of_queues("queue_jobs", "Bells that no worker has heard yet", found, "jobs")
    yield _of_queues("queue_failed_jobs", "Jobs of the last day that ended with an error", found, "failed")
    yield _of_queues("queue_workers", "Workers on the queue", found, "workers")
    yield _of_queues(
        "worker_silent_seconds", "Time since the most silent worker's heartbeat", found, "silent_for"
    )


def _of_queues(name: str, words: str, found: list[QueueState], what: str) -> GaugeMetricFamily:
    return _many(name, words, ("queue",), [((state.name,), getattr(state, what)) for state in found])


def _keyed(counts: Mapping[str, int]) -> list[tuple[tuple[str, ...], int]]:
    return [((state,), count) for state, count in counts.items()]


def _one(name: str, words: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(PREFIX + name, words, value=value)


def _many(
    name: str, words: str, labels: tuple[str, ...], values: Iterable[tuple[tuple[str, ...], float]]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(PREFIX + name, words, labels=labels)
    for key, value in sorted(values):
        family.add_metric(list(key), value)
    return family
