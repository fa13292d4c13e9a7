"""What providers sent is erased by age, as the setting says; the row stays, so a repeat is still known as one."""

import dataclasses
from datetime import timedelta

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from app.config import ConfigError, load
from app.core import runtime
from app.core.clock import now
from app.domain import webhooks
from app.models.webhook_event import WebhookEvent
from tests.factories import Cast
from workers import housekeeping


def store(cast: Cast, ref: str) -> bool:
    return webhooks.record(
        provider="twilio",
        connection_id=cast.account.id,
        account_id=cast.account.id,
        kind="inbound",
        external_ref=ref,
        payload={"Body": "Hello"},
        headers={},
    )


def age(session: Session, ref: str, days: int, state: str) -> None:
    session.execute(
        update(WebhookEvent)
        .where(WebhookEvent.external_ref == ref)
        .values(created_at=now() - timedelta(days=days), state=state)
    )
    session.commit()


def kept(session: Session) -> set[str]:
    session.rollback()
    return {row.external_ref for row in session.query(WebhookEvent) if row.payload is not None}


def test_payloads_go_after_the_days_of_the_setting(
    session: Session, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    for ref, days, state in (("old", 8, "done"), ("young", 6, "done"), ("open", 40, "failed")):
        store(cast, ref)
        age(session, ref, days, state)
    found = runtime.current()
    monkeypatch.setattr(found, "settings", dataclasses.replace(found.settings, webhook_payload_days=7))
    housekeeping.each_hour()
    assert kept(session) == {"young", "open"}
    assert store(cast, "old") is False


def test_a_job_that_ends_early_has_erased_something_for_good(
    session: Session, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Years of data and a setting that was lowered: more than one job can do."""
    monkeypatch.setattr(webhooks, "ERASED_AT_ONCE", 2)
    for number in range(5):
        store(cast, f"SM{number}")
        age(session, f"SM{number}", 40, "done")
    steps = iter([True, False])
    assert webhooks.erase_payloads(timedelta(days=30), lambda: next(steps)) == 2
    assert kept(session) == {"SM2", "SM3", "SM4"}
    assert webhooks.erase_payloads(timedelta(days=30), lambda: True) == 3
    assert kept(session) == set()


def test_the_setting_is_30_days_and_a_number() -> None:
    needed = {
        "LEVELHEAD_ENV": "test",
        "SECRET_KEY": "s" * 32,
        "ENCRYPTION_KEYS": "a:" + "a" * 43,
        "DATABASE_URL": "postgresql://x/y",
        "REDIS_URL": "redis://x",
        "PUBLIC_URL": "https://x.test",
    }
    assert load(needed).webhook_payload_days == 30
    with pytest.raises(ConfigError, match="WEBHOOK_PAYLOAD_DAYS must be a whole number"):
        load(needed | {"WEBHOOK_PAYLOAD_DAYS": "a month"})
