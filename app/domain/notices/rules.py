"""The words for each occasion: what an account starts with, what it made of it, and which rule stands for a calendar.

A calendar's own rule replaces the account's of the same occasion, way and reader, switched off or not. Reminders are told
apart by their time as well only among themselves: a calendar with reminders of its own has none of the account's.
"""

import uuid
from dataclasses import dataclass

from sqlalchemy import or_, select, text
from sqlalchemy.orm import Session

from app.core.actor import Actor
from app.core.clock import now
from app.core.errors import Invalid, NotFound
from app.core.folding import clean
from app.domain import audit
from app.domain.notices import words
from app.models.account import Account
from app.models.calendar import Calendar
from app.models.notice import NoticeRule

LONGEST_AHEAD = 30 * 24 * 60
MOST_REMINDERS = 6
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
            occasion=first.occasion,
            channel=first.channel,
            audience=first.audience,
            minutes_before=first.minutes_before,
            subject=first.subject,
            body=first.body,
        )
        for first in DEFAULTS
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
        .where(
            NoticeRule.deleted_at.is_(None),
            or_(NoticeRule.calendar_id.is_(None), NoticeRule.calendar_id == calendar_id),
        )
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
            .where(NoticeRule.calendar_id.is_not_distinct_from(calendar_id), NoticeRule.deleted_at.is_(None))
            .order_by(NoticeRule.id)
        )
    )


# What people do with them


def get(session: Session, rule_id: uuid.UUID) -> NoticeRule:
    found = session.get(NoticeRule, rule_id)
    if found is None or found.deleted_at is not None:
        raise NotFound
    return found


def save(
    session: Session, actor: Actor, rule: NoticeRule, *, subject: str, body: str, minutes_before: int
) -> None:
    """Raises Invalid for subject, body and minutes_before. Notices that wait say the new words when they fire; reminders
    that are planned keep their time."""
    wrong: dict[str, str] = {}
    try:
        words.check(subject, body, channel=rule.channel, audience=rule.audience)
    except Invalid as error:
        wrong |= error.fields
    if rule.occasion == "reminder" and not 5 <= minutes_before <= LONGEST_AHEAD:
        wrong["minutes_before"] = "Between 5 minutes and 30 days before it begins."
    if wrong:
        raise Invalid(wrong)
    rule.subject, rule.body = clean(subject), body.strip()
    rule.minutes_before = minutes_before if rule.occasion == "reminder" else 0
    session.flush()
    _note(session, actor, rule, "notice.changed")


def switch(session: Session, actor: Actor, rule: NoticeRule, on: bool) -> None:
    rule.is_active = on
    session.flush()
    _note(session, actor, rule, "notice.switched_on" if on else "notice.switched_off")


def reset(session: Session, actor: Actor, rule: NoticeRule) -> None:
    """The words it began with; a reminder keeps its time."""
    first = next((w for w in DEFAULTS if (w.occasion, w.channel, w.audience) == key_of(rule)), None)
    if first is not None:
        rule.subject, rule.body = first.subject, first.body
        session.flush()
        _note(session, actor, rule, "notice.reset")


def own_words(session: Session, actor: Actor, rule: NoticeRule, calendar: Calendar) -> NoticeRule:
    """A copy for one calendar, which replaces the account's there."""
    made = NoticeRule(
        account_id=rule.account_id,
        calendar_id=calendar.id,
        occasion=rule.occasion,
        channel=rule.channel,
        audience=rule.audience,
        minutes_before=rule.minutes_before,
        subject=rule.subject,
        body=rule.body,
        is_active=rule.is_active,
    )
    session.add(made)
    session.flush()
    _note(session, actor, made, "notice.added")
    return made


def add_reminder(
    session: Session,
    actor: Actor,
    account: Account,
    *,
    channel: str,
    minutes_before: int,
    calendar: Calendar | None,
) -> NoticeRule:
    """With the words reminders begin with. Raises Invalid."""
    if channel not in ("sms", "email"):
        raise Invalid({"channel": "Choose text or mail."})
    if not 5 <= minutes_before <= LONGEST_AHEAD:
        raise Invalid({"minutes_before": "Between 5 minutes and 30 days before it begins."})
    present = of_calendar(session, calendar.id) if calendar else of_account(session, account)
    reminders = [rule for rule in present if rule.occasion == "reminder"]
    if len(reminders) >= MOST_REMINDERS:
        raise Invalid({"": f"At most {MOST_REMINDERS} reminders."})
    if any((rule.channel, rule.minutes_before) == (channel, minutes_before) for rule in reminders):
        raise Invalid({"minutes_before": "There is one at that time already."})
    first = next(w for w in DEFAULTS if (w.occasion, w.channel) == ("reminder", channel))
    made = NoticeRule(
        account_id=account.id,
        calendar_id=calendar.id if calendar else None,
        occasion="reminder",
        channel=channel,
        audience="guest",
        minutes_before=minutes_before,
        subject=first.subject,
        body=first.body,
    )
    session.add(made)
    session.flush()
    _note(session, actor, made, "notice.added")
    return made


def can_delete(rule: NoticeRule) -> bool:
    """The others can be switched off, and would only be missed."""
    return rule.occasion == "reminder" or rule.calendar_id is not None


def delete(session: Session, actor: Actor, rule: NoticeRule) -> None:
    """What waits of it is not sent; what was sent by it stays told. Raises Invalid for one that can only be switched off."""
    if not can_delete(rule):
        raise Invalid({"": "This one can be switched off, not deleted."})
    rule.is_active, rule.deleted_at = False, now()
    session.flush()
    _note(session, actor, rule, "notice.deleted")


def _note(session: Session, actor: Actor, rule: NoticeRule, action: str) -> None:
    name = f"{rule.occasion} by {rule.channel} to {rule.audience}"
    audit.note(session, actor, action, name, account_id=rule.account_id)
