"""What lies before and behind each call: quotas with weights, the breaker, the counts; and the dated records of limits."""

import uuid
from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient

from app.core import quota, tenancy
from app.core.errors import NeedsReconnect, RateLimited, Temporary
from app.core.quota import Bucket
from app.domain import tokens
from app.domain.sending import breaker
from app.integrations import gate, quotas
from app.integrations.gate import ConnectionGate
from app.integrations.standing import standings
from app.models.breaker import CircuitBreaker
from app.models.connection import Connection
from tests.consent import Google, connect, only_connection
from tests.factories import Cast, sign_in

NOW = datetime(2030, 3, 4, 12, tzinfo=UTC)


@pytest.fixture
def made(client: FlaskClient, cast: Cast, google: Google) -> Connection:
    connect(sign_in(client, cast.ana), google, "/a/bright-dental/connect/google")
    return only_connection()


@pytest.mark.usefixtures("app")
def test_units_are_taken_all_or_none() -> None:
    small, large = Bucket("small", 20, 3600), Bucket("large", 200, 3600)
    assert quota.take([small, large], 8) == 0
    wait = quota.take([small, large], 5)
    assert wait > 0
    assert quota.left([small, large]) == pytest.approx([0.2, 0.92], abs=0.01)
    assert quota.take([small, large], 2) == 0


@pytest.mark.usefixtures("app")
def test_no_window_sees_more_than_is_allowed() -> None:
    bucket = Bucket("window", 10, 1)
    taken = sum(quota.take([bucket], 1) == 0 for _ in range(20))
    assert 5 <= taken <= 6


def test_without_redis_calls_go(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> None:
        raise OSError

    monkeypatch.setattr("redis.Redis.register_script", away)
    monkeypatch.setattr("redis.Redis.pipeline", away)
    assert quota.take([Bucket("x", 1, 1)], 5) == 0
    assert quota.left([Bucket("x", 1, 1)]) == [None]


def test_limits_are_dated() -> None:
    kinds = {(q.whose, q.amount) for q in quotas.in_force("google", "gmail", date(2026, 4, 30))}
    assert kinds == {("user", 15_000)}
    assert {(q.whose, q.amount) for q in quotas.in_force("google", "gmail", date(2026, 5, 1))} == {
        ("user", 6_000)
    }
    assert all(record.source.startswith("https://") for record in quotas.QUOTAS)
    mine, everybodys = sorted(quotas.buckets("google", "calendar", uuid.uuid4()), key=lambda b: b.amount)[:2]
    assert (mine.amount, everybodys.amount) == (600, 10_000)


def test_a_gate_without_patience(made: Connection) -> None:
    own = ConnectionGate(made.id, "Google", [Bucket("tiny", 2, 3600)])
    own.enter(1, 0)
    with pytest.raises(RateLimited) as caught:
        own.enter(1, 0.05)
    assert caught.value.after and caught.value.after > 1


def test_trouble_opens_the_breaker_and_success_closes_it(made: Connection) -> None:
    own = ConnectionGate(made.id, "Google", [])
    for _ in range(5):
        own.enter(1, 0)
        own.leave(Temporary("Away."))
    with pytest.raises(Temporary) as caught:
        own.enter(1, 0)
    assert caught.value.code == "breaker_open"
    own.leave(None)
    own.enter(1, 0)


def test_an_open_breaker_of_a_connection_in_use_is_kept(made: Connection) -> None:
    """No text ever waits behind it; its next call probes."""
    own = ConnectionGate(made.id, "Google", [])
    with time_machine.travel(NOW, tick=False) as clock:
        for _ in range(5):
            own.leave(Temporary("Away."))
        clock.shift(timedelta(minutes=5))
        breaker.forget_idle()
        with tenancy.session_for() as session:
            kept = session.get_one(CircuitBreaker, made.id)
            assert kept.probes == 0 and kept.next_probe_at < NOW + timedelta(minutes=5)
        own.enter(1, 0)
        own.leave(Temporary("Still away."))
        with tenancy.session_for() as session:
            assert session.get_one(CircuitBreaker, made.id).probes == 1, "the waits go on growing"
        clock.shift(timedelta(hours=2))
        breaker.forget_idle()
        with tenancy.session_for() as session:
            assert session.get(CircuitBreaker, made.id) is None, "nobody asks any more"


def test_a_breaker_of_a_connection_that_was_lost_goes(made: Connection) -> None:
    own = ConnectionGate(made.id, "Google", [])
    with time_machine.travel(NOW, tick=False) as clock:
        for _ in range(5):
            own.leave(Temporary("Away."))
        tokens.end(made.id, made.token_version, "revoked", "Withdrawn.")
        clock.shift(timedelta(minutes=5))
        breaker.forget_idle()
    with tenancy.session_for() as session:
        assert session.get(CircuitBreaker, made.id) is None


def test_refusals_are_no_trouble_but_count(made: Connection) -> None:
    own = ConnectionGate(made.id, "Google", [])
    for _ in range(8):
        own.leave(NeedsReconnect("No."))
    own.enter(1, 0)
    own.leave(None)
    how = standings([made])[made.id]
    assert (how.calls, how.bad, how.bad_percent) == (9, 8, 89)
    assert how.quota_percent == 100
    assert gate.counts([uuid.uuid4()]).popitem()[1].calls == 0
