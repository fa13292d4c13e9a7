"""What is done with bookings: hold, confirm, move, cancel. What only the people of the account do is in hosting.py.

A booking is made in two steps with a commit after each, and between them the caller asks the provider whether the hosts are
really free; a slow answer holds no lock. Each step locks the hosts (locks.py), looks again, and only then writes. Repeating
a step changes nothing. What follows from a deed is noted in its transaction: the event to be written (events.py), the
notices (notices/plan.py), the line in the conversation (cards.py), the place for whoever waits (waitlist.py).
Nothing here commits.
"""

import uuid
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.core.actor import Actor
from app.core.clock import now
from app.core.errors import Forbidden, Invalid, NotFound
from app.domain import consent
from app.domain.booking import cards, events, guests, holds, offer, placing, steps, waitlist
from app.domain.booking.diary import Busy
from app.domain.booking.guests import Guest
from app.domain.booking.placing import NotFree, SlotTaken, Wish
from app.domain.notices import plan
from app.models.account import Account
from app.models.booking import Appointment, Booking
from app.models.calendar import Calendar

__all__ = ["Guest", "SlotTaken"]

By = Literal["guest", "host", "calendar"]


def hold(
    session: Session,
    calendar: Calendar,
    starts_at: datetime,
    duration: int,
    client_key: str,
    host_id: uuid.UUID | None = None,
    *,
    but_hosts: Collection[uuid.UUID] = (),
    within_rules: bool = True,
) -> Appointment:
    """Keeps a time for ten minutes while the form is filled in; the same `client_key` renews it or moves it. Where the form
    was booked already, that appointment is given. Raises SlotTaken, Invalid."""
    at = now()
    if not calendar.is_active and within_rules:
        raise Invalid({"": "This calendar takes no bookings now."})
    if within_rules and duration not in calendar.durations:
        raise Invalid({"duration": "Choose one of the lengths."})
    if not client_key or len(client_key) > holds.LONGEST_KEY:
        raise Invalid({"": "The form is incomplete. Please start anew."})
    wish = Wish(starts_at.astimezone(UTC), duration, host_id, but_hosts=but_hosts, within_rules=within_rules)
    try:
        with session.begin_nested():
            return holds.hold(session, calendar, wish, client_key, at)
    except (NotFree, IntegrityError) as error:
        steps.need_overlap(error)
        people = placing.only(calendar, host_id)
        raise SlotTaken(
            offer.nearest(session, calendar, duration, wish.starts_at, at, people=people)
        ) from None


def confirm(
    session: Session,
    appointment_id: uuid.UUID,
    guest: Guest,
    *,
    client_key: str | None = None,
    host_id: uuid.UUID | None = None,
    unreadable: bool = False,
    fresh_busy: Sequence[Busy] = (),
    actor: Actor | None = None,
) -> Booking:
    """Makes a hold a booking: confirmed, or requested where the calendar wants each accepted or a host's calendar could
    not be read. `host_id` is who was asked for by name; `fresh_busy` is what the provider just said of the hosts; `actor` is
    who books for the guest. In a class `client_key` says whose seat it is. Raises SlotTaken, Invalid, NotFound."""
    at = now()
    appointment = _appointment(session, appointment_id)
    calendar = session.get_one(Calendar, appointment.calendar_id)
    account = session.get_one(Account, appointment.account_id)
    guest = guests.checked(account, calendar, guest)
    try:
        with session.begin_nested():
            appointment, booking = steps.take_up(session, calendar, appointment, client_key, fresh_busy, at)
            if booking.state != "held":
                return booking
            steps.fill(booking, guest, guests.contact_of(session, account, guest), at)
            asked = "" if guest.source == "staff" else _why_asked(calendar, unreadable)
            steps.settle(session, account, calendar, appointment, booking, asked, at)
            booking.uid = booking.uid or events.uid_of(session, appointment, booking)
    except (NotFree, IntegrityError) as error:
        steps.need_overlap(error)
        session.refresh(appointment)
        raise _other_times(
            session, calendar, appointment, appointment.starts_at, fresh_busy, at, host_id
        ) from None
    # Anybody can type any number here: a no is taken back by a text from that number, or by hand.
    said = consent.state_of(session, booking.guest_phone) if booking.guest_phone else None
    if guest.consent_text and booking.guest_phone and (said is None or said.state != "opted_out"):
        consent.record(
            session,
            address=booking.guest_phone,
            state="opted_in",
            source="form",
            wording=guest.consent_text,
            at=at,
            contact_id=booking.contact_id,
        )
    if booking.state == "requested":
        tell(session, booking, "requested", "requested", actor, at)
    else:
        tell(session, booking, "confirmed", "booked", actor, at)
    waitlist.note_booked(session, booking)
    return booking


