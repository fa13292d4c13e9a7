"""What is needed to work out free times, read from the database: hosts with their hours, what they are busy with, what is
booked in this calendar. One query for the hosts with their hours and appointments, one for the busy times of linked
calendars that are not remembered (busy_times.py), and one where caps or seats ask for it; never one for each host or day.

Whoever may not enter the account any more hosts nothing in it (access.py).

A host's linked calendars count as unreadable when one that is checked for conflicts was not read for half an hour, or its
connection does not work: what they say may be out of date.
"""

import uuid
from collections import defaultdict
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import lru_cache
from json import loads
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from app.domain.availability.hours import Interval, Week, merged, read_week
from app.domain.availability.slots import Host, Rules, Standing
from app.domain.booking import busy_times
from app.models.booking import Appointment
from app.models.calendar import Calendar

STALE_AFTER = timedelta(minutes=30)
READABLE = ("connected", "pending_review", "degraded")
# A seat in a class is held by its booking alone; this is how long, as for a whole appointment.
HOLD_LASTS = timedelta(minutes=10)
# Caps count whole weeks around the range.
CAP_MARGIN = timedelta(days=8)

# A person, and a stretch in which they are busy.
Busy = tuple[uuid.UUID, datetime, datetime]

HOSTS = """
    with who as (
        select h.user_id, h.is_fallback, h.schedule_id, h.account_id, h.position, h.id
        from calendar_hosts h join users u on u.id = h.user_id and u.disabled_at is null
        where h.calendar_id = :calendar and (u.agency_role = 'owner' or exists (
            select from memberships m where m.user_id = h.user_id and m.account_id = h.account_id))),
    linked as (
        select l.user_id, string_agg(l.id::text || l.busy_version, ',' order by l.id) as versions,
               bool_or(l.checks_conflicts and not l.is_gone and c.state <> 'disconnected'
                       and (l.synced_at is null or l.synced_at < :stale or c.state <> all (:readable))) as unreadable
        from linked_calendars l join connections c on c.id = l.connection_id
        where l.account_id = :account and l.user_id in (select user_id from who) group by l.user_id),
    taken as (
        select p.user_id, array_agg(date_part('epoch', p.starts_at)::bigint order by p.starts_at) as starts,
               array_agg(ceil(date_part('epoch', p.ends_at))::bigint order by p.starts_at) as ends
        from people_busy((select array_agg(user_id) from who), :since, :until, :at) p group by p.user_id)
    select w.user_id, w.is_fallback, s.timezone, s.weekly::text, d.dates::text,
           linked.unreadable, linked.versions, taken.starts, taken.ends
    from who w
    left join linked on linked.user_id = w.user_id
    left join taken on taken.user_id = w.user_id
    left join lateral (
        select s.id, s.timezone, s.weekly from schedules s
        where case when w.schedule_id is not null then s.id = w.schedule_id
                   else s.account_id = w.account_id and s.is_default and (s.user_id = w.user_id or s.user_id is null) end
        order by s.user_id nulls last, s.created_at limit 1) s on true
    left join lateral (
        select jsonb_agg(jsonb_build_array(d."on", d.hours) order by d."on") as dates from schedule_dates d
        where d.schedule_id = s.id and d."on" between :first and :last) d on true
    order by w.position, w.id
"""
BOOKED = """
    select a.id, date_part('epoch', a.starts_at)::bigint, date_part('epoch', a.ends_at)::bigint, a.seats,
           (select count(*) from bookings b where b.account_id = a.account_id and b.appointment_id = a.id
            and (b.state in ('requested', 'confirmed', 'no_show') or (b.state = 'held' and b.updated_at > :fresh))),
           array_agg(h.user_id)
    from appointments a join appointment_hosts h on h.account_id = a.account_id and h.appointment_id = a.id
    where a.account_id = :account and a.calendar_id = :calendar and a.starts_at >= :since and a.starts_at < :until
      and a.state <> 'cancelled' and (a.hold_until is null or a.hold_until > :at)
    group by a.id
"""
_HOSTS, _BOOKED = text(HOSTS), text(BOOKED)


