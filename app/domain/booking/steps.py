"""The parts that the deeds of book.py have in common: each works under the locks of the hosts and writes without a commit.

The state of an appointment follows from its bookings: confirmed when one of them is, else requested, else held, else
cancelled. Its revision rises with its time and its state, not with who comes to a class; each booking has one of its own.
"""

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.core import formats
from app.core.errors import Invalid
from app.domain.booking import events, locks, placing
from app.domain.booking.diary import HOLD_LASTS, Busy
from app.domain.booking.guests import Guest
from app.domain.booking.placing import NotFree, Place, Wish
from app.models.account import Account
from app.models.booking import Appointment, AppointmentHost, Booking
from app.models.calendar import Calendar
from app.models.contact import Contact

LIVING = ("requested", "confirmed")
NO_OVERLAP = "ex_appointment_hosts_during"


def lock(session: Session, calendar: Calendar, appointment: Appointment, at: datetime) -> None:
    """The hosts of the calendar and of the appointment, then its row, fresh."""
    people = {*placing.hosts_of(session, calendar), *people_of(session, appointment)}
    locks.take_hosts(session, people, at)
    session.refresh(appointment, with_for_update=True)


def people_of(session: Session, appointment: Appointment) -> list[uuid.UUID]:
    return list(
        session.scalars(
            select(AppointmentHost.user_id)
            .where(AppointmentHost.appointment_id == appointment.id)
            .order_by(AppointmentHost.id)
        )
    )


def bookings_of(session: Session, appointment: Appointment, states: Sequence[str]) -> Sequence[Booking]:
    return session.scalars(
        select(Booking)
        .where(Booking.appointment_id == appointment.id, Booking.state.in_(states))
        .order_by(Booking.created_at, Booking.id)
        .execution_options(populate_existing=True)
    ).all()


def need_living(booking: Booking) -> None:
    if booking.state not in LIVING:
        raise Invalid({"": "This booking is not open any more."})


def need_overlap(error: Exception) -> None:
    """Lets an error go on that does not say that a host's time is taken."""
    if isinstance(error, IntegrityError) and NO_OVERLAP not in str(error.orig):
        raise error


def take_up(
    session: Session,
    calendar: Calendar,
    appointment: Appointment,
    client_key: str | None,
    fresh_busy: Sequence[Busy],
    at: datetime,
) -> tuple[Appointment, Booking]:
    """The form's booking, held as if it had never run out; or as it is, when it was made already. Raises NotFree."""
    lock(session, calendar, appointment, at)
    booking = _of_form(session, appointment, client_key)
    if booking.state == "cancelled" and booking.cancelled_by == "expired":
        appointment = _revive(session, calendar, appointment, booking, at)
    elif booking.state != "held":
        if booking.state == "cancelled":
            raise Invalid({"": "This booking was cancelled. Please start anew."})
        return appointment, booking
    if calendar.kind == "class":
        _need_seat(session, appointment, booking, at)
    if appointment.state == "held":
        people = people_of(session, appointment)
        taken = placing.during(calendar, appointment.starts_at, appointment.ends_at)
        for user_id, starts_at, ends_at in fresh_busy:
            if user_id in people and taken.overlaps(placing.stretch(starts_at, ends_at)):
                raise NotFree
    return appointment, booking


def _of_form(session: Session, appointment: Appointment, client_key: str | None) -> Booking:
    query = select(Booking).where(Booking.appointment_id == appointment.id)
    if client_key is not None:
        query = query.where(Booking.client_key == client_key)
    found = session.scalars(query.execution_options(populate_existing=True).with_for_update()).all()
    if len(found) != 1:
        # Moved to another time by the same form in another window, or ended and swept away.
        raise NotFree
    return found[0]


