"""While a provider has trouble: one text probes, the rest waits in order, people are told once, and it ends by itself."""

import uuid
from datetime import timedelta

from sqlalchemy import select

from app.core import runtime, tenancy
from app.core.clock import now
from app.core.errors import Permanent, Temporary
from app.domain import connection_banners
from app.domain.operations import overview
from app.domain.sending import breaker, queue, why
from app.models.account import Account
from app.models.breaker import CircuitBreaker, ProviderBreaker
from app.models.connection import Connection, Sender
from app.models.conversation import Conversation
from app.models.message import Message
from app.models.outbox import OutboxEntry
from tests import factories
from tests.conftest import run_jobs
from tests.engine.conftest import Desk
from tests.engine.test_sending import drain_now, later
from tests.provider import TOKEN, Provider
from workers import housekeeping, schedule, sends


def test_an_outage_opens_the_breaker_one_text_probes_and_the_rest_follows_in_order(
    desk: Desk, provider: Provider
) -> None:
    provider.fault("server_error", status=503, path="Messages", method="POST", times=None)
    people = [f"+1303555{n:04d}" for n in range(8)]
    ids = [desk.queue(f"To {n}", to=address) for n, address in enumerate(people)]
    run_jobs()
    asked = len([r for r in provider.requests() if r["method"] == "POST" and "Messages" in r["path"]])
    with tenancy.session_for() as session:
        found = breaker.of(session, desk.connection.id)
        banner = connection_banners.banners(session, desk.account.id)[0]
    assert found is not None and found.reason
    assert banner["kind"] == "warning" and "the next try is" in banner["text"]
    more = desk.queue("Behind the breaker", to="+13035550200")
    drain_now(desk)
    assert len([r for r in provider.requests() if r["method"] == "POST" and "Messages" in r["path"]]) == asked
    with tenancy.session_for(desk.account.id) as session:
        last = why.explain(session, session.get_one(Message, more))[-1]
    assert last.title == "Next try" and "trouble" in last.text
    provider.http.delete(f"{provider.url}/_sim/faults", timeout=5)
    for seconds in (20, 60, 120, 240):
        runtime.current().redis.flushdb()
        with later(seconds):
            drain_now(desk)
    assert sorted(t["body"] for t in provider.sent()) == sorted(
        [*(f"To {n}" for n in range(8)), "Behind the breaker"]
    )
    assert {desk.message(i).state for i in [*ids, more]} == {"sent"}
    with tenancy.session_for() as session:
        assert breaker.of(session, desk.connection.id) is None


class Business:
    """One more account with a connection of its own and one customer."""

    def __init__(self, desk: Desk, provider: Provider, number: int) -> None:
        with tenancy.session_for() as session:
            self.account = factories.make_account(session, desk.cast.agency, f"business-{number}")
            session.commit()
        actor = desk.cast.actor(desk.cast.ana)
        numbers = (f"+1415555{number:04d}",)
        self.connection = provider.connect(self.account, actor, f"AC{number:032d}", TOKEN, *numbers)
        with tenancy.session_for() as session:
            session.query(Sender).update({"per_second": 1000})
            session.query(Account).update({"messages_per_second": 1000})
            self.sender_id = session.scalars(
                select(Sender.id).where(Sender.connection_id == self.connection.id)
            ).one()
            session.commit()
        self.talks = []
        for customer in range(6):
            address = f"+1303555{number:02d}{customer:02d}"
            contact = factories.make_contact(self.account, f"Rosa {customer}", address)
            self.talks.append((factories.make_conversation(self.account, contact), address))

    def queue(self, body: str, count: int = 6) -> list[uuid.UUID]:
        with tenancy.session_for(self.account.id) as session:
            sender = session.get_one(Sender, self.sender_id)
            account = session.get_one(Account, self.account.id)
            made = [
                queue.queue_text(
                    session,
                    account,
                    session.get_one(Conversation, talk.id),
                    to=address,
                    body=body,
                    sender=sender,
                    author_id=None,
                ).id
                for talk, address in self.talks[:count]
            ]
            session.commit()
        return made

    def drain(self) -> None:
        runtime.current().redis.flushdb()
        sends.drain(str(self.sender_id))

    def states(self) -> set[str | None]:
        with tenancy.session_for(self.account.id) as session:
            return set(session.scalars(select(Message.state)))


