"""Finding the place for an appointment under the locks of its hosts: at this very moment, by the same engine that offered
the time. Nothing here commits; who calls opens a savepoint, so that a refusal gives the locks back at once."""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from app.core.ids import new_id
from app.domain.availability.hours import Interval
from app.domain.availability.slots import FreeSlot, Host, free_slots
from app.domain.booking import assign, diary
from app.domain.booking.diary import Busy, Diary
from app.domain.booking.offer import Slot
from app.models.booking import Appointment, AppointmentHost
from app.models.calendar import Calendar, CalendarHost


class SlotTaken(Exception):
    """The time is no longer free. `nearest` are up to three that are, in order of time."""

    def __init__(self, nearest: list[Slot]) -> None:
        super().__init__("This time has just been taken.")
        self.nearest = nearest


class NotFree(Exception):
    """As SlotTaken, from where nobody has looked for other times yet."""


@dataclass(frozen=True)
class Wish:
    """`host_id`: only this host will do. `but_hosts`: not these. `prefer`: these, if they are free. `but`: the appointment
    that is moved. `within_rules`: hours, notice, horizon and caps count, as they do for guests."""

    starts_at: datetime
    duration: int
    host_id: uuid.UUID | None = None
    but_hosts: Collection[uuid.UUID] = ()
    prefer: Collection[uuid.UUID] = ()
    but: Appointment | None = None
    extra_busy: Sequence[Busy] = ()
    within_rules: bool = True

    @property
    def start(self) -> int:
        return int(self.starts_at.timestamp())


@dataclass(frozen=True)
class Place:
    """`joins` is the appointment of a class that stands already."""

    host_ids: tuple[uuid.UUID, ...]
    joins: uuid.UUID | None = None


def hosts_of(session: Session, calendar: Calendar) -> list[uuid.UUID]:
    return list(session.scalars(select(CalendarHost.user_id).where(CalendarHost.calendar_id == calendar.id)))


def only(calendar: Calendar, host_id: uuid.UUID | None) -> list[uuid.UUID] | None:
    """Which hosts count when one was asked for by name; None for all."""
    return [host_id] if host_id and calendar.kind == "round_robin" else None


def find(session: Session, calendar: Calendar, wish: Wish, at: datetime) -> Place:
    """Who hosts it. The hosts are locked. Raises NotFree."""
    seen = diary.read(
        session,
        calendar,
        wish.duration,
        wish.start,
        wish.start + 1,
        at,
        but=wish.but,
        extra_busy=wish.extra_busy,
        people=only(calendar, wish.host_id),
        within_rules=wish.within_rules,
    )
    standing = seen.standing.get(wish.start)
    in_time = seen.rules.earliest <= wish.start < seen.rules.latest
    if standing is not None and wish.within_rules and not in_time:
        raise NotFree
    if standing is not None:
        return _join(standing[0], standing[1].seats_left, standing[1].end - wish.start, wish)
    hosts = [host for host in seen.hosts if host.user_id not in wish.but_hosts]
    found = _by_rules(hosts, seen, wish) if wish.within_rules else _by_time(hosts, seen, wish)
    if found is None:
        raise NotFree
    if seen.rules.together:
        return Place(found.host_ids)
    preferred = [user_id for user_id in found.host_ids if user_id in wish.prefer]
    # With a host whose calendars can be read it need not be a mere request.
    readable = [user_id for user_id in found.host_ids if user_id not in seen.unreadable]
    free = readable or found.host_ids
    return Place((preferred[0] if preferred else assign.choose(session, calendar, free, at),))


def _join(appointment_id: uuid.UUID, seats_left: int, length: int, wish: Wish) -> Place:
    if seats_left < 1 or length != wish.duration * 60:
        raise NotFree
    return Place((), appointment_id)


def _by_rules(hosts: list[Host], seen: Diary, wish: Wish) -> FreeSlot | None:
    found = free_slots(hosts, seen.rules, wish.start, wish.start + 1)
    return found[0] if found else None


def _by_time(hosts: list[Host], seen: Diary, wish: Wish) -> FreeSlot | None:
    """Only what the hosts are busy with counts."""
    begin = wish.start - seen.rules.buffer_before * 60
    end = wish.start + (wish.duration + seen.rules.buffer_after) * 60
    free = [host for host in hosts if not _touches(host.busy, begin, end)]
    if not free or (seen.rules.together and len(free) < len(hosts)):
        return None
    first = [host for host in free if not host.is_fallback]
    return FreeSlot(wish.start, seen.rules.seats, tuple(host.user_id for host in first or free))


def _touches(busy: Sequence[Interval], begin: int, end: int) -> bool:
    return any(start < end and begin < stop for start, stop in busy)


def need_free(
    calendar: Calendar,
    people: Sequence[uuid.UUID],
    starts_at: datetime,
    ends_at: datetime,
    busy: Sequence[Busy],
) -> None:
    """Raises NotFree when one of them is busy then, or in the buffers."""
    taken = during(calendar, starts_at, ends_at)
    assert taken.lower is not None and taken.upper is not None
    if any(who in people and begins < taken.upper and taken.lower < ends for who, begins, ends in busy):
        raise NotFree


def during(calendar: Calendar, starts_at: datetime, ends_at: datetime) -> Range[datetime]:
    """The time an appointment takes from its hosts."""
    before, after = timedelta(minutes=calendar.buffer_before), timedelta(minutes=calendar.buffer_after)
    return stretch(starts_at - before, ends_at + after)


def stretch(starts_at: datetime, ends_at: datetime) -> Range[datetime]:
    return Range(starts_at, ends_at, bounds="[)")


def make(
    session: Session, calendar: Calendar, wish: Wish, place: Place, state: str, at: datetime
) -> Appointment:
    """A new appointment with its hosts. The exclusion constraint has the last word."""
    appointment = Appointment(
        id=new_id(),
        account_id=calendar.account_id,
        calendar_id=calendar.id,
        state=state,
        starts_at=wish.starts_at,
        ends_at=wish.starts_at + timedelta(minutes=wish.duration),
        hold_until=at + diary.HOLD_LASTS if state == "held" else None,
        seats=calendar.seats if calendar.kind == "class" else 1,
        revision=0,
        location=calendar.location_text,
        event_state="none",
        updated_at=at,
    )
    session.add(appointment)
    session.flush()
    session.add_all(host_rows(appointment, calendar, place.host_ids))
    session.flush()
    return appointment


def host_rows(
    appointment: Appointment, calendar: Calendar, people: Sequence[uuid.UUID]
) -> list[AppointmentHost]:
    return [
        AppointmentHost(
            account_id=appointment.account_id,
            appointment_id=appointment.id,
            user_id=user_id,
            during=during(calendar, appointment.starts_at, appointment.ends_at),
        )
        for user_id in people
    ]