def _revive(
    session: Session, calendar: Calendar, appointment: Appointment, booking: Booking, at: datetime
) -> Appointment:
    length = int((appointment.ends_at - appointment.starts_at).total_seconds() // 60)
    if appointment.state == "cancelled":
        people = people_of(session, appointment)
        wish = Wish(appointment.starts_at, length, prefer=people, within_rules=False)
        place = placing.find(session, calendar, wish, at)
        if place.joins is not None:
            appointment = session.get_one(Appointment, place.joins, populate_existing=True)
            booking.appointment_id = appointment.id
        else:
            appointment.state, appointment.hold_until = "held", at + HOLD_LASTS
            _set_hosts(session, calendar, appointment, place.host_ids)
    booking.state, booking.cancelled_by, booking.updated_at = "held", "", at
    session.flush()
    return appointment


def _need_seat(session: Session, appointment: Appointment, booking: Booking, at: datetime) -> None:
    used = [
        one
        for one in bookings_of(session, appointment, (*LIVING, "no_show", "held"))
        if one.id != booking.id and (one.state != "held" or one.updated_at > at - HOLD_LASTS)
    ]
    if len(used) >= appointment.seats:
        raise NotFree


def _set_hosts(
    session: Session, calendar: Calendar, appointment: Appointment, people: Sequence[uuid.UUID]
) -> None:
    """These people, for the appointment's present time."""
    rows = {
        row.user_id: row
        for row in session.scalars(
            select(AppointmentHost)
            .where(AppointmentHost.appointment_id == appointment.id)
            .execution_options(populate_existing=True)
        )
    }
    for user_id, row in rows.items():
        if user_id not in people:
            session.delete(row)
    session.flush()
    taken = placing.during(calendar, appointment.starts_at, appointment.ends_at)
    for user_id in people:
        if user_id in rows:
            rows[user_id].during, rows[user_id].blocks = taken, True
    session.add_all(placing.host_rows(appointment, calendar, [one for one in people if one not in rows]))
    session.flush()


def fill(booking: Booking, guest: Guest, contact: Contact, at: datetime) -> None:
    """What the guest gave; what somebody of the account who books for them left out is known from the contact. Whoever
    types somebody's number into the page learns nothing else of them."""
    points = contact.points if guest.contact_id is not None else []
    known = {point.kind: point.value for point in reversed(points)}
    booking.contact_id = contact.id
    booking.guest_name = guest.name
    booking.guest_email = guest.email or known.get("email", "")
    booking.guest_phone = guest.phone or known.get("phone", "")
    booking.guest_timezone = guest.timezone
    booking.others, booking.answers = list(guest.others), list(guest.answers)
    booking.consent_text = guest.consent_text
    booking.consent_at = at if guest.consent_text else None
    booking.source, booking.booked_by = guest.source, guest.booked_by
    contact.last_activity_at = max(contact.last_activity_at, at)


def settle(
    session: Session,
    account: Account,
    calendar: Calendar,
    appointment: Appointment,
    booking: Booking,
    asked: str,
    at: datetime,
) -> None:
    """Confirmed, or a request with the reason it is one."""
    booking.state, booking.request_reason = ("requested", asked) if asked else ("confirmed", "")
    booking.starts_at, booking.updated_at = appointment.starts_at, at
    booking.revision += 1
    if calendar.location_kind == "phone" and not appointment.location and booking.guest_phone:
        phone = formats.phone(booking.guest_phone, account.country)
        appointment.location = f"We call {phone}"
    follow(session, appointment, at)


def follow(session: Session, appointment: Appointment, at: datetime) -> None:
    """The appointment's state, and its hosts' time, after one of its bookings changed."""
    session.flush()
    there = bookings_of(session, appointment, (*LIVING, "no_show", "held"))
    states = {one.state for one in there}
    held_until = [one.updated_at + HOLD_LASTS for one in there if one.state == "held"]
    if states & {"confirmed", "no_show"}:
        state = "confirmed"
    elif "requested" in states:
        state = "requested"
    else:
        state = "held" if held_until else "cancelled"
    if state != appointment.state:
        appointment.revision += 1
    appointment.state, appointment.updated_at = state, at
    appointment.hold_until = max(held_until) if state == "held" else None
    if state == "cancelled":
        session.execute(
            update(AppointmentHost)
            .where(AppointmentHost.appointment_id == appointment.id)
            .values(blocks=False)
        )
    events.want_event(session, appointment, at)
    session.flush()


def drop(
    session: Session, appointment: Appointment, booking: Booking, by: str, reason: str, at: datetime
) -> None:
    """The place is free again."""
    booking.state, booking.cancelled_by = "cancelled", by
    booking.cancel_reason, booking.updated_at = reason[:500], at
    booking.revision += 1
    follow(session, appointment, at)


def shift(
    session: Session,
    calendar: Calendar,
    appointment: Appointment,
    starts_at: datetime,
    ends_at: datetime,
    people: Sequence[uuid.UUID],
    at: datetime,
) -> None:
    """The appointment at another time, with everybody in it."""
    appointment.starts_at, appointment.ends_at = starts_at, ends_at
    appointment.revision += 1
    appointment.updated_at, appointment.asked_change = at, None
    _set_hosts(session, calendar, appointment, people)
    for booking in bookings_of(session, appointment, (*LIVING, "held")):
        booking.starts_at = starts_at
        booking.updated_at = at
        booking.revision += 1
    events.want_event(session, appointment, at)
    session.flush()


def change_class(
    session: Session, calendar: Calendar, booking: Booking, wish: Wish, place: Place, at: datetime
) -> None:
    """One guest goes from an appointment of a class to another, which is made when there is none."""
    left = session.get_one(Appointment, booking.appointment_id)
    if place.joins is not None:
        entered = session.get_one(Appointment, place.joins, populate_existing=True)
    else:
        entered = placing.make(session, calendar, wish, place, "requested", at)
    booking.appointment_id, booking.starts_at, booking.updated_at = entered.id, entered.starts_at, at
    booking.revision += 1
    follow(session, entered, at)
    follow(session, left, at)


def without(appointment: Appointment, busy: Sequence[Busy]) -> list[Busy]:
    """What the provider says but for the appointment's own event, whatever it is joined with there."""
    own_start, own_end = appointment.starts_at, appointment.ends_at
    rest: list[Busy] = []
    for user_id, starts_at, ends_at in busy:
        if ends_at <= own_start or starts_at >= own_end:
            rest.append((user_id, starts_at, ends_at))
            continue
        if starts_at < own_start:
            rest.append((user_id, starts_at, own_start))
        if ends_at > own_end:
            rest.append((user_id, own_end, ends_at))
    return rest


def minutes_of(appointment: Appointment) -> int:
    return max(1, int((appointment.ends_at - appointment.starts_at) / timedelta(minutes=1)))
