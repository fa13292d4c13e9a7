"""A time kept for somebody who is filling in the form: a row like any other appointment, until it runs out.

A hold that ran out loses its time only when somebody else wants it or the sweep comes by; confirmed before that, it is as
good as new, and afterwards it is taken up again if the time is still free.
"""

import uuid
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from app.core.errors import Invalid
from app.domain.booking import locks, placing, waitlist
from app.domain.booking.diary import HOLD_LASTS
from app.domain.booking.placing import Place, Wish
from app.models.booking import Appointment, AppointmentHost, Booking
from app.models.calendar import Calendar

# Given up and without a name: of no use to anybody.
KEPT_AFTER_EXPIRY = timedelta(days=1)
LONGEST_KEY = 100


def hold(session: Session, calendar: Calendar, wish: Wish, client_key: str, at: datetime) -> Appointment:
    """Raises NotFree; call inside a savepoint."""
    locks.take_form(session, calendar.account_id, client_key)
    held = _of_form(session, client_key)
    before = session.get_one(Appointment, held.appointment_id) if held is not None else None
    locks.take_hosts(
        session, [*placing.hosts_of(session, calendar), *(_people(session, before) if before else ())], at
    )
    if held is not None and before is not None:
        # What the form came to may have been decided while the locks were waited for.
        session.refresh(before)
        session.refresh(held)
        if held.state in ("requested", "confirmed", "no_show"):
            return before
        if held.state == "cancelled" and held.cancelled_by != "expired":
            raise Invalid({"": "This booking was cancelled. Please start anew."})
        if _is_same(session, calendar, before, held, wish):
            _renew(before, held, at)
            return before
        _release(session, before, held)
    place = placing.find(session, calendar, wish, at)
    return _store(session, calendar, wish, place, client_key, at)


def _of_form(session: Session, client_key: str) -> Booking | None:
    return session.scalar(
        select(Booking).where(Booking.client_key == client_key).execution_options(populate_existing=True)
    )


def _people(session: Session, appointment: Appointment) -> list[uuid.UUID]:
    return list(
        session.scalars(
            select(AppointmentHost.user_id).where(AppointmentHost.appointment_id == appointment.id)
        )
    )


def _is_same(session: Session, calendar: Calendar, before: Appointment, held: Booking, wish: Wish) -> bool:
    if held.state != "held" or before.calendar_id != calendar.id or before.starts_at != wish.starts_at:
        return False
    if before.ends_at - before.starts_at != timedelta(minutes=wish.duration):
        return False
    people = _people(session, before)
    return (wish.host_id is None or wish.host_id in people) and not set(people) & set(wish.but_hosts)


def _renew(appointment: Appointment, booking: Booking, at: datetime) -> None:
    booking.updated_at = at
    if appointment.state == "held":
        appointment.hold_until = at + HOLD_LASTS
        appointment.updated_at = at


def _release(session: Session, appointment: Appointment, booking: Booking) -> None:
    """The form chose another time: nothing of the hold is kept."""
    others = session.scalar(
        select(func.count())
        .select_from(Booking)
        .where(Booking.appointment_id == appointment.id, Booking.id != booking.id)
    )
    session.delete(booking)
    session.flush()
    if not others:
        session.execute(delete(Appointment).where(Appointment.id == appointment.id))
        session.expunge(appointment)


def _store(
    session: Session, calendar: Calendar, wish: Wish, place: Place, client_key: str, at: datetime
) -> Appointment:
    if place.joins is not None:
        appointment = session.get_one(Appointment, place.joins, populate_existing=True)
        if appointment.state == "held":
            appointment.hold_until = at + HOLD_LASTS
    else:
        appointment = placing.make(session, calendar, wish, place, "held", at)
    session.add(
        Booking(
            account_id=calendar.account_id,
            appointment_id=appointment.id,
            calendar_id=calendar.id,
            state="held",
            starts_at=appointment.starts_at,
            client_key=client_key[:LONGEST_KEY],
            price_cents=calendar.price_cents,
            currency=calendar.currency,
            updated_at=at,
        )
    )
    session.flush()
    return appointment


def end(session: Session, appointment_id: uuid.UUID, at: datetime) -> None:
    """Ends a hold that ran out, for the sweep. The caller commits."""
    appointment = session.get(Appointment, appointment_id)
    if appointment is not None:
        locks.take_hosts(session, _people(session, appointment), at)
        session.refresh(appointment)
        if (
            appointment.state == "held"
            and appointment.hold_until is not None
            and appointment.hold_until <= at
        ):
            # Nobody hosts it any more, so no lock stands for it.
            appointment.state, appointment.hold_until = "cancelled", None
            session.execute(
                update(Booking)
                .where(Booking.appointment_id == appointment.id, Booking.state == "held")
                .values(state="cancelled", cancelled_by="expired", updated_at=at)
            )
        waitlist.wake(session, session.get_one(Calendar, appointment.calendar_id))


def forget_expired(session: Session, at: datetime) -> int:
    """Deletes what was given up without a name long ago, of the entered account; gives how many."""
    empty = select(Booking.appointment_id).where(
        Booking.state == "cancelled",
        Booking.cancelled_by == "expired",
        Booking.guest_name == "",
        Booking.updated_at < at - KEPT_AFTER_EXPIRY,
    )
    used = select(Booking.appointment_id).where(
        (Booking.cancelled_by != "expired") | (Booking.guest_name != "")
    )
    gone = session.execute(
        delete(Appointment)
        .where(Appointment.state == "cancelled", Appointment.id.in_(empty), Appointment.id.not_in(used))
        .execution_options(synchronize_session=False)
    )
    return int(getattr(gone, "rowcount", 0))