def asked(provider: Provider) -> int:
    return len([r for r in provider.requests() if r["method"] == "POST" and "Messages" in r["path"]])


def silence(desk: Desk, provider: Provider, count: int = 4) -> list[Business]:
    """So many businesses of one provider that answers 503 to every text."""
    found = [Business(desk, provider, number) for number in range(1, count + 1)]
    provider.fault("server_error", status=503, path="Messages", method="POST", times=None)
    for one in found:
        one.queue("During")
        one.drain()
    runtime.current().bells.rung.clear()
    return found


def look_up(businesses: list[Business]) -> None:
    """The lost answers have been asked about: their texts wait and may probe."""
    with later(16):
        for one in businesses:
            one.drain()
    with tenancy.session_for() as session:
        session.query(OutboxEntry).filter_by(state="waiting").update({"run_at": now()})
        session.commit()


def open_providers() -> list[ProviderBreaker]:
    with tenancy.session_for() as session:
        return list(session.scalars(select(ProviderBreaker)))


def test_when_most_connections_have_trouble_one_text_probes_for_all(desk: Desk, provider: Provider) -> None:
    businesses = silence(desk, provider)
    (found,) = open_providers()
    assert found.provider == "twilio" and found.reason
    look_up(businesses)
    before = asked(provider)
    with later(20):
        for one in businesses:
            one.drain()
    assert asked(provider) == before + 1
    (after,) = open_providers()
    assert after.probes == found.probes + 1 and after.next_probe_at > found.next_probe_at


def test_people_are_told_once(desk: Desk, provider: Provider) -> None:
    businesses = silence(desk, provider)
    one = businesses[0]
    provider.http.delete(f"{provider.url}/_sim/faults", timeout=5)
    provider.connect(one.account, desk.cast.actor(desk.cast.ana), "AC" + "9" * 32, TOKEN, "+14155550999")
    (waiting,) = one.queue("And another", 1)
    with tenancy.session_for() as session:
        (banner,) = connection_banners.banners(session, one.account.id)
        backlog = overview.backlog(session, desk.cast.agency.id)
    assert "Twilio is not answering" in banner["text"] and "the next try is" in banner["text"]
    assert backlog.breakers == []
    assert [(s.name, s.connections, s.waiting) for s in backlog.silent] == [("Twilio", 6, 25)]
    with tenancy.session_for(one.account.id) as session:
        last = why.explain(session, session.get_one(Message, waiting))[-1]
    assert last.title == "Next try" and "Twilio is not answering" in last.text


def test_recovery_is_one_probe_then_each_connection_in_turn(desk: Desk, provider: Provider) -> None:
    businesses = silence(desk, provider)
    provider.http.delete(f"{provider.url}/_sim/faults", timeout=5)
    look_up(businesses[2:3])
    with later(20):
        businesses[2].drain()
        assert open_providers() == []
        with tenancy.session_for() as session:
            rows = session.scalars(select(CircuitBreaker).order_by(CircuitBreaker.next_probe_at)).all()
            others = [one.connection.id for one in businesses if one is not businesses[2]]
            assert [row.connection_id for row in rows] == others
            assert len({row.next_probe_at for row in rows}) == len(others)
            assert all(row.next_probe_at - now() < timedelta(seconds=1) for row in rows)
    for seconds in (25, 60, 120):
        with later(seconds):
            for one in businesses:
                one.drain()
    assert [one.states() for one in businesses] == [{"sent"}] * 4
    with tenancy.session_for() as session:
        assert session.scalars(select(CircuitBreaker)).all() == []
    assert len(provider.sent()) == 24


