"""Two versions work on the same queues while an update is under way: what one does not know is left to the other."""

from types import SimpleNamespace

import pytest
import time_machine
from flask import Flask
from rq import Queue
from rq.registry import FailedJobRegistry, StartedJobRegistry

from app.core import jobs, runtime, tenancy
from app.core.clock import now
from app.domain import webhooks
from app.models.webhook_event import WebhookEvent
from tests.engine.conftest import Desk, desk
from tests.provider import Provider
from workers import boot, inbound, passing

__all__ = ["desk"]
SEEN: list[tuple[object, ...]] = []


def wave(*words: str) -> None:
    SEEN.append(words)


def work(known: frozenset[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boot, "OURS", known)
    connection = runtime.current().redis
    queue = Queue("chores", connection=connection, serializer="json", job_class=boot.OurJob)
    worker = boot.QueueWorker([queue], connection=connection, serializer="json", job_class=boot.OurJob)
    worker.work(burst=True, logging_level="CRITICAL", max_jobs=1)


@pytest.fixture
def queue(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Queue:
    monkeypatch.setattr(passing, "PAUSE_S", 0)
    SEEN.clear()
    return Queue("chores", connection=runtime.current().redis, serializer="json")


NAME = "tests.workers.test_passing.wave"


def test_a_job_of_the_next_version_waits_for_it(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    queue.enqueue(NAME, args=("one",))
    for _ in range(3):
        work(frozenset({jobs.EACH_HOUR.function}), monkeypatch)
        assert (queue.count, SEEN) == (1, [])
    work(frozenset({NAME}), monkeypatch)
    assert (queue.count, SEEN) == (0, [("one",)])
    assert FailedJobRegistry(queue=queue).count == 0 and StartedJobRegistry(queue=queue).count == 0


def test_a_job_with_a_word_more_waits_for_who_takes_it(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    queue.enqueue(jobs.EACH_HOUR.function, args=("a word more",))
    work(boot.OURS, monkeypatch)
    assert queue.count == 1 and FailedJobRegistry(queue=queue).count == 0


def test_a_job_that_nobody_knows_is_dropped_in_the_end(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    queue.enqueue("workers.yesterday.deed")
    for _ in range(passing.MOST_TIMES + 1):
        assert queue.count == 1
        work(boot.OURS, monkeypatch)
    assert queue.count == 0 and FailedJobRegistry(queue=queue).count == 0


def test_junk_in_the_mark_of_a_passed_job_does_no_harm(queue: Queue) -> None:
    job = SimpleNamespace(func_name="x", meta={"passed": "junk"})
    assert passing.pass_on(job) is None and queue.count == 0


def test_an_event_of_a_kind_that_only_the_next_version_knows_is_not_ignored(
    desk: Desk, provider: Provider
) -> None:
    webhooks.record(
        provider="twilio",
        connection_id=desk.connection.id,
        account_id=desk.account.id,
        kind="voice",
        external_ref="CA1",
        payload={"CallSid": "CA1"},
        headers={},
    )
    inbound.drain()
    with tenancy.session_for() as session:
        event = session.query(WebhookEvent).one()
        assert event.state == "failed" and event.next_try_at is not None and event.next_try_at > now()
        assert "does not know events of kind voice" in (event.error or "")
    with time_machine.travel(event.next_try_at, tick=True):
        assert webhooks.is_due()
