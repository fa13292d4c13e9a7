"""Delivery reports: any order, any number of times, also before our own answer."""

import itertools
import random

import pytest

from app.core import runtime, tenancy
from app.models.webhook_event import WebhookEvent
from tests.conftest import run_jobs
from tests.engine.conftest import Desk
from tests.engine.test_sending import drain_now
from tests.provider import Provider, new_ref, post_webhook, status_form


@pytest.mark.parametrize("order", list(itertools.permutations(["queued", "sent", "delivered"])))
def test_order_does_not_matter(desk: Desk, order: tuple[str, ...]) -> None:
    message_id = desk.send()
    for status in order:
        desk.reports(message_id, status)
    message = desk.message(message_id)
    assert message.state == "delivered" and message.delivered_at is not None
    kept = [outcome for step, outcome in desk.events(message_id) if step == "report"]
    assert kept == list(order), "every report is kept"


@pytest.mark.parametrize("order", list(itertools.permutations(["sent", "undelivered", "delivered"])))
def test_a_failure_is_the_last_word(desk: Desk, order: tuple[str, ...]) -> None:
    message_id = desk.send()
    for status in order:
        extra = {"ErrorCode": "30005"} if status == "undelivered" else {}
        desk.reports(message_id, status, **extra)
    message = desk.message(message_id)
    assert message.state == "failed" and message.error_code == "30005" and message.error_text


def test_ten_repeats_in_random_order_are_the_same_as_once(desk: Desk) -> None:
    message_id = desk.send()
    statuses = ["queued", "sent", "delivered"] * 10
    random.Random(3).shuffle(statuses)
    for status in statuses:
        desk.reports(message_id, status)
    assert desk.message(message_id).state == "delivered"
    assert len([1 for step, _ in desk.events(message_id) if step == "report"]) == 3


def test_a_report_that_comes_before_our_own_answer_is_kept(desk: Desk, provider: Provider) -> None:
    message_id = desk.queue("Early")
    runtime.current().bells.rung.clear()
    ref = new_ref()
    desk.reports(message_id, "sent", ref)
    assert (desk.message(message_id).provider_ref, desk.message(message_id).state) == (ref, "sent")
    run_jobs()
    drain_now(desk)
    assert provider.sent() == [], "the provider has it: it is not sent again"


def test_a_report_about_a_text_of_somebody_else_is_ignored_with_a_reason(desk: Desk) -> None:
    form = status_form(new_ref(), "delivered")
    assert post_webhook(desk.client, desk.connection.id, "status", form).status_code == 200
    run_jobs()
    with tenancy.session_for() as session:
        event = session.query(WebhookEvent).one()
        assert event.state == "ignored" and event.error


def test_21610_in_a_report_opts_out(desk: Desk) -> None:
    message_id = desk.send()
    desk.reports(message_id, "failed", ErrorCode="21610")
    assert desk.message(desk.send("again")).state == "refused"


def test_a_text_from_an_unknown_number_makes_one_contact_and_conversation(desk: Desk) -> None:
    desk.hears("Hi", "+13035550123")
    desk.hears("Again", "+13035550123")
    found = desk.messages(address="+13035550123", direction="in")
    assert [m.body for m in found] == ["Hi", "Again"] and len({m.conversation_id for m in found}) == 1