def test_trouble_of_few_connections_is_theirs_alone(desk: Desk, provider: Provider) -> None:
    """Three with trouble beside two that got something through a moment ago."""
    well = [Business(desk, provider, number) for number in (8, 9)]
    for one in well:
        one.queue("Fine", 1)
        one.drain()
    silence(desk, provider, 3)
    assert open_providers() == []
    with tenancy.session_for() as session:
        assert len(session.scalars(select(CircuitBreaker)).all()) == 3


def test_a_prober_that_died_is_followed_by_another(desk: Desk, provider: Provider) -> None:
    businesses = silence(desk, provider)
    provider.http.delete(f"{provider.url}/_sim/faults", timeout=5)
    look_up(businesses)
    with later(20):
        assert breaker.take_probe(businesses[0].connection.id)
        assert not breaker.take_probe(businesses[1].connection.id)
        businesses[1].drain()
        assert len(open_providers()) == 1
    with later(90):
        businesses[1].drain()
    assert open_providers() == []


def test_a_probe_that_is_refused_for_its_own_sake_lets_the_next_one_probe(
    desk: Desk, provider: Provider
) -> None:
    (one, *_) = silence(desk, provider)
    provider.http.delete(f"{provider.url}/_sim/faults", timeout=5)
    look_up([one])
    with later(20):
        assert breaker.take_probe(one.connection.id)
        with tenancy.session_for() as session:
            connection = session.get_one(Connection, one.connection.id)
        assert breaker.note(connection, [Permanent("No such number.")], probing=True) is None
        (found,) = open_providers()
        assert found.next_probe_at <= now()
        one.drain()
    assert open_providers() == []


def test_batches_that_were_under_way_do_not_put_the_probe_off(desk: Desk, provider: Provider) -> None:
    businesses = silence(desk, provider)
    (found,) = open_providers()
    with tenancy.session_for() as session:
        connection = session.get_one(Connection, businesses[0].connection.id)
    for _ in range(5):
        breaker.note(connection, [Temporary("503")] * 5)
    (after,) = open_providers()
    assert (after.probes, after.next_probe_at) == (found.probes, found.next_probe_at)


def test_nobody_is_rung_while_a_breaker_is_open(desk: Desk, provider: Provider) -> None:
    """An outage with a thousand numbers must not fill the queue with drains that find the door closed."""
    businesses = silence(desk, provider)
    schedule.sweep()
    assert runtime.current().bells.rung == []
    with later(20):
        schedule.sweep()
    rung = {args for _, _, args in runtime.current().bells.rung}
    assert rung == {(str(one.sender_id),) for one in businesses}
    runtime.current().bells.rung.clear()


def test_a_breaker_behind_which_nothing_waits_goes(desk: Desk, provider: Provider) -> None:
    businesses = silence(desk, provider)
    with tenancy.session_for() as session:
        session.query(OutboxEntry).filter_by(account_id=businesses[0].account.id).delete()
        session.commit()
    with later(20):
        housekeeping.each_minute()
        with tenancy.session_for() as session:
            left = set(session.scalars(select(CircuitBreaker.connection_id)))
        assert left == {one.connection.id for one in businesses[1:]} and len(open_providers()) == 1
        with tenancy.session_for() as session:
            session.query(OutboxEntry).delete()
            session.commit()
        housekeeping.each_minute()
        with tenancy.session_for() as session:
            assert session.scalars(select(CircuitBreaker)).all() == [] == open_providers()


def test_a_text_that_is_tried_again_says_why_and_when(desk: Desk, provider: Provider) -> None:
    provider.fault("rate_limited", retry_after=40, path="Messages", times=1)
    message_id = desk.send("Again soon")
    assert desk.message(message_id).state == "queued"
    browser = factories.sign_in(desk.client, desk.cast.ben)
    page = browser.get(f"/a/{desk.account.slug}/inbox/c/{desk.conversation.id}").get_data(as_text=True)
    assert "Next try today at" in page
