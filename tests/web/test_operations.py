"""The operator's desk: who may see it, what it shows, and that a replay does exactly what it says."""

import re
import uuid
from datetime import timedelta

import pytest
import redis
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.core import pulse, runtime, tenancy
from app.core.clock import now
from app.domain import mails, webhook_drain, webhooks
from app.domain.operations import overview
from app.models.audit import AuditEntry
from app.models.breaker import CircuitBreaker
from app.models.connection import Connection
from app.models.contact import Contact
from app.models.mail import Mail
from app.models.message import Message
from app.models.webhook_event import WebhookEvent
from tests.conftest import run_jobs
from tests.factories import Cast, make_account, sign_in
from tests.provider import Provider, inbound_form, new_ref, post_webhook
from tests.rules.test_queries import is_query
from tests.web.inbox_rows import connect, counting, inside, talk

DESK = "/agency/operations"
PAGES = (
    DESK,
    f"{DESK}/now",
    f"{DESK}/throughput",
    f"{DESK}/outgoing",
    f"{DESK}/events",
    f"{DESK}/replays/new",
)
# Pieces of the page, asked for by htmx.
PIECES = (f"{DESK}/now", f"{DESK}/throughput", "/palette")
HTMX = {"HX-Request": "true"}


@pytest.fixture
def ana(app: Flask, cast: Cast) -> FlaskClient:
    return sign_in(app.test_client(), cast.ana)


@pytest.fixture
def line(provider: Provider, cast: Cast) -> Connection:
    return provider.connect(cast.account, cast.actor(cast.ana))


def page_of(client: FlaskClient, path: str) -> str:
    answer = client.get(path, headers=HTMX if path.startswith(PIECES) else None)
    assert answer.status_code == 200, (path, answer.status_code)
    return answer.get_data(as_text=True)


def come_in(client: FlaskClient, line: Connection, body: str = "Hello", **values: str) -> WebhookEvent:
    """A text as the provider posts it; not handled yet."""
    form = inbound_form(Body=body, **values)
    assert post_webhook(client, line.id, "inbound", form).status_code == 200
    with tenancy.session_for() as session:
        return session.scalars(
            select(WebhookEvent).where(WebhookEvent.external_ref == form["MessageSid"])
        ).one()


def kill(*events: WebhookEvent, error: str = "KeyError: 'From'", state: str = "dead") -> None:
    with tenancy.session_for() as session:
        session.execute(
            update(WebhookEvent)
            .where(WebhookEvent.id.in_([event.id for event in events]))
            .values(state=state, error=error, attempts=12)
        )
        session.commit()
    runtime.current().bells.rung.clear()


def state_of(event: WebhookEvent) -> tuple[str, str | None]:
    with tenancy.session_for() as session:
        found = session.get_one(WebhookEvent, event.id)
        return found.state, found.error


def texts_in(cast: Cast) -> list[str]:
    with inside(cast.account) as session:
        return list(
            session.scalars(select(Message.body).where(Message.direction == "in").order_by(Message.id))
        )


def audited(session: Session, action: str) -> list[AuditEntry]:
    session.rollback()
    return list(
        session.scalars(select(AuditEntry).where(AuditEntry.action == action).order_by(AuditEntry.id))
    )


def hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found, name
    return found[1]


def test_only_owners_see_the_desk(client: FlaskClient, cast: Cast) -> None:
    for person, expected in ((cast.ben, 403), (cast.cleo, 404)):
        sign_in(client, person)
        for path in PAGES:
            assert client.get(path).status_code == expected, path
        assert client.post(f"{DESK}/replays", data={"upto": "9"}).status_code == expected
        assert "Operations" not in page_of(client, "/palette?q=")
        assert DESK not in page_of(client, "/a/bright-dental/contacts")
    sign_in(client, cast.ana)
    assert DESK in page_of(client, "/agency/accounts")
    assert "Dead letters" in page_of(client, "/palette?q=dead")


def test_a_quiet_house_says_so(ana: FlaskClient) -> None:
    page = page_of(ana, DESK)
    assert page.count("All quiet") == 4
    assert "Nobody works on the queues <strong>inbound</strong>, <strong>sends</strong>" in page
    assert "All quiet" in page_of(ana, f"{DESK}/events?state=trouble")
    assert "No events yet" in page_of(ana, f"{DESK}/events")
    assert "All quiet" in page_of(ana, f"{DESK}/outgoing")
    assert "Nothing fits" in page_of(ana, f"{DESK}/events?state=done&q=nobody")


