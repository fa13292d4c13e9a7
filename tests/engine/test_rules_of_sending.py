"""Quiet hours, quota and consent: what holds or refuses a text, in whose time zone, and until when."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
import time_machine

from app.core import runtime, tenancy
from app.core.clock import now
from app.domain import consent
from app.domain.sending import claim, quiet
from app.models.account import Account
from app.models.consent import ConsentEntry
from tests.engine.conftest import CUSTOMER, Desk
from tests.engine.test_sending import drain_now
from tests.provider import Provider

# 03:30 in Denver, where +1 303 is; 05:30 in New York, where the account is.
NIGHT = datetime(2026, 7, 1, 9, 30, tzinfo=UTC)


def quiet_from_nine_to_eight(account: Account) -> None:
    account.quiet_from, account.quiet_until = time(21), time(8)


def test_quiet_hours_hold_in_the_contacts_zone_and_let_go_by_themselves(
    desk: Desk, provider: Provider
) -> None:
    desk.edit(quiet_from_nine_to_eight)
    with time_machine.travel(NIGHT, tick=True):
        message_id = desk.send("Good morning")
        message = desk.message(message_id)
        assert message.state == "held"
        assert message.send_at == datetime(2026, 7, 1, 14, 0, tzinfo=UTC), "08:00 in Denver"
        assert any("quiet hours until 8:00" in step["text"] for step in message.trace)
    with time_machine.travel(datetime(2026, 7, 1, 14, 0, 1, tzinfo=UTC), tick=True):
        drain_now(desk)
    assert [t["body"] for t in provider.sent()] == ["Good morning"]


def test_an_answer_to_a_text_of_just_now_is_not_held(desk: Desk, provider: Provider) -> None:
    desk.edit(quiet_from_nine_to_eight)
    with time_machine.travel(NIGHT, tick=True):
        desk.hears("Are you open tomorrow?")
        message = desk.message(desk.send("Yes, from nine"))
    assert message.state == "sent"
    assert any("they wrote just now" in step["text"] for step in message.trace)


def test_a_text_queued_by_day_is_held_when_its_turn_comes_at_night(desk: Desk, provider: Provider) -> None:
    desk.edit(quiet_from_nine_to_eight)
    with time_machine.travel(NIGHT - timedelta(hours=10), tick=True):
        message_id = desk.queue("Late turn")
    with time_machine.travel(NIGHT, tick=True):
        drain_now(desk)
    assert desk.message(message_id).state == "held" and provider.sent() == []


@pytest.mark.parametrize(
    ("at", "until"),
    [
        (datetime(2026, 3, 8, 6, 30, tzinfo=UTC), datetime(2026, 3, 8, 12, 0, tzinfo=UTC)),
        (datetime(2026, 11, 1, 5, 30, tzinfo=UTC), datetime(2026, 11, 1, 13, 0, tzinfo=UTC)),
        (datetime(2026, 6, 1, 12, 0, tzinfo=UTC), None),
        (datetime(2026, 6, 1, 11, 59, tzinfo=UTC), datetime(2026, 6, 1, 12, 0, tzinfo=UTC)),
    ],
)
def test_quiet_hours_are_wall_time_across_daylight_saving(at: datetime, until: datetime | None) -> None:
    account = Account(quiet_from=time(21), quiet_until=time(8))
    assert quiet.quiet_until(account, ZoneInfo("America/New_York"), at) == until


def test_the_quota_holds_until_the_accounts_next_day(desk: Desk, provider: Provider) -> None:
    def two_a_day(account: Account) -> None:
        account.daily_message_quota = 2

    desk.edit(two_a_day)
    noon = datetime(2026, 7, 1, 16, 0, tzinfo=UTC)
    with time_machine.travel(noon, tick=True):
        states = [desk.message(desk.send(f"No {n}")).state for n in range(3)]
        third = desk.messages(body="No 2")[0]
    assert states == ["sent", "sent", "held"]
    assert third.send_at == datetime(2026, 7, 2, 4, 0, tzinfo=UTC), "midnight in New York"


def test_stop_refuses_what_waits_and_what_comes_after_and_start_restores(
    desk: Desk, provider: Provider
) -> None:
    waiting = desk.queue("Queued before", send_at=now() + timedelta(hours=1))
    desk.hears("Stop.")
    assert desk.message(waiting).state == "refused" and desk.waiting() == []
    after = desk.message(desk.send("After"))
    assert after.state == "refused" and after.error_text
    assert "START" in after.trace[0]["next"]
    desk.hears("start")
    assert desk.message(desk.send("Welcome back")).state == "sent"
    with tenancy.session_for(desk.account.id) as session:
        ledger = [
            (e.state, e.source, e.wording) for e in session.query(ConsentEntry).order_by(ConsentEntry.at)
        ]
    assert ledger == [("opted_out", "keyword", "Stop."), ("opted_in", "keyword", "start")]
    assert [t["body"] for t in provider.sent()] == ["Welcome back"]


def test_stop_that_comes_between_queue_and_claim_wins(desk: Desk, provider: Provider) -> None:
    message_id = desk.queue("Too late")
    runtime.current().bells.rung.clear()
    at_desk = claim.open_desk(desk.waiting()[0].sender_id)
    assert at_desk is not None
    ids = claim.claim(at_desk, message_id, 10)
    desk.hears("UNSUBSCRIBE")
    assert claim.prepare(at_desk, message_id, ids) == []
    assert desk.message(message_id).state == "refused" and provider.sent() == []


@pytest.mark.parametrize(
    "word", ["STOP", "stopall", "Unsubscribe", "CANCEL", "end", "quit", "revoke", "opt out", "OptOut!"]
)
def test_every_stop_word_counts(desk: Desk, word: str) -> None:
    desk.hears(word)
    assert desk.message(desk.send("x")).state == "refused"


def test_the_providers_own_word_comes_first(desk: Desk) -> None:
    desk.hears("Bitte keine mehr", OptOutType="STOP")
    assert desk.message(desk.send("x")).state == "refused"


@pytest.mark.parametrize(
    "word", ["please stop by at five", "yes please", "the end", "Help me with my booking"]
)
def test_ordinary_sentences_are_no_commands(desk: Desk, word: str) -> None:
    desk.hears(word)
    assert desk.message(desk.send("x")).state == "sent"


def test_an_old_stop_that_arrives_late_does_not_undo_a_newer_start(desk: Desk) -> None:
    desk.hears("START")
    with tenancy.session_for(desk.account.id) as session:
        consent.record(
            session,
            address=CUSTOMER,
            state="opted_out",
            source="keyword",
            wording="STOP",
            at=now() - timedelta(days=1),
        )
        session.commit()
    assert desk.message(desk.send("x")).state == "sent"