def reschedule(
    session: Session,
    booking: Booking,
    starts_at: datetime,
    by: By,
    *,
    actor: Actor | None = None,
    within_rules: bool | None = None,
    unreadable: Collection[uuid.UUID] = (),
    fresh_busy: Sequence[Busy] = (),
) -> Booking:
    """The same length at another time; the same host if free, and in a class only this guest. Guests keep to the rules;
    hosts only to what is free, unless `within_rules` says otherwise. `unreadable` are people whose calendars could not be
    read just now: with one of them as host it is a request. Raises SlotTaken, Forbidden, Invalid."""
    at = now()
    calendar = session.get_one(Calendar, booking.calendar_id)
    appointment = session.get_one(Appointment, booking.appointment_id)
    rules = by == "guest" if within_rules is None else within_rules
    starts_at = starts_at.astimezone(UTC)
    try:
        with session.begin_nested():
            steps.lock(session, calendar, appointment, at)
            session.refresh(booking)
            steps.need_living(booking)
            if by == "guest":
                need_in_time(calendar, booking, at)
            if appointment.starts_at == starts_at:
                return booking
            _place_anew(session, calendar, appointment, booking, starts_at, rules, fresh_busy, at)
    except (NotFree, IntegrityError) as error:
        steps.need_overlap(error)
        session.refresh(booking)
        session.refresh(appointment)
        raise _other_times(session, calendar, appointment, starts_at, fresh_busy, at) from None
    appointment = session.get_one(Appointment, booking.appointment_id)
    unread = not set(unreadable).isdisjoint(steps.people_of(session, appointment))
    asked = _why_asked(calendar, unread) if by == "guest" else ""
    if asked and booking.state == "confirmed":
        booking.state, booking.request_reason = "requested", asked
        booking.revision += 1
        steps.follow(session, appointment, at)
    occasion = "requested" if booking.state == "requested" and by == "guest" else "moved"
    tell(session, booking, occasion, "moved", actor, at)
    waitlist.wake(session, calendar)
    return booking


def move(
    session: Session,
    appointment: Appointment,
    starts_at: datetime,
    ends_at: datetime,
    by: By,
    *,
    actor: Actor | None = None,
    fresh_busy: Sequence[Busy] = (),
) -> None:
    """The whole appointment with everybody in it, as a host moves it here or at the provider: any time and any length that
    is free of other appointments and of what `fresh_busy` says. Raises SlotTaken when it is not, Invalid when nobody is in
    it any more."""
    at = now()
    calendar = session.get_one(Calendar, appointment.calendar_id)
    starts_at, ends_at = starts_at.astimezone(UTC), ends_at.astimezone(UTC)
    try:
        with session.begin_nested():
            steps.lock(session, calendar, appointment, at)
            if appointment.state not in steps.LIVING:
                raise Invalid({"": "This booking is cancelled."})
            if (appointment.starts_at, appointment.ends_at) == (starts_at, ends_at):
                return
            people = steps.people_of(session, appointment)
            busy = steps.without(appointment, fresh_busy)
            placing.need_free(calendar, people, starts_at, ends_at, busy)
            steps.shift(session, calendar, appointment, starts_at, ends_at, people, at)
    except (NotFree, IntegrityError) as error:
        steps.need_overlap(error)
        session.refresh(appointment)
        raise _other_times(session, calendar, appointment, starts_at, fresh_busy, at) from None
    for booking in steps.bookings_of(session, appointment, steps.LIVING):
        tell(session, booking, "moved", "moved", actor, at)


