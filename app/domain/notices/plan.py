"""Which notices a booking gets, and when: one row for each booking, rule and revision of its time.

Planning happens in the transaction of the deed it tells of, so a booking without its notices cannot exist. Nothing is
sent here: rows are judged again when they fire (fire.py).

What tells of a video appointment waits for the link, which comes with the event at the provider (event_writes.py), but not
for long.
"""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.core import jobs
from app.core.clock import now
from app.core.ids import new_id
from app.domain.notices import rules
from app.domain.sending import quiet
from app.models.account import Account
from app.models.booking import Appointment, Booking
from app.models.calendar import Calendar
from app.models.contact import Contact
from app.models.notice import BookingNotice, NoticeRule

# Occasions after which a reminder still makes sense.
COMING = ("confirmed", "moved")
# A notice goes without the video link when there is none by then.
LINK_WAIT = timedelta(minutes=2)
TOO_LATE = "Not sent: its time had passed when this was booked."
MOVED = "Not sent: the time of the booking changed."
OFF = {
    "cancelled": "Not sent: the booking was cancelled.",
    "declined": "Not sent: the request was declined.",
}


def plan_for(session: Session, booking: Booking, occasion: str, at: datetime | None = None) -> None:
    """`occasion` is one of models.notice.OCCASIONS but "reminder": reminders are planned with confirmed and moved.

    Calling it again for the same revision adds nothing. The caller commits; what is due at once is rung for then."""
    at = at or now()
    appointment = session.get_one(Appointment, booking.appointment_id)
    account = session.get_one(Account, booking.account_id)
    _drop_waiting(session, booking, occasion, at)
    wanted = ("reminder", occasion) if occasion in COMING else (occasion,)
    found = rules.in_force(session, account, booking.calendar_id)
    rules_now = [rule for rule in found if rule.occasion in wanted]
    if not rules_now:
        return
    zone = _guest_zone(session, account, booking)
    soon = at + LINK_WAIT if occasion in COMING and _link_is_coming(session, appointment) else at
    rows = [_row(account, booking, appointment, rule, zone, at, soon) for rule in rules_now]
    session.execute(insert(BookingNotice).values(rows).on_conflict_do_nothing())
    if any(row["state"] == "waiting" and row["due_at"] <= at for row in rows):
        jobs.ring_after_commit(session, jobs.SEND_NOTICES)


def _link_is_coming(session: Session, appointment: Appointment) -> bool:
    if appointment.meet_url is not None or appointment.event_state != "due":
        return False
    return session.get_one(Calendar, appointment.calendar_id).location_kind == "meet"


def wait_no_longer(session: Session, appointment: Appointment, at: datetime) -> None:
    """The link is there, or will not be soon: what waited for it goes now. The caller commits."""
    ids = session.scalars(
        select(BookingNotice.id)
        .join(NoticeRule, NoticeRule.id == BookingNotice.rule_id)
        .join(Booking, Booking.id == BookingNotice.booking_id)
        .where(
            Booking.appointment_id == appointment.id,
            BookingNotice.state == "waiting",
            BookingNotice.due_at > at,
            NoticeRule.occasion.in_(COMING),
        )
        .order_by(BookingNotice.id)
        .with_for_update(of=BookingNotice)
    ).all()
    if ids:
        session.execute(update(BookingNotice).where(BookingNotice.id.in_(ids)).values(due_at=at))
        jobs.ring_after_commit(session, jobs.SEND_NOTICES)


def _guest_zone(session: Session, account: Account, booking: Booking) -> ZoneInfo:
    contact = session.get(Contact, booking.contact_id) if booking.contact_id else None
    if contact is None:
        return ZoneInfo(booking.guest_timezone)
    return quiet.contact_zone(account, contact, booking.guest_phone)


def _row(
    account: Account,
    booking: Booking,
    appointment: Appointment,
    rule: NoticeRule,
    zone: ZoneInfo,
    at: datetime,
    soon: datetime,
) -> dict[str, Any]:
    """`soon` is when notices that are no reminders go."""
    due = soon
    late = False
    if rule.occasion == "reminder":
        due = appointment.starts_at - timedelta(minutes=rule.minutes_before)
        # A text that would wait for the end of quiet hours goes before they begin: later it might be of no use.
        began = quiet.quiet_since(account, zone, due) if rule.channel == "sms" else None
        if began is not None and began > at:
            due = began - timedelta(minutes=1)
        late = due <= at
    return {
        "id": new_id(),
        "account_id": booking.account_id,
        "booking_id": booking.id,
        "rule_id": rule.id,
        "revision": booking.revision,
        "due_at": due,
        "state": "skipped" if late else "waiting",
        "outcome": TOO_LATE if late else "",
        "done_at": at if late else None,
    }


def _drop_waiting(session: Session, booking: Booking, occasion: str, at: datetime) -> None:
    """What was planned for an older time, or for a booking that will not be, is not sent."""
    if occasion in OFF:
        outcome = OFF[occasion]
    elif occasion == "moved":
        outcome = MOVED
    else:
        return
    query = select(BookingNotice.id).where(
        BookingNotice.booking_id == booking.id, BookingNotice.state == "waiting"
    )
    if occasion == "moved":
        query = query.where(BookingNotice.revision < booking.revision)
    # Locked in one order: a worker that fires one of them waits or is waited for.
    ids = session.scalars(query.order_by(BookingNotice.id).with_for_update()).all()
    session.execute(
        update(BookingNotice)
        .where(BookingNotice.id.in_(ids))
        .values(state="skipped", outcome=outcome, done_at=at)
    )
