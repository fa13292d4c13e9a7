"""The X-ray of a day, with its sources: which event of which linked calendar, which appointment, and how fresh we know it.

What a person does for another business is told as a time alone. The title of an event is for the person whose it is; the
page decides who looks.
"""

import uuid
from dataclasses import dataclass, field
from datetime import date, datetime
from zoneinfo import ZoneInfo

from sqlalchemy import and_, func, select, text
from sqlalchemy.orm import Session, aliased, contains_eager

from app.domain.availability.explain import Blocker, Candidate, Seen, Why, explain
from app.domain.availability.hours import Interval
from app.domain.availability.zones import span_of_dates
from app.domain.booking import diary, placing
from app.models.booking import Appointment, AppointmentHost
from app.models.calendar import Calendar, CalendarHost
from app.models.connection import Connection
from app.models.linked_calendar import BusyTime, LinkedCalendar
from app.models.schedule import Schedule, ScheduleDate
from app.models.user import User


@dataclass(frozen=True, slots=True)
class Source:
    """Where a blocker comes from. `synced_at` for events: we know the calendar as it was then."""

    title: str
    calendar: str
    user_id: uuid.UUID
    starts_at: datetime
    ends_at: datetime
    synced_at: datetime | None = None
    is_tentative: bool = False


@dataclass(frozen=True, slots=True)
class Freshness:
    """A linked calendar that is looked at for conflicts, and whether it can be relied on."""

    user_id: uuid.UUID
    name: str
    synced_at: datetime | None
    is_readable: bool
    error: str


@dataclass(frozen=True)
class XRay:
    """`sources` by the `ref` of a blocker."""

    candidates: list[Candidate]
    sources: dict[uuid.UUID, Source] = field(default_factory=dict)
    calendars: list[Freshness] = field(default_factory=list)
    unreadable: set[uuid.UUID] = field(default_factory=set)
    zones: dict[uuid.UUID, ZoneInfo] = field(default_factory=dict)
    names: dict[uuid.UUID, str] = field(default_factory=dict)


def look(session: Session, calendar: Calendar, duration: int, on: date, zone: ZoneInfo, at: datetime) -> XRay:
    """One date of a zone. Seven queries, or eight where caps or seats count."""
    since, until = span_of_dates(zone, on, on)
    if since == until:
        return XRay([])
    seen = diary.read(session, calendar, duration, since, until, at)
    margin = 60 * (duration + calendar.buffer_before + calendar.buffer_after)
    first, last = diary.moment(since - margin), diary.moment(until + margin)
    sources: dict[uuid.UUID, Source] = {}
    blockers: dict[uuid.UUID, list[Blocker]] = {user_id: [] for user_id in seen.people}
    _add_events(session, seen.people, first, last, blockers, sources)
    own = _add_appointments(session, seen.people, first, last, at, blockers, sources)
    _add_elsewhere(session, seen.people, first, last, at, own, blockers)
    names, labels = _names_and_labels(session, calendar)
    found = explain(
        [Seen(host, blockers[host.user_id], labels.get(host.user_id, {})) for host in seen.hosts],
        seen.rules,
        since,
        until,
        int(at.timestamp()),
        [one for _, one in seen.standing.values()],
    )
    zones = {host.user_id: host.week.zone for host in seen.hosts}
    return XRay(found, sources, _calendars(session, calendar, seen.people, at), seen.unreadable, zones, names)