def test_the_desk_shows_what_waits_and_says_nothing_when_nothing_changed(
    ana: FlaskClient, client: FlaskClient, line: Connection
) -> None:
    seen = re.search(r"now\?seen=(\w+)", page_of(ana, DESK))
    assert seen and ana.get(f"{DESK}/now?seen={seen[1]}", headers=HTMX).status_code == 204
    kill(come_in(client, line))
    come_in(client, line)
    answer = ana.get(f"{DESK}/now?seen={seen[1]}", headers=HTMX).get_data(as_text=True)
    assert re.search(
        r"Waiting</dt>\s*<dd><span class=\"numeric\">1</span><span class=\"depth-age\">just now", answer
    )
    assert re.search(r"Dead letters</a></dt>\s*<dd><span class=\"numeric\">1</span>", answer)
    assert "Events handled in the last hour: 0" in page_of(ana, f"{DESK}/throughput")
    run_jobs()
    flow = page_of(ana, f"{DESK}/throughput")
    assert "Events handled in the last hour: 1" in flow
    assert "Texts received in the last 24 hours: 2" in flow


def test_signs_of_life(ana: FlaskClient) -> None:
    connection = runtime.current().redis
    for name, heard in (("inbound-1", now()), ("sends-1", now() - timedelta(minutes=9))):
        key = f"rq:worker:{name}"
        connection.sadd("rq:workers", key)
        connection.hset(
            key,
            mapping={
                "queues": name.partition("-")[0],
                "state": "idle",
                "last_heartbeat": heard.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
                "successful_job_count": "1234",
            },
        )
    pulse.scheduler_beats(connection)
    page = page_of(ana, DESK)
    assert "1,234 jobs done" in page and "heard just now" in page and "9 minutes ago" in page
    assert (
        "Nobody works on the queues <strong>sends</strong>, <strong>syncs</strong>, <strong>chores</strong>:"
        in page
    )
    assert "The scheduler gives no sign" not in page


