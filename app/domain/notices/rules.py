"""The words for each occasion: what an account starts with, what it made of it, and which rule stands for a calendar.

A calendar's own rule replaces the account's of the same occasion, way and reader, switched off or not. Reminders are told
apart by their time as well only among themselves: a calendar with reminders of its own has none of the account's.
"""

import uuid
from dataclasses import dataclass

from sqlalchemy import or_, select, text
from sqlalchemy.orm import Session

from app.models.account import Account
from app.models.notice import NoticeRule

Key = tuple[str, str, str]


@dataclass(frozen=True)
class Words:
    """A rule as an account starts with it."""

    occasion: str
    channel: str
    audience: str
    body: str
    subject: str = ""
    minutes_before: int = 0


TIMES = "{{calendar.name}}\n{{booking.time}}\n{{booking.where}}"

DEFAULTS: tuple[Words, ...] = (
    Words(
        "confirmed",
        "email",
        "guest",
        f"Hello {{{{guest.first_name}}}},\n\nyou are booked with {{{{account.name}}}}:\n\n{TIMES}\n\n"
        "Change or cancel it here: {{booking.link}}",
        "Booked: {{calendar.name}}, {{booking.time}}",
    ),
    Words(
        "confirmed",
        "sms",
        "guest",
        "{{account.name}}: you are booked for {{calendar.name}}, {{booking.time}}. Change or cancel: {{booking.link}}",
    ),
    Words(
        "requested",
        "email",
        "guest",
        f"Hello {{{{guest.first_name}}}},\n\nwe have your request:\n\n{TIMES}\n\n"
        "It is not booked yet: {{account.name}} will confirm it or propose another time. "
        "See where it stands: {{booking.link}}",
        "Request received: {{calendar.name}}, {{booking.time}}",
    ),
    Words(
        "moved",
        "email",
        "guest",
        f"Hello {{{{guest.first_name}}}},\n\nyour booking with {{{{account.name}}}} has a new time:\n\n{TIMES}\n\n"
        "Does it not suit you? Change or cancel it here: {{booking.link}}",
        "New time: {{calendar.name}}, {{booking.time}}",
    ),
    Words(
        "moved",
        "sms",
        "guest",
        "{{account.name}}: {{calendar.name}} is now {{booking.time}}. Change or cancel: {{booking.link}}",
    ),
    Words(
        "cancelled",
        "email",
        "guest",
        "Hello {{guest.first_name}},\n\nyour booking with {{account.name}} is cancelled:\n\n"
        "{{calendar.name}}\n{{booking.time}}\n\nBook another time here: {{calendar.link}}",
        "Cancelled: {{calendar.name}}, {{booking.time}}",
    ),
    Words(
        "cancelled",
        "sms",
        "guest",
        "{{account.name}}: {{calendar.name}} on {{booking.time}} is cancelled. Another time: {{calendar.link}}",
    ),
    Words(
        "declined",
        "email",
        "guest",
        "Hello {{guest.first_name}},\n\n{{account.name}} cannot take this time:\n\n{{calendar.name}}\n{{booking.time}}\n\n"
        "Choose another one here: {{calendar.link}}",
        "Not possible: {{calendar.name}}, {{booking.time}}",
    ),
    Words(
        "reminder",
        "email",
        "guest",
        f"Hello {{{{guest.first_name}}}},\n\na reminder from {{{{account.name}}}}:\n\n{TIMES}\n\n"
        "Change or cancel it here: {{booking.link}}",
        "Reminder: {{calendar.name}}, {{booking.time}}",
        minutes_before=24 * 60,
    ),
    Words(
        "reminder",
        "sms",
        "guest",
        "{{account.name}}: see you for {{calendar.name}}, {{booking.time}}. Change or cancel: {{booking.link}}",
        minutes_before=120,
    ),
    *(
        Words(
            occasion,
            "email",
            "host",
            f"{{{{guest.name}}}}: {what}\n\n{TIMES}\n\n{{{{guest.contact}}}}\n\nSee it: {{{{booking.host_link}}}}",
            f"{title}: {{{{guest.name}}}}, {{{{booking.time}}}}",
        )
        for occasion, title, what in (
            ("confirmed", "New booking", "a new booking with you."),
            ("requested", "Please confirm", "a request that waits for your answer."),
            ("moved", "Moved", "the booking has a new time."),
            ("cancelled", "Cancelled", "the booking is cancelled."),
        )
    ),
)


def key_of(rule: NoticeRule) -> Key:
    return rule.occasion, rule.channel, rule.audience


def of_account(session: Session, account: Account) -> list[NoticeRule]:
    """The account's own rules; made from the defaults the first time they are asked for."""
    found = _read(session, None)
    if found:
        return found
    # Two bookings at once must not both make them.
    session.execute(
        text("select pg_advisory_xact_lock(hashtextextended(:name, 0))"),
        {"name": f"notice_rules:{account.id}"},
    )
    found = _read(session, None)
    if found:
        return found
    made = [
        NoticeRule(
            account_id=account.id,
            occasion=words.occasion,
            channel=words.channel,
            audience=words.audience,
            minutes_before=words.minutes_before,
            subject=words.subject,
            body=words.body,
        )
        for words in DEFAULTS
    ]
    session.add_all(made)
    session.flush()
    return made


def of_calendar(session: Session, calendar_id: uuid.UUID) -> list[NoticeRule]:
    """The rules that stand for this calendar alone."""
    return _read(session, calendar_id)


def in_force(session: Session, account: Account, calendar_id: uuid.UUID) -> list[NoticeRule]:
    """The rules that are switched on for a calendar."""
    found = session.scalars(
        select(NoticeRule)
        .where(or_(NoticeRule.calendar_id.is_(None), NoticeRule.calendar_id == calendar_id))
        .order_by(NoticeRule.id)
    ).all()
    own = [rule for rule in found if rule.calendar_id is not None]
    general = [rule for rule in found if rule.calendar_id is None] or of_account(session, account)
    taken = {key_of(rule) for rule in own}
    return [rule for rule in (*own, *(r for r in general if key_of(r) not in taken)) if rule.is_active]


def _read(session: Session, calendar_id: uuid.UUID | None) -> list[NoticeRule]:
    return list(
        session.scalars(
            select(NoticeRule)
            .where(NoticeRule.calendar_id.is_not_distinct_from(calendar_id))
            .order_by(NoticeRule.id)
        )
    )
