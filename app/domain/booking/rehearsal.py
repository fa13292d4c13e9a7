"""The rehearsal of the next changes of the clocks: of the business, of each host's hours and of each guest who is booked.

Only bookings within two weeks of a change are shown; further away both sides have long changed, or not yet.
"""

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload, selectinload

from app.domain.availability.hours import read_week
from app.domain.availability.rehearsal import (
    AROUND,
    Change,
    OddDay,
    Shift,
    changes_for,
    next_changes,
    odd_days,
    shift_of,
)
from app.models.account import Account
from app.models.booking import Appointment, Booking
from app.models.schedule import Schedule

MOST_SHOWN = 500


@dataclass(frozen=True)
class Line:
    """A booking around a change; `shift` says what the guest's clock shows then, measured against before."""

    booking: Booking
    shift: Shift


@dataclass(frozen=True)
class Act:
    """One change of the clocks of one zone: what it does to bookings and to hours."""

    change: Change
    lines: list[Line] = field(default_factory=list)
    odd: list[tuple[Schedule, OddDay]] = field(default_factory=list)

    @property
    def shifted(self) -> list[Line]:
        return [line for line in self.lines if line.shift.is_shifted]


@dataclass(frozen=True)
class Rehearsal:
    """`steady` are zones in use whose clocks do not change."""

    acts: list[Act]
    steady: list[str]


def rehearse(
    session: Session, account: Account, at: datetime, *, host_id: uuid.UUID | None = None
) -> Rehearsal:
    """The next two changes of every zone that hours or coming bookings are in, in order of time."""
    schedules = list(session.scalars(select(Schedule).options(selectinload(Schedule.dates))))
    bookings = _coming(session, at, host_id)
    own = _zones_of_people(schedules)
    zones = {account.zone, *own.values(), *(ZoneInfo(one.timezone) for one in schedules)}
    guests = {ZoneInfo(one.guest_timezone) for one in bookings}
    acts = []
    for change in changes_for(zones | guests, at):
        lines = []
        for one in bookings:
            host, guest = _host_zone(one, own, account), ZoneInfo(one.guest_timezone)
            if change.zone in (host, guest) and abs(one.starts_at - change.at) <= AROUND:
                lines.append(Line(one, shift_of(one.starts_at, host, guest, change)))
        odd = [(one, day) for one in schedules for day in _odd(one, change)]
        if lines or odd or change.zone in zones:
            acts.append(Act(change, lines, odd))
    steady = sorted(zone.key for zone in zones | guests if not next_changes(zone, at))
    return Rehearsal(acts, steady)


def _coming(session: Session, at: datetime, host_id: uuid.UUID | None) -> list[Booking]:
    query = (
        select(Booking)
        .where(Booking.state.in_(("requested", "confirmed")), Booking.starts_at >= at - AROUND)
        .options(joinedload(Booking.appointment).selectinload(Appointment.hosts))
        .order_by(Booking.starts_at, Booking.id)
        .limit(MOST_SHOWN)
    )
    found = list(session.scalars(query))
    if host_id is None:
        return found
    return [one for one in found if any(host.user_id == host_id for host in one.appointment.hosts)]


def _zones_of_people(schedules: list[Schedule]) -> dict[uuid.UUID, ZoneInfo]:
    """Where each person works, by their own default hours."""
    return {one.user_id: ZoneInfo(one.timezone) for one in schedules if one.user_id and one.is_default}


def _host_zone(booking: Booking, own: dict[uuid.UUID, ZoneInfo], account: Account) -> ZoneInfo:
    people = [host.user_id for host in booking.appointment.hosts]
    return next((own[user_id] for user_id in people if user_id in own), account.zone)


def _odd(schedule: Schedule, change: Change) -> list[OddDay]:
    dates = [(one.on, one.hours) for one in schedule.dates]
    return odd_days(read_week(ZoneInfo(schedule.timezone), schedule.weekly, dates), change)