def test_redis_away_is_said_and_the_page_still_works(
    ana: FlaskClient, line: Connection, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    come_in(client, line)
    away = redis.Redis.from_url("redis://127.0.0.1:1", socket_connect_timeout=1)
    monkeypatch.setattr(runtime.current(), "redis", away)
    page = page_of(ana, DESK)
    assert "Redis cannot be reached" in page and "Not known while Redis is away" in page
    assert "Incoming events" in page


def test_an_open_breaker_is_shown(ana: FlaskClient, line: Connection) -> None:
    with tenancy.session_for() as session:
        session.add(
            CircuitBreaker(
                connection_id=line.id,
                next_probe_at=now() + timedelta(minutes=1),
                reason="Twilio answers 503.",
            )
        )
        session.commit()
    page = page_of(ana, DESK)
    assert "Twilio answers 503." in page and "0 texts wait" in page


def test_events_are_narrowed_by_each_filter(
    ana: FlaskClient, client: FlaskClient, cast: Cast, line: Connection
) -> None:
    rosa = come_in(client, line, From="+13035550111")
    run_jobs()
    dead = come_in(client, line, From="+13035550122")
    kill(dead)
    with inside(cast.account) as session:
        session.execute(update(Contact).values(search="rosa diaz +13035550111 3035550111"))
        session.commit()
    both = {rosa.external_ref, dead.external_ref}
    yesterday, tomorrow = (f"{(now() + timedelta(days=days)):%Y-%m-%dT%H:%M}" for days in (-1, 1))
    for query, expected in (
        ("", both),
        ("state=done", {rosa.external_ref}),
        ("state=trouble", {dead.external_ref}),
        ("state=dead", {dead.external_ref}),
        ("state=working", set()),
        ("state=nonsense", both),
        ("kind=inbound", both),
        ("kind=status", set()),
        ("provider=twilio", both),
        (f"account={cast.account.id}", both),
        (f"account={cast.other_account.id}", both),
        ("q=rosa", {rosa.external_ref}),
        ("q=303-555-0111", {rosa.external_ref}),
        ("q=nobody", set()),
        (f"q={dead.external_ref}", {dead.external_ref}),
        (f"since={yesterday}&until={tomorrow}", both),
        (f"since={tomorrow}", set()),
        (f"until={yesterday}", set()),
        ("before=nonsense&since=nonsense&account=nonsense&reason=nonsense&upto=x", both),
    ):
        page = page_of(ana, f"{DESK}/events?{query}")
        assert {ref for ref in both if f">{ref}<" in page} == expected, query


def test_pages_go_on_where_the_last_one_ended(ana: FlaskClient, cast: Cast, line: Connection) -> None:
    with tenancy.session_for() as session:
        second = make_account(session, cast.agency, "second")
        for number in range(120):
            account = cast.account if number % 3 else second
            session.add(
                WebhookEvent(
                    provider="twilio",
                    connection_id=line.id,
                    account_id=account.id,
                    kind="inbound",
                    external_ref=f"SM{number:04}",
                    payload=b"-",
                    state="dead" if number % 2 else "failed",
                    error="It broke." if number % 4 else "It broke otherwise.",
                )
            )
            session.flush()
        session.commit()
    address, seen = f"{DESK}/events?state=trouble", []
    while address:
        page = page_of(ana, address)
        seen += re.findall(r">SM(\d{4})<", page)
        older = re.search(r'rel="next" href="([^"]+)"', page)
        address = older[1].replace("&amp;", "&") if older else ""
    assert seen == [f"{number:04}" for number in reversed(range(120))]
    page = page_of(ana, f"{DESK}/events?state=trouble")
    digest = re.search(r'reason=(\w{32})[^>]*><span class="reason-count numeric">30<', page)
    assert digest, "30 of 120 broke otherwise"
    assert "Handle 30 events again?" in page_of(ana, f"{DESK}/replays/new?state=trouble&reason={digest[1]}")


def test_a_dead_letter_is_replayed_once_and_the_page_says_what_changed(
    ana: FlaskClient, client: FlaskClient, cast: Cast, line: Connection, session: Session
) -> None:
    dead = come_in(client, line, "Is Friday free?")
    kill(dead)
    preview = page_of(ana, f"{DESK}/replays/new?event={dead.id}")
    assert "Handle 1 event again?" in preview
    answer = ana.post(f"{DESK}/replays", data={"event": str(dead.id), "upto": hidden(preview, "upto")})
    record = answer.location
    waits = page_of(ana, record)
    assert "Handling 1 event" in waits and "Not handled yet" in waits and "every-tick" in waits
    run_jobs()
    assert texts_in(cast) == ["Is Friday free?"]
    done = page_of(ana, record)
    assert (
        "New contact and message of" in done and "Open the conversation" in done and "every-tick" not in done
    )
    assert state_of(dead) == ("done", None)

    again = ana.post(f"{DESK}/replays", data={"event": str(dead.id)}).location
    assert again != record
    run_jobs()
    assert texts_in(cast) == ["Is Friday free?"]
    assert "Nothing changed: it was there already" in page_of(ana, again)
    assert "New contact and message of" in page_of(ana, record)
    detail = page_of(ana, f"{DESK}/events/{dead.id}")
    assert detail.count("Replayed by Ana Alves") == 2 and "is in the conversation" in detail
    entries = audited(session, "event.replayed")
    assert [(e.subject, e.detail["count"], e.account_id) for e in entries] == [
        (dead.external_ref, 1, cast.account.id)
    ] * 2


def test_all_that_fit_are_replayed_but_not_what_came_later(
    ana: FlaskClient, client: FlaskClient, cast: Cast, line: Connection, session: Session
) -> None:
    first = [come_in(client, line, f"Text {number}") for number in range(3)]
    kill(*first)
    preview = page_of(ana, f"{DESK}/replays/new?state=trouble")
    assert "Handle 3 events again?" in preview
    later = come_in(client, line, "Later")
    kill(later)
    data = {"state": "trouble", "upto": hidden(preview, "upto")}
    record = ana.post(f"{DESK}/replays", data=data).location
    run_jobs()
    assert texts_in(cast) == ["Text 0", "Text 1", "Text 2"]
    assert state_of(later)[0] == "dead"
    assert "3</dd>" in page_of(ana, record)
    assert [e.subject for e in audited(session, "event.replayed")] == ["3 events"]
    answer = ana.post(f"{DESK}/replays", data=data)
    assert answer.location.startswith(f"{DESK}/events") and len(audited(session, "event.replayed")) == 1
    assert ana.post(f"{DESK}/replays").status_code == 404


def test_a_replay_that_fails_again_says_so(
    ana: FlaskClient, client: FlaskClient, line: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = come_in(client, line)
    kill(dead)
    record = ana.post(f"{DESK}/replays", data={"event": str(dead.id)}).location
    webhook_drain.drain(_break, lambda: True)
    page = page_of(ana, record)
    assert "It failed again" in page and "RuntimeError: still broken" in page


def _break(session: Session, event: webhooks.Event) -> webhooks.Effect:
    raise RuntimeError("still broken")


def test_what_is_under_way_or_erased_is_left_alone(
    ana: FlaskClient, client: FlaskClient, line: Connection
) -> None:
    waiting, erased = come_in(client, line), come_in(client, line)
    kill(erased)
    with tenancy.session_for() as session:
        session.execute(update(WebhookEvent).where(WebhookEvent.id == erased.id).values(payload=None))
        session.commit()
    page = page_of(ana, f"{DESK}/replays/new?event={waiting.id}&event={erased.id}")
    assert "Nothing to replay" in page
    ana.post(f"{DESK}/replays", data={"event": [str(waiting.id), str(erased.id)]})
    assert (state_of(waiting)[0], state_of(erased)[0]) == ("waiting", "dead")
    detail = page_of(ana, f"{DESK}/events/{erased.id}")
    assert "erased by age" in detail and "Show content" not in detail
    assert ana.post(f"{DESK}/events/{erased.id}/content").status_code == 404


def test_the_content_is_sealed_until_somebody_asks_and_the_look_is_noted(
    ana: FlaskClient, client: FlaskClient, cast: Cast, line: Connection, session: Session
) -> None:
    event = come_in(client, line, "My tooth hurts")
    assert "My tooth hurts" not in page_of(ana, f"{DESK}/events/{event.id}")
    assert ana.get(f"{DESK}/events/{event.id}/content").status_code == 405
    assert audited(session, "event.content_shown") == []
    for headers in ({}, {"HX-Request": "true"}):
        answer = ana.post(f"{DESK}/events/{event.id}/content", headers=headers)
        assert "My tooth hurts" in answer.get_data(as_text=True)
        assert answer.headers["Cache-Control"] == "no-store"
    entries = audited(session, "event.content_shown")
    assert [(e.actor, e.subject, e.account_id) for e in entries] == [
        ("Ana Alves", event.external_ref, cast.account.id)
    ] * 2
    assert "read the content of the event" in page_of(ana, "/agency/audit?kind=event.")


def test_giving_up_names_the_person_and_can_be_taken_back(
    ana: FlaskClient, client: FlaskClient, line: Connection, session: Session
) -> None:
    dead, fine = come_in(client, line), come_in(client, line)
    run_jobs()
    kill(dead)
    assert "Give up" in page_of(ana, f"{DESK}/events/{dead.id}")
    for event in (dead, fine):
        assert ana.post(f"{DESK}/events/{event.id}/give-up").status_code == 303
    assert state_of(dead) == ("ignored", "Given up by Ana Alves. It had failed: KeyError: 'From'")
    assert state_of(fine)[0] == "done"
    assert [e.subject for e in audited(session, "event.given_up")] == [dead.external_ref]
    assert "Handle 1 event again?" in page_of(ana, f"{DESK}/replays/new?event={dead.id}")


def test_another_agencys_owner_sees_and_replays_nothing_of_ours(
    ana: FlaskClient, app: Flask, client: FlaskClient, cast: Cast, line: Connection, session: Session
) -> None:
    dead, waiting = come_in(client, line), come_in(client, line)
    kill(dead)
    _fail_a_text(cast, "The carrier was away.")
    record = ana.post(f"{DESK}/replays", data={"event": str(dead.id)}).location
    kill(dead)
    dan = sign_in(app.test_client(), cast.dan)
    for path in (*PAGES, f"{DESK}/events?account={cast.account.id}", f"{DESK}/events?q={dead.external_ref}"):
        page = page_of(dan, path)
        assert dead.external_ref not in page.replace(f'value="{dead.external_ref}"', ""), path
        assert "Bright Dental" not in page, path
    assert "carrier was away" not in page_of(dan, f"{DESK}/outgoing?account={cast.account.id}")
    assert page_of(dan, f"{DESK}/now").count("All quiet") == 4
    assert "Texts received in the last hour: 0" in page_of(dan, f"{DESK}/throughput")
    assert "Nothing to replay" in page_of(dan, f"{DESK}/replays/new?event={dead.id}")
    assert dan.get(f"{DESK}/events/{dead.id}").status_code == 404
    assert dan.get(record).status_code == 404
    for path in (f"{DESK}/events/{dead.id}/content", f"{DESK}/events/{dead.id}/give-up"):
        assert dan.post(path).status_code == 404
    dan.post(f"{DESK}/replays", data={"event": str(dead.id)})
    dan.post(f"{DESK}/replays", data={"upto": "999999"})
    assert (state_of(dead)[0], state_of(waiting)[0]) == ("dead", "waiting")
    assert audited(session, "event.content_shown") == []


def _fail_a_text(cast: Cast, error: str, **values: object) -> uuid.UUID:
    talk_with = talk(cast.account, "Rosa Diaz", "+13035550155")
    with inside(cast.account) as session:
        message = Message(
            account_id=cast.account.id,
            conversation_id=talk_with.id,
            contact_id=talk_with.contact_id,
            kind="message",
            direction="out",
            channel="sms",
            address="+13035550155",
            body="Secret words",
            state="failed",
            error_text=error,
            can_retry=True,
            seq=90,
            changed_seq=90,
            provider_ref=new_ref(),
        )
        for name, value in values.items():
            setattr(message, name, value)
        session.add(message)
        session.commit()
        return talk_with.id


def test_texts_that_need_a_look_lead_to_their_conversation(ana: FlaskClient, cast: Cast) -> None:
    sender = connect(cast.account)
    conversation_id = _fail_a_text(cast, "The carrier was away.", sender_id=sender.id)
    address = f"/a/bright-dental/inbox/c/{conversation_id}"
    for query, shown in (
        ("", True),
        ("?state=failed", True),
        ("?state=all&provider=twilio&q=rosa", True),
        ("?state=delivered", False),
        ("?q=nobody", False),
        (f"?since={(now() + timedelta(days=1)):%Y-%m-%d}", False),
    ):
        page = page_of(ana, f"{DESK}/outgoing{query}")
        assert (address in page) is shown, query
        assert "Secret words" not in page
    with inside(cast.account) as session:
        session.execute(update(Message).where(Message.direction == "out").values(can_retry=False))
        session.commit()
    assert address not in page_of(ana, f"{DESK}/outgoing")
    assert ana.get(address).status_code == 200


def test_the_number_of_queries_is_fixed(
    ana: FlaskClient, client: FlaskClient, cast: Cast, line: Connection
) -> None:
    dead = come_in(client, line)
    kill(dead)
    _fail_a_text(cast, "Away.")
    record = ana.post(f"{DESK}/replays", data={"event": str(dead.id)}).location
    run_jobs()
    pages = (*PAGES, f"{DESK}/events?state=trouble&q=rosa", f"{DESK}/events/{dead.id}", record)
    few = {path: _queries(ana, path) for path in pages}
    with tenancy.session_for() as session:
        for number in range(15):
            make_account(session, cast.agency, f"more-{number}")
        session.commit()
    kill(*(come_in(client, line, f"Text {number}") for number in range(60)))
    for path in pages:
        many = _queries(ana, path)
        assert len(many) == len(few[path]) <= 12, "\n".join([path, *many])


def _queries(client: FlaskClient, path: str) -> list[str]:
    with counting() as found:
        page_of(client, path)
    return [" ".join(statement.split())[:160] for statement in found.statements if is_query(statement)]


def test_a_changed_calendar_has_words_of_its_own_and_is_found(ana: FlaskClient, line: Connection) -> None:
    text = come_in(ana, line)
    webhooks.record(
        provider="google",
        connection_id=line.id,
        account_id=line.account_id,
        kind="calendar_push",
        external_ref="channel:7",
        payload={"state": "exists"},
        headers={},
    )
    page = page_of(ana, "/agency/operations/events")
    assert "Calendar_push" not in page
    found = page_of(ana, "/agency/operations/events?kind=calendar_push")
    assert "channel:7" in found
    assert text.external_ref not in found
    with tenancy.session_for() as session:
        event = session.scalars(select(WebhookEvent).where(WebhookEvent.external_ref == "channel:7")).one()
    assert "<h1>Calendar changed</h1>" in page_of(ana, f"/agency/operations/events/{event.id}")
    shown = ana.post(f"/agency/operations/events/{event.id}/content").text
    assert "exists" in shown


def test_a_mail_that_was_given_up_is_seen_for_a_day(ana: FlaskClient, cast: Cast, session: Session) -> None:
    for subject in ("Hello", "Hello again"):
        mails.queue_mail(
            session,
            agency_id=cast.agency.id,
            recipient="a@b.test",
            subject=subject,
            kind="reset",
            body_text="x",
        )
    session.commit()
    first = session.scalars(select(Mail).where(Mail.subject == "Hello")).one()
    mails.mark_failed(session, first.id, "The mail server refused the recipient (550): no such user")
    session.commit()
    found = overview.backlog(session, cast.agency.id).mails
    assert {name: depth.rows for name, depth in found.items()} == {"waiting": 1, "sending": 0, "failed": 1}
    card = page_of(ana, "/agency/operations").partition('id="queue-mails"')[2].partition("</section>")[0]
    assert re.search(r"Given up in 24 hours</a></dt>\s*<dd><span class=\"numeric\">1</span>", card)
    with time_machine.travel(now() + timedelta(days=2)):
        assert overview.backlog(session, cast.agency.id).mails["failed"].rows == 0
