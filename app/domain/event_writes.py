"""Bookings as events in the host's own calendar: what is due is claimed, the provider is asked with no transaction open, the
outcome is written down. The deeds of booking/ say that something is due (booking/events.py); here it is done.

An event's id is made from the appointment's, so a try whose answer was lost, or whose worker died before our commit, finds
the event of the first and makes no second one. `event_run_at` doubles as the version: a deed that came while the provider
was asked set it anew, and the row stays due.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import or_, select, text, update
from sqlalchemy.orm import Session

from app.core import runtime
from app.core.tenancy import session_for
from app.domain import calendar_channel, connections
from app.domain.booking import links
from app.domain.calendar_channel import EventWish, WrittenEvent
from app.domain.notices import plan
from app.domain.sending import backoff
from app.models.account import Account
from app.models.booking import Appointment, AppointmentHost, Booking
from app.models.calendar import Calendar
from app.models.connection import Connection
from app.models.linked_calendar import LinkedCalendar
from app.models.user import User

LEASE = timedelta(minutes=1)
LONGEST_WAIT_S = 900
# A connection that does not work is looked at again so often; `linked_calendars.wake` is faster.
PAUSED = timedelta(minutes=10)
MOST_TRIES = 20
# Google makes a video room a moment after the event.
MEET_AGAIN = timedelta(seconds=15)
MOST_MEET_TRIES = 6
# A description at Google holds 8,192 characters, and there is more in it than answers.
MOST_WORDS = 7000
COMING = ("requested", "confirmed", "no_show")


@dataclass(frozen=True)
class WriteWork:
    """`wish` is None for an event that is to go away."""

    account_id: uuid.UUID
    appointment_id: uuid.UUID
    linked_id: uuid.UUID
    connection_id: uuid.UUID
    provider: str
    calendar_ref: str
    event_ref: str
    is_new: bool
    wish: EventWish | None
    run_at: datetime
    lease: datetime
    attempts: int


def due(at: datetime, most: int = 100) -> list[tuple[uuid.UUID, uuid.UUID]]:
    """(account, appointment) of each event that is to be written."""
    with session_for() as session:
        rows = session.execute(
            text("select account_id, row_id from booking_work(:at, :most) where kind = 'event'"),
            {"at": at, "most": most},
        )
        return [(row.account_id, row.row_id) for row in rows]


def claim(account_id: uuid.UUID, appointment_id: uuid.UUID, at: datetime) -> WriteWork | None:
    """None when there is nothing to do, or not now."""
    with session_for(account_id) as session:
        row = session.scalar(
            update(Appointment)
            .where(
                Appointment.id == appointment_id,
                Appointment.event_state == "due",
                Appointment.event_run_at <= at,
                or_(Appointment.event_lease_until.is_(None), Appointment.event_lease_until < at),
            )
            .values(event_lease_until=at + LEASE, event_attempts=Appointment.event_attempts + 1)
            .returning(Appointment)
        )
        if row is None or row.event_run_at is None:
            return None
        work = _work(session, row, row.event_run_at, at)
        if work is None:
            _let_notices_go(session, row, at)
        session.commit()
        return work


def _work(session: Session, row: Appointment, run_at: datetime, at: datetime) -> WriteWork | None:
    linked = session.get(LinkedCalendar, row.linked_calendar_id) if row.linked_calendar_id else None
    connection = session.get(Connection, linked.connection_id) if linked is not None else None
    is_wanted = row.state == "confirmed"
    if linked is None or connection is None or linked.is_gone:
        _close_without(row, is_wanted, "is gone")
        return None
    if connection.state not in connections.WORKING:
        if connection.state == "disconnected" and row.ends_at <= at:
            _close_without(row, is_wanted, "was disconnected")
            return None
        row.event_run_at, row.event_lease_until = at + PAUSED, None
        row.event_attempts -= 1
        row.event_error = f"{connection.provider_name} has to be connected again before this can be written."
        return None
    return WriteWork(
        account_id=row.account_id,
        appointment_id=row.id,
        linked_id=linked.id,
        connection_id=connection.id,
        provider=connection.provider,
        calendar_ref=linked.ref,
        event_ref=row.event_ref or calendar_channel.event_ref_of(row.id),
        is_new=row.event_etag is None,
        wish=_wish(session, row, linked) if is_wanted else None,
        run_at=run_at,
        lease=at + LEASE,
        attempts=row.event_attempts,
    )


def _close_without(row: Appointment, is_wanted: bool, why: str) -> None:
    row.event_lease_until = row.event_run_at = row.event_etag = None
    row.event_state = "failed" if is_wanted else "none"
    row.event_error = f"The calendar it was to be written to {why}." if is_wanted else None


def _wish(session: Session, row: Appointment, linked: LinkedCalendar) -> EventWish:
    account = session.get_one(Account, row.account_id)
    calendar = session.get_one(Calendar, row.calendar_id)
    bookings = list(
        session.scalars(
            select(Booking)
            .where(Booking.appointment_id == row.id, Booking.state.in_(COMING))
            .order_by(Booking.created_at, Booking.id)
        )
    )
    return EventWish(
        ref=row.event_ref or calendar_channel.event_ref_of(row.id),
        appointment_id=row.id,
        revision=row.revision,
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        timezone=account.timezone,
        title=_title(calendar, row, bookings),
        description=_description(account, calendar, bookings),
        location=row.meet_url or row.location or _phone(calendar, bookings),
        attendees=_attendees(session, row, linked, bookings),
        wants_meet=calendar.location_kind == "meet",
        shows_guests=calendar.kind != "class",
    )


def _title(calendar: Calendar, row: Appointment, bookings: list[Booking]) -> str:
    if calendar.kind == "class":
        return f"{calendar.name} ({len(bookings)} of {row.seats})"
    names = [booking.guest_name for booking in bookings if booking.guest_name]
    return ": ".join([calendar.name, *names[:1]])


def _phone(calendar: Calendar, bookings: list[Booking]) -> str:
    phones = [booking.guest_phone for booking in bookings if booking.guest_phone]
    return phones[0] if calendar.location_kind == "phone" and calendar.kind != "class" and phones else ""


def _description(account: Account, calendar: Calendar, bookings: list[Booking]) -> str:
    """Guests may see it as well, so a class names nobody."""
    site = f"{runtime.current().settings.public_url}/a/{account.slug}/bookings"
    if calendar.kind == "class":
        return f"Who comes: {site}"
    lines: list[str] = []
    for booking in bookings:
        lines += filter(None, (booking.guest_name, booking.guest_phone, booking.guest_email))
        lines += _answers(booking)
        lines += ["", f"Change or cancel: {links.manage_url(booking.id)}"]
    return "\n".join([*lines, f"For hosts: {site}"])


def _answers(booking: Booking) -> list[str]:
    """Shortened so far that all of them fit; the whole ones stand with the booking."""
    given = [(str(one.get("label")), str(one["answer"])) for one in booking.answers if one.get("answer")]
    room = (MOST_WORDS - sum(len(label) for label, _ in given)) // max(1, len(given))
    return [
        f"{label}: {answer if len(answer) <= room else answer[: room - 2].rstrip() + ' …'}"
        for label, answer in given
    ]


def _attendees(
    session: Session, row: Appointment, linked: LinkedCalendar, bookings: list[Booking]
) -> list[tuple[str, str]]:
    """Guests and whom they bring, and the hosts in whose calendar it is not written."""
    found: dict[str, tuple[str, str]] = {}
    for booking in bookings:
        if booking.guest_email:
            found.setdefault(booking.guest_email.lower(), (booking.guest_email, booking.guest_name))
        for address in booking.others:
            found.setdefault(address.lower(), (address, ""))
    hosts = session.execute(
        select(User.email, User.name)
        .join(AppointmentHost, AppointmentHost.user_id == User.id)
        .where(AppointmentHost.appointment_id == row.id, User.id != linked.user_id)
        .order_by(User.name)
    )
    for host in hosts:
        found.setdefault(host.email.lower(), (host.email, host.name))
    return list(found.values())


# What became of it


def written(work: WriteWork, event: WrittenEvent | None, at: datetime) -> None:
    """None: it is gone there."""
    with session_for(work.account_id) as session:
        row = _mine(session, work)
        if row is None:
            return
        row.event_lease_until = None
        row.event_ref = work.event_ref
        row.event_etag = event.etag if event else None
        row.event_error = None
        if work.wish is not None and event is not None:
            row.event_revision = work.wish.revision
            row.meet_url = event.meet_url or row.meet_url
        if row.event_run_at == work.run_at:
            row.event_attempts = 0
            row.event_state, row.event_run_at = ("written" if event else "none"), None
            if event is not None and event.meet_pending and work.attempts < MOST_MEET_TRIES:
                row.event_state, row.event_run_at = "due", at + MEET_AGAIN
                row.event_attempts = work.attempts
        _let_notices_go(session, row, at)
        session.commit()


def failed(
    work: WriteWork, sentence: str, at: datetime, *, for_good: bool = False, after_s: float | None = None
) -> None:
    """Tried again with growing waits; `for_good`, or after many tries once the booking is over, a person has to look, and sees
    why."""
    with session_for(work.account_id) as session:
        row = _mine(session, work)
        if row is None:
            return
        row.event_lease_until = None
        row.event_error = sentence[:500]
        if row.event_run_at == work.run_at:
            wait = backoff.wait(work.attempts, first=5, longest=LONGEST_WAIT_S)
            row.event_run_at = at + (timedelta(seconds=after_s) if after_s else wait)
            if for_good or (work.attempts >= MOST_TRIES and row.ends_at <= at):
                row.event_state, row.event_run_at = "failed", None
        _let_notices_go(session, row, at)
        session.commit()


def _let_notices_go(session: Session, row: Appointment, at: datetime) -> None:
    """They wait for the video link while it may still come soon."""
    next_at = row.event_run_at if row.event_state == "due" else None
    if row.meet_url is not None or next_at is None or next_at > at + plan.LINK_WAIT:
        plan.wait_no_longer(session, row, at)


def calendar_gone(work: WriteWork, at: datetime) -> None:
    """The calendar it was to stand in is no longer there; what was to go away is away with it."""
    if work.wish is None:
        written(work, None, at)
        return
    failed(work, "The calendar it was to be written to is gone.", at, for_good=True)


def _mine(session: Session, work: WriteWork) -> Appointment | None:
    return session.scalar(
        select(Appointment)
        .where(Appointment.id == work.appointment_id, Appointment.event_lease_until == work.lease)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
