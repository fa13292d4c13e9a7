"""/metrics: right numbers over all accounts, for those who may read them, and every name described."""

import dataclasses
import re
from datetime import timedelta

import pytest
import redis
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text
from sqlalchemy.orm import Session

from app.core import runtime, schema, tenancy
from app.core.clock import now
from app.core.db import Database
from app.core.ids import first_id_of, new_id
from app.domain import webhooks
from app.models.message import Message
from app.models.webhook_event import WebhookEvent
from tests.conftest import ROOT
from tests.factories import Cast
from tests.web.inbox_rows import connect, talk

Numbers = dict[tuple[str, tuple[str, ...]], float]


def read(client: FlaskClient) -> Numbers:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.content_type.startswith("text/plain; version=0.0.4")
    return {
        (sample.name.removeprefix("levelhead_"), tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def store(cast: Cast, ref: str) -> None:
    webhooks.record(
        provider="twilio",
        connection_id=cast.account.id,
        account_id=cast.account.id,
        kind="inbound",
        external_ref=ref,
        payload={},
        headers={},
    )


def test_numbers_of_all_accounts(client: FlaskClient, session: Session, cast: Cast) -> None:
    connect(cast.account, "+14155550100")
    connect(cast.other_account, "+14155550101")
    for account, number in ((cast.account, "+14155550111"), (cast.other_account, "+14155550112")):
        talk(account, "Rosa Diaz", number)
    with tenancy.session_for(cast.account.id) as inside:
        expected = inside.query(Message).filter_by(kind="message", direction="in").count()
    for ref in ("SM1", "SM2"):
        store(cast, ref)
    row = session.query(WebhookEvent).filter_by(external_ref="SM1").one()
    row.state, row.created_at = "dead", now() - timedelta(minutes=3)
    session.query(WebhookEvent).filter_by(external_ref="SM2").one().created_at = now() - timedelta(minutes=2)
    session.commit()
    found = read(client)
    assert found["postgres_up", ()] == found["redis_up", ()] == 1
    assert (
        found["schema_installed_version", ()]
        == found["schema_known_version", ()]
        == int(schema.known_version())
    )
    assert found["events_open", ("twilio", "dead")] == 1
    assert found["events_open", ("twilio", "waiting")] == 1
    assert 119 < found["events_late_seconds", ()] < 180
    assert found["events_24h", ("twilio", "waiting")] == 1
    assert found["connections", ("twilio", "connected")] == 2
    assert found["messages_24h", ("in", "received")] == 2 * expected
    assert found["outbox_texts", ("waiting",)] == 0
    assert found["queue_workers", ("sends",)] == 0
    assert found["mails", ("failed",)] == 0


def test_ids_find_the_time_they_were_made() -> None:
    assert first_id_of(now() - timedelta(seconds=1)) < new_id() < first_id_of(now() + timedelta(seconds=1))


def test_workers_and_bells(client: FlaskClient, cast: Cast) -> None:
    connection = runtime.current().redis
    heard = (now() - timedelta(seconds=40)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    connection.sadd("rq:workers", "rq:worker:a", "rq:worker:gone")
    connection.hset("rq:worker:a", mapping={"queues": "sends", "last_heartbeat": heard})
    connection.rpush("rq:queue:inbound", "one", "two")
    found = read(client)
    assert found["queue_workers", ("sends",)] == 1
    assert 39 < found["worker_silent_seconds", ("sends",)] < 60
    assert found["queue_jobs", ("inbound",)] == 2


def test_without_postgres_or_redis_it_says_so(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        runtime.current(), "database", Database("postgresql+psycopg://nobody@127.0.0.1:1/none")
    )
    monkeypatch.setattr(runtime.current(), "redis", redis.Redis(port=1))
    found = read(client)
    assert (found["postgres_up", ()], found["redis_up", ()]) == (0, 0)


def test_who_may_read(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    found = runtime.current()
    away = {"environ_base": {"REMOTE_ADDR": "203.0.113.9"}}

    def ask(**values: object) -> int:
        return client.get("/metrics", **values).status_code

    assert ask() == 200
    assert ask(**away) == 401
    assert ask(headers={"X-Forwarded-For": "203.0.113.9"}) == 401
    assert ask(**away, headers={"Authorization": "Bearer "}) == 401
    monkeypatch.setattr(found, "settings", dataclasses.replace(found.settings, metrics_token="let me in"))
    assert ask(**away) == 401
    assert ask(**away, headers={"Authorization": "Bearer let me out"}) == 401
    assert ask(**away, headers={"Authorization": "Bearer let me in"}) == 200


def test_every_name_is_described(client: FlaskClient, cast: Cast) -> None:
    shown = set(re.findall(r"^# TYPE (\S+)", client.get("/metrics").text, re.M))
    described = set(re.findall(r"^\| `(\w+)`", (ROOT / "docs/guides/metrics.md").read_text(), re.M))
    assert shown == described


def test_the_count_gives_no_rows_away(session: Session, cast: Cast) -> None:
    """The function counts behind the fence; the app's role may call it and nobody else."""
    talk(cast.account, "Rosa Diaz", "+14155550111")
    rows = session.execute(
        text("select * from message_states(:since)"), {"since": first_id_of(now().replace(year=2020))}
    )
    assert set(rows.keys()) == {"direction", "state", "messages"}
    rights = session.scalar(text("select proacl::text from pg_proc where proname = 'message_states'"))
    assert "{=X" not in rights and ",=X" not in rights