def _span(starts_at: datetime, ends_at: datetime) -> Interval:
    return int(starts_at.timestamp()), -int(-ends_at.timestamp() // 1)


def _add_events(
    session: Session,
    people: list[uuid.UUID],
    first: datetime,
    last: datetime,
    blockers: dict[uuid.UUID, list[Blocker]],
    sources: dict[uuid.UUID, Source],
) -> None:
    rows = session.execute(
        select(BusyTime, LinkedCalendar.name, LinkedCalendar.synced_at)
        .join(LinkedCalendar, LinkedCalendar.id == BusyTime.linked_calendar_id)
        .where(BusyTime.user_id.in_(people), BusyTime.ends_at > first, BusyTime.starts_at < last)
        .order_by(BusyTime.starts_at)
    )
    for busy, name, synced_at in rows:
        span = _span(busy.starts_at, busy.ends_at)
        blockers[busy.user_id].append(Blocker(Why.EVENT, span, span, busy.id))
        sources[busy.id] = Source(
            busy.title, name, busy.user_id, busy.starts_at, busy.ends_at, synced_at, busy.kind == "tentative"
        )


def _add_appointments(
    session: Session,
    people: list[uuid.UUID],
    first: datetime,
    last: datetime,
    at: datetime,
    blockers: dict[uuid.UUID, list[Blocker]],
    sources: dict[uuid.UUID, Source],
) -> set[tuple[uuid.UUID, Interval]]:
    """Those of this account; gives what they take, to tell it from what other businesses take."""
    rows = session.execute(
        select(AppointmentHost, Calendar.name)
        .join(AppointmentHost.appointment)
        .join(Calendar, Calendar.id == Appointment.calendar_id)
        .where(
            AppointmentHost.user_id.in_(people),
            AppointmentHost.blocks,
            AppointmentHost.during.overlaps(placing.stretch(first, last)),
        )
        .options(contains_eager(AppointmentHost.appointment).joinedload(Appointment.bookings))
    ).unique()
    own: set[tuple[uuid.UUID, Interval]] = set()
    for row, name in rows:
        appointment, lower, upper = row.appointment, row.during.lower, row.during.upper
        if lower is None or upper is None:
            continue
        span = _span(lower, upper)
        own.add((row.user_id, span))
        if appointment.hold_until is not None and appointment.hold_until <= at:
            continue
        why = Why.HOLD if appointment.state == "held" else Why.APPOINTMENT
        core = _span(appointment.starts_at, appointment.ends_at)
        blockers[row.user_id].append(Blocker(why, span, core, row.id))
        guests = [one.guest_name for one in appointment.bookings if one.state in ("requested", "confirmed")]
        sources[row.id] = Source(
            ", ".join(guests),
            name,
            row.user_id,
            appointment.starts_at,
            appointment.ends_at,
        )
    return own


def _add_elsewhere(
    session: Session,
    people: list[uuid.UUID],
    first: datetime,
    last: datetime,
    at: datetime,
    own: set[tuple[uuid.UUID, Interval]],
    blockers: dict[uuid.UUID, list[Blocker]],
) -> None:
    rows = session.execute(
        text("select user_id, starts_at, ends_at from people_busy(:people, :since, :until, :at)"),
        {"people": people, "since": first, "until": last, "at": at},
    )
    for user_id, starts_at, ends_at in rows:
        span = _span(starts_at, ends_at)
        if (user_id, span) not in own:
            blockers[user_id].append(Blocker(Why.ELSEWHERE, span, span))


def _names_and_labels(
    session: Session, calendar: Calendar
) -> tuple[dict[uuid.UUID, str], dict[uuid.UUID, dict[str, str]]]:
    """What the hosts are called, and the special dates of each one's hours."""
    usual, shared = aliased(Schedule), aliased(Schedule)
    used = func.coalesce(CalendarHost.schedule_id, usual.id, shared.id)
    rows = session.execute(
        select(CalendarHost.user_id, User.name, ScheduleDate.on, ScheduleDate.label)
        .join(User, User.id == CalendarHost.user_id)
        .outerjoin(usual, and_(usual.is_default, usual.user_id == CalendarHost.user_id))
        .outerjoin(shared, and_(shared.is_default, shared.user_id.is_(None)))
        .outerjoin(ScheduleDate, and_(ScheduleDate.schedule_id == used, ScheduleDate.label != ""))
        .where(CalendarHost.calendar_id == calendar.id)
    )
    names: dict[uuid.UUID, str] = {}
    labels: dict[uuid.UUID, dict[str, str]] = {}
    for user_id, name, on, label in rows:
        names[user_id] = name
        if on is not None:
            labels.setdefault(user_id, {})[on.isoformat()] = label
    return names, labels


def _calendars(
    session: Session, calendar: Calendar, people: list[uuid.UUID], at: datetime
) -> list[Freshness]:
    rows = session.execute(
        select(LinkedCalendar, Connection.state)
        .join(Connection, Connection.id == LinkedCalendar.connection_id)
        .where(
            LinkedCalendar.account_id == calendar.account_id,
            LinkedCalendar.user_id.in_(people),
            LinkedCalendar.checks_conflicts,
            LinkedCalendar.is_gone.is_(False),
        )
        .order_by(LinkedCalendar.name, LinkedCalendar.id)
    )
    return [
        Freshness(
            linked.user_id,
            linked.name,
            linked.synced_at,
            linked.synced_at is not None
            and linked.synced_at >= at - diary.STALE_AFTER
            and state in diary.READABLE,
            linked.sync_error or "",
        )
        for linked, state in rows
    ]
