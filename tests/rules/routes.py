"""Every route of the app with addresses made for it: ids of one tenant's rows or another's, by the name of the parameter.

A route with a parameter that is not known here fails the rules until somebody says what belongs into it.
"""

import uuid
from dataclasses import dataclass
from datetime import timedelta

from flask import Flask
from sqlalchemy.orm import Session
from werkzeug.routing import Rule

from app.core import tenancy
from app.core.clock import now
from app.domain import custom_fields, media, snippets
from app.domain.booking import book, calendars, schedules
from app.domain.notices import rules as notice_rules
from app.models.account import Account
from app.models.booking import Booking, WaitlistEntry
from app.models.calendar import Calendar
from app.models.contact import ContactPoint
from app.models.linked_calendar import LinkedCalendar
from app.models.mail import Mail
from app.models.replay import Replay
from app.models.schedule import Schedule
from app.models.user import LoginSession, User
from app.models.webhook_event import WebhookEvent
from tests.factories import Cast
from tests.web.inbox_rows import PNG, connect, messages_of, talk

# Parameters that name no row.
WORDS = {
    "deed": "close",
    "key": "first_name",
    "token": "nonsense",
    "filename": "css/app.css",
    "provider": "google",
    "business": "bright-dental",
    "calendar": "nothing",
}
WEBHOOKS = "/webhooks/"


@dataclass(frozen=True)
class Door:
    """One method of one route."""

    rule: Rule
    method: str

    @property
    def is_in_account(self) -> bool:
        return "account" in self.rule.arguments

    @property
    def is_webhook(self) -> bool:
        return self.rule.rule.startswith(WEBHOOKS)

    @property
    def is_for_guests(self) -> bool:
        """Without a session, and so without what CSRF abuses."""
        return self.rule.rule.startswith(("/book/", "/b/"))

    @property
    def row_ids(self) -> set[str]:
        return {name for name in self.rule.arguments if name.endswith("_id")}

    def address(self, app: Flask, values: dict[str, object]) -> str:
        wanted = {name: self._value(app, name, values) for name in self.rule.arguments}
        adapter = app.url_map.bind("localhost")
        return adapter.build(self.rule.endpoint, wanted, method=self.method)

    def _value(self, app: Flask, name: str, values: dict[str, object]) -> object:
        choices = getattr(self.rule._converters.get(name), "items", None)
        if choices:
            return sorted(choices)[0]
        found = values.get(name) or WORDS.get(name)
        assert found, f"{self.rule.rule}: say in tests/rules/routes.py what <{name}> stands for"
        return found

    def __str__(self) -> str:
        return f"{self.method} {self.rule.rule}"


def doors(app: Flask) -> list[Door]:
    return [
        Door(rule, method)
        for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule)
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
        if rule.endpoint != "static"
    ]


def rows_of(cast: Cast, account: Account, person: User) -> dict[str, object]:
    """An id of a row of that account for every parameter; `person` is somebody of its agency."""
    number = f"+1415555{20 if account.id == cast.account.id else 30:04d}"
    sender = connect(account, number)
    conversation = talk(account, "Rosa Diaz", f"{number[:-1]}9")
    with tenancy.session_for(account.id) as session:
        point = session.query(ContactPoint).filter_by(contact_id=conversation.contact_id).one()
        picture = media.store_upload(session, account.id, "a.png", "image/png", PNG, None)
        field = custom_fields.create(session, cast.actor(person), label="Insurance", kind="text")
        snippet = snippets.save(session, None, shortcut="hi", title="", body="Hi", user_id=person.id)
        login = LoginSession(
            user_id=person.id, token_hash=uuid.uuid4().hex, expires_at=conversation.last_at.replace(year=2099)
        )
        session.add(login)
        event = WebhookEvent(
            provider="twilio",
            connection_id=sender.connection_id,
            account_id=account.id,
            kind="inbound",
            external_ref=f"SM{number}",
            payload=b"-",
            state="dead",
        )
        replay = Replay(agency_id=account.agency_id, by_name=person.name, events=0)
        rule = notice_rules.of_account(session, account)[0]
        linked = LinkedCalendar(
            account_id=account.id,
            connection_id=sender.connection_id,
            user_id=person.id,
            ref="work",
            name="Work",
        )
        mail = Mail(
            agency_id=account.agency_id,
            recipient="rosa@example.com",
            subject="Hello",
            kind="booking",
            account_id=account.id,
            contact_id=conversation.contact_id,
        )
        session.add_all([event, replay, linked, mail])
        booking, calendar, schedule = _booked(session, cast, account, person)
        entry = WaitlistEntry(
            account_id=account.id,
            calendar_id=calendar.id,
            contact_id=conversation.contact_id,
            wanted_from=now(),
            wanted_until=now() + timedelta(days=2),
            duration=30,
        )
        session.add(entry)
        session.commit()
    return {
        "account": account.slug,
        "account_id": account.id,
        "contact_id": conversation.contact_id,
        "conversation_id": conversation.id,
        "message_id": messages_of(account, conversation)[0].id,
        "point_id": point.id,
        "attachment_id": picture.id,
        "connection_id": sender.connection_id,
        "sender_id": sender.id,
        "field_id": field.id,
        "snippet_id": snippet.id,
        "user_id": person.id,
        "session_id": login.id,
        "event_id": event.id,
        "mail_id": mail.id,
        "replay_id": replay.id,
        "linked_id": linked.id,
        "calendar_id": calendar.id,
        "schedule_id": schedule.id,
        "appointment_id": booking.appointment_id,
        "booking_id": booking.id,
        "rule_id": rule.id,
        "entry_id": entry.id,
    }


def _booked(
    session: Session, cast: Cast, account: Account, person: User
) -> tuple[Booking, Calendar, Schedule]:
    """A calendar of that person with a booking of the day after tomorrow, and the hours made with it."""
    actor = cast.actor(person)
    calendar = calendars.create(
        session, actor, account, name="Visit", kind="personal", duration=30, host_ids=[person.id]
    )
    at = now() + timedelta(days=2)
    held = book.hold(session, calendar, at, 30, f"rules-{account.slug}", within_rules=False)
    guest = book.Guest(name="Rosa Diaz", email="rosa@example.com", source="staff")
    booking = book.confirm(session, held.id, guest)
    return booking, calendar, schedules.of_account(session)[0]
