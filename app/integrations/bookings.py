"""Booking with the hosts' calendars asked in between: the time is held, the providers are asked with no transaction open, and
the booking is kept or refused by what they say. Commits itself, as calendars.py does.

In a round robin the one whose turn it is may turn out to be busy although our tables did not know it yet. Then everybody else
is asked, all at once, and who is really free takes it; a guest is refused only when nobody is.
"""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.actor import Actor
from app.domain.booking import book, placing
from app.domain.booking.guests import Guest
from app.domain.booking.placing import SlotTaken
from app.integrations import calendars
from app.integrations.calendars import FreshBusy
from app.models.booking import Appointment, AppointmentHost, Booking
from app.models.calendar import Calendar


@dataclass
class Form:
    """What a form asks for; `client_key` makes two clicks one booking."""

    calendar: Calendar
    starts_at: datetime
    duration: int
    client_key: str
    host_id: uuid.UUID | None = None
    within_rules: bool = True

    def hold(self, session: Session, but_hosts: Collection[uuid.UUID] = ()) -> Appointment:
        """Committed. Raises SlotTaken, Invalid."""
        held = book.hold(
            session,
            self.calendar,
            self.starts_at,
            self.duration,
            self.client_key,
            self.host_id,
            but_hosts=but_hosts,
            within_rules=self.within_rules,
        )
        session.commit()
        return held


def place(session: Session, form: Form, guest: Guest, actor: Actor | None = None) -> Booking:
    """Holds the time, asks, and books. Raises SlotTaken and Invalid; then what was held runs out by itself."""
    held = form.hold(session)
    people = _hosts_of(session, held)
    fresh = calendars.ask_around(session, form.calendar, people, form.starts_at, form.duration)
    may_change = form.calendar.kind == "round_robin" and form.host_id is None and held.state == "held"
    if may_change and (fresh.unreadable or _busy(form, fresh)):
        rest = [one for one in placing.hosts_of(session, form.calendar) if one not in people]
        fresh = _both(
            fresh, calendars.ask_around(session, form.calendar, rest, form.starts_at, form.duration)
        )
        held = _with_another(session, form, fresh) or held
        people = _hosts_of(session, held)
    made = book.confirm(
        session,
        held.id,
        guest,
        client_key=form.client_key,
        host_id=form.host_id,
        unreadable=bool(fresh.unreadable.intersection(people)),
        fresh_busy=fresh.busy,
        actor=actor,
    )
    session.commit()
    return made


def _with_another(session: Session, form: Form, fresh: FreshBusy) -> Appointment | None:
    """Held by somebody who is free, better by one whose calendars can be read; None when everybody is busy."""
    busy = _busy(form, fresh)
    for without in (busy | fresh.unreadable, busy):
        try:
            return form.hold(session, without)
        except SlotTaken:
            continue
    return None


def _busy(form: Form, fresh: FreshBusy) -> set[uuid.UUID]:
    wanted = placing.during(form.calendar, form.starts_at, form.starts_at + timedelta(minutes=form.duration))
    return {who for who, begins, ends in fresh.busy if wanted.overlaps(placing.stretch(begins, ends))}


def _both(one: FreshBusy, other: FreshBusy) -> FreshBusy:
    return FreshBusy((*one.busy, *other.busy), one.unreadable | other.unreadable)


def _hosts_of(session: Session, appointment: Appointment) -> Sequence[uuid.UUID]:
    query = select(AppointmentHost.user_id).where(AppointmentHost.appointment_id == appointment.id)
    return session.scalars(query).all()