def cancel(
    session: Session, booking: Booking, by: By, reason: str = "", *, actor: Actor | None = None
) -> None:
    """Frees the place. A second time it does nothing. Raises Forbidden for a guest who is too late, Invalid for somebody who
    did not come."""
    at = now()
    calendar, appointment = locked(session, booking, at)
    if booking.state == "cancelled":
        return
    if by == "guest":
        need_in_time(calendar, booking, at)
    steps.need_living(booking)
    steps.drop(session, appointment, booking, by, reason, at)
    tell(session, booking, "cancelled", "cancelled", actor, at)
    waitlist.wake(session, calendar)


def cancel_appointment(
    session: Session, appointment: Appointment, by: By, reason: str = "", *, actor: Actor | None = None
) -> None:
    """Everybody in it, as when a host deletes the event at the provider."""
    for booking in steps.bookings_of(session, appointment, steps.LIVING):
        cancel(session, booking, by, reason, actor=actor)


def get(session: Session, booking_id: uuid.UUID) -> Booking:
    """A booking of the entered account; a mere hold is none. Raises NotFound."""
    found = session.scalar(select(Booking).where(Booking.id == booking_id, Booking.guest_name != ""))
    if found is None:
        raise NotFound
    return found


def may_change(calendar: Calendar, booking: Booking, at: datetime) -> bool:
    """Whether the guest may still move or cancel it by themselves."""
    until = booking.starts_at - timedelta(minutes=calendar.change_until_minutes)
    return booking.state in steps.LIVING and at < until


def need_in_time(calendar: Calendar, booking: Booking, at: datetime) -> None:
    if booking.state != "cancelled" and not may_change(calendar, booking, at):
        raise Forbidden("It is too late to change this booking here. Please call us.")


def _appointment(session: Session, appointment_id: uuid.UUID) -> Appointment:
    found = session.get(Appointment, appointment_id)
    if found is None:
        raise NotFound
    return found


def _why_asked(calendar: Calendar, unreadable: bool) -> str:
    return "unreadable" if unreadable else "approval" if calendar.needs_approval else ""


def _place_anew(
    session: Session,
    calendar: Calendar,
    appointment: Appointment,
    booking: Booking,
    starts_at: datetime,
    within_rules: bool,
    fresh_busy: Sequence[Busy],
    at: datetime,
) -> None:
    alone = calendar.kind != "class"
    wish = Wish(
        starts_at,
        steps.minutes_of(appointment),
        prefer=steps.people_of(session, appointment),
        but=appointment if alone else None,
        extra_busy=steps.without(appointment, fresh_busy),
        within_rules=within_rules,
    )
    place = placing.find(session, calendar, wish, at)
    if alone:
        ends_at = starts_at + timedelta(minutes=wish.duration)
        steps.shift(session, calendar, appointment, starts_at, ends_at, place.host_ids, at)
    else:
        steps.change_class(session, calendar, booking, wish, place, at)


def locked(session: Session, booking: Booking, at: datetime) -> tuple[Calendar, Appointment]:
    """For a deed at the place where the booking is: everything locked and fresh."""
    calendar = session.get_one(Calendar, booking.calendar_id)
    appointment = session.get_one(Appointment, booking.appointment_id)
    steps.lock(session, calendar, appointment, at)
    session.refresh(booking)
    return calendar, appointment


def _other_times(
    session: Session,
    calendar: Calendar,
    appointment: Appointment,
    wanted: datetime,
    fresh_busy: Sequence[Busy],
    at: datetime,
    host_id: uuid.UUID | None = None,
) -> SlotTaken:
    own = calendar.kind != "class"
    busy = steps.without(appointment, fresh_busy) if appointment.state in steps.LIVING else fresh_busy
    return SlotTaken(
        offer.nearest(
            session,
            calendar,
            steps.minutes_of(appointment),
            wanted,
            at,
            but=appointment if own else None,
            people=placing.only(calendar, host_id),
            extra_busy=busy,
        )
    )


def tell(
    session: Session, booking: Booking, occasion: str, what: str, by: Actor | None, at: datetime
) -> None:
    plan.plan_for(session, booking, occasion, at)
    cards.tell(session, booking, what, by)