@dataclass
class Diary:
    """Ready for the engine. `standing` are the appointments of a class by their start; `unreadable` are people."""

    hosts: list[Host]
    rules: Rules
    standing: dict[int, tuple[uuid.UUID, Standing]] = field(default_factory=dict)
    unreadable: set[uuid.UUID] = field(default_factory=set)

    @property
    def people(self) -> list[uuid.UUID]:
        return [host.user_id for host in self.hosts]


@dataclass(frozen=True, slots=True)
class Line:
    """What is known of a host without their linked calendars: `versions` says whether what was read of those is good."""

    user_id: uuid.UUID
    is_fallback: bool
    week: Week
    versions: str
    appointments: tuple[Interval, ...]
    taken: tuple[int, ...] = ()


@dataclass
class Outline:
    """Everything but the busy times of linked calendars. Two outlines with the same `key` have the same free times, but
    for notice and horizon."""

    account_id: uuid.UUID
    lines: list[Line]
    rules: Rules
    since: int
    until: int
    standing: dict[int, tuple[uuid.UUID, Standing]] = field(default_factory=dict)
    unreadable: set[uuid.UUID] = field(default_factory=set)

    @property
    def key(self) -> Hashable:
        rules = replace(self.rules, earliest=0, latest=0)
        standing = tuple(sorted(one for _, one in self.standing.values()))
        return self.account_id, tuple(self.lines), rules, self.since, self.until, standing

    def filled(
        self, session: Session, extra_busy: Sequence[Busy] = (), *, from_memory: bool = False
    ) -> Diary:
        """With the busy times. `from_memory` may use what this process read before of the same versions."""
        first = self.since - self.rules.buffer_before * 60
        last = self.until + (self.rules.duration + self.rules.buffer_after) * 60
        versions = {line.user_id: line.versions for line in self.lines if line.versions}
        look = busy_times.remembered if from_memory else busy_times.read
        busy = look(session, self.account_id, versions, first, last)
        for user_id, starts_at, ends_at in extra_busy:
            busy.setdefault(user_id, []).append((int(starts_at.timestamp()), -int(-ends_at.timestamp() // 1)))
        hosts = [
            Host(
                line.user_id,
                line.week,
                merged([*busy.get(line.user_id, ()), *line.appointments]),
                line.taken,
                line.is_fallback,
            )
            for line in self.lines
        ]
        return Diary(hosts, self.rules, self.standing, self.unreadable)


def read(
    session: Session,
    calendar: Calendar,
    duration: int,
    since: int,
    until: int,
    at: datetime,
    *,
    but: Appointment | None = None,
    extra_busy: Sequence[Busy] = (),
    people: Collection[uuid.UUID] | None = None,
    within_rules: bool = True,
) -> Diary:
    """For starts from `since` until before `until`, as the tables are now. `extra_busy` is what was learnt meanwhile; the
    rest as in `outline`."""
    found = outline(
        session, calendar, duration, since, until, at, but=but, people=people, within_rules=within_rules
    )
    return found.filled(session, extra_busy)


def outline(
    session: Session,
    calendar: Calendar,
    duration: int,
    since: int,
    until: int,
    at: datetime,
    *,
    but: Appointment | None = None,
    people: Collection[uuid.UUID] | None = None,
    within_rules: bool = True,
) -> Outline:
    """`but` is an appointment that may be moved, so its time is free; `people` narrows the hosts. Without `within_rules`
    notice, horizon and caps do not count, as for a person who knows what they do."""
    rules = rules_of(calendar, duration, at, within_rules=within_rules)
    found = Outline(calendar.account_id, [], rules, since, until)
    rows = [
        row
        for row in _hosts(session, calendar, rules, since, until, at)
        if people is None or row[0] in people
    ]
    found.unreadable = {row.user_id for row in rows if row.unreadable}
    own = _own_time(session, but) if but is not None else {}
    taken = _booked(session, calendar, rules, found, since, until, at, but) if rows else {}
    for row in rows:
        busy = zip(row.starts or (), row.ends or (), strict=True)
        found.lines.append(
            Line(
                row.user_id,
                row.is_fallback,
                week_of(row.timezone or "UTC", row.weekly or "{}", row.dates or "[]"),
                row.versions or "",
                tuple(one for one in busy if one != own.get(row.user_id)),
                tuple(taken.get(row.user_id, ())),
            )
        )
    return found


def rules_of(calendar: Calendar, duration: int, at: datetime, *, within_rules: bool = True) -> Rules:
    moment = at.timestamp()
    return Rules(
        duration=duration,
        step=calendar.step,
        buffer_before=calendar.buffer_before,
        buffer_after=calendar.buffer_after,
        earliest=int(moment) + 1 + (calendar.notice_minutes * 60 if within_rules else 0),
        latest=int(moment) + calendar.horizon_days * 86400 if within_rules else 1 << 40,
        cap_day=calendar.cap_day if within_rules else None,
        cap_week=calendar.cap_week if within_rules else None,
        together=calendar.kind in ("collective", "class"),
        seats=calendar.seats if calendar.kind == "class" else 1,
    )


@lru_cache(maxsize=2048)
def week_of(zone: str, weekly: str, dates: str) -> Week:
    """From the texts of the columns, so that a schedule is read once for all who share it."""
    special = [(date.fromisoformat(on), hours) for on, hours in loads(dates)]
    return read_week(ZoneInfo(zone), loads(weekly), special)


def moment(at: int) -> datetime:
    return _EPOCH + timedelta(seconds=at)


_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def _hosts(
    session: Session, calendar: Calendar, rules: Rules, since: int, until: int, at: datetime
) -> Sequence[Row[Any]]:
    first = moment(since - rules.buffer_before * 60)
    last = moment(until + (rules.duration + rules.buffer_after) * 60)
    values = {
        "account": calendar.account_id,
        "calendar": calendar.id,
        "stale": at - STALE_AFTER,
        "readable": list(READABLE),
        "since": first,
        "until": last,
        "at": at,
        "first": first.date() - timedelta(days=3),
        "last": last.date() + timedelta(days=3),
    }
    return session.execute(_HOSTS, values).all()


def _own_time(session: Session, but: Appointment) -> dict[uuid.UUID, Interval]:
    """What the appointment takes. No other of the same host can be the same: they may not overlap."""
    rows = session.execute(
        text(
            "select user_id, lower(during), upper(during) from appointment_hosts where appointment_id = :id"
        ),
        {"id": but.id},
    )
    return {row[0]: (int(row[1].timestamp()), -int(-row[2].timestamp() // 1)) for row in rows}


def _booked(
    session: Session,
    calendar: Calendar,
    rules: Rules,
    found: Outline,
    since: int,
    until: int,
    at: datetime,
    but: Appointment | None,
) -> dict[uuid.UUID, list[int]]:
    """The starts of each host's appointments in this calendar; a class's are put into the outline as well."""
    is_class = calendar.kind == "class"
    if not is_class and rules.cap_day is None and rules.cap_week is None:
        return {}
    values = {
        "account": calendar.account_id,
        "calendar": calendar.id,
        "since": moment(since) - CAP_MARGIN,
        "until": moment(until) + CAP_MARGIN,
        "at": at,
        "fresh": at - HOLD_LASTS,
    }
    taken: dict[uuid.UUID, list[int]] = defaultdict(list)
    for appointment_id, start, end, seats, used, people in session.execute(_BOOKED, values):
        if is_class:
            left = max(seats - used, 0)
            found.standing[start] = (appointment_id, Standing(start, end, left, tuple(people)))
        if but is None or appointment_id != but.id:
            for user_id in people:
                taken[user_id].append(start)
    return taken
