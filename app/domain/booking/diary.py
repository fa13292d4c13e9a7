"""What is needed to work out free times, read from the database: hosts with their hours, what they are busy with, what is
booked in this calendar. Two queries, and a third where caps or seats ask for it; never one for each host or day.

A host's linked calendars count as unreadable when one that is checked for conflicts was not read for half an hour, or its
connection does not work: what they say may be out of date.
"""

import uuid
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import lru_cache
from json import loads
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.domain.availability.hours import Interval, Week, merged, read_week
from app.domain.availability.slots import Host, Rules, Standing
from app.models.booking import Appointment
from app.models.calendar import Calendar

STALE_AFTER = timedelta(minutes=30)
READABLE = ("connected", "degraded")
# A seat in a class is held by its booking alone; this is how long, as for a whole appointment.
HOLD_LASTS = timedelta(minutes=10)
# Caps count whole weeks around the range.
CAP_MARGIN = timedelta(days=8)

# A person, and a stretch in which they are busy.
Busy = tuple[uuid.UUID, datetime, datetime]

_HOSTS = text("""
    select h.user_id, h.is_fallback, s.timezone, s.weekly::text, d.dates::text,
           exists (select 1 from linked_calendars l join connections c on c.id = l.connection_id
                   where l.account_id = h.account_id and l.user_id = h.user_id and l.checks_conflicts and not l.is_gone
                     and c.state <> 'disconnected'
                     and (l.synced_at is null or l.synced_at < :stale
                          or c.state <> all (:readable)))
    from calendar_hosts h join users u on u.id = h.user_id and u.disabled_at is null
    left join lateral (
        select s.id, s.timezone, s.weekly from schedules s
        where case when h.schedule_id is not null then s.id = h.schedule_id
                   else s.account_id = h.account_id and s.is_default and (s.user_id = h.user_id or s.user_id is null) end
        order by s.user_id nulls last, s.created_at limit 1) s on true
    left join lateral (
        select jsonb_agg(jsonb_build_array(d."on", d.hours) order by d."on") as dates from schedule_dates d
        where d.schedule_id = s.id and d."on" between :first and :last) d on true
    where h.calendar_id = :calendar
    order by h.position, h.id
""")
_BUSY = text("""
    select user_id, array_agg(starts), array_agg(ends) from (
        select b.user_id, floor(date_part('epoch', b.starts_at))::bigint as starts,
               ceil(date_part('epoch', b.ends_at))::bigint as ends
        from busy_times b where b.account_id = :account and b.user_id = any (:people)
          and b.ends_at > :since and b.starts_at < :until
        union all
        select p.user_id, floor(date_part('epoch', p.starts_at))::bigint, ceil(date_part('epoch', p.ends_at))::bigint
        from people_busy(:people, :since, :until, :at) p
    ) x group by user_id
""")
_BOOKED = text("""
    select a.id, date_part('epoch', a.starts_at)::bigint, date_part('epoch', a.ends_at)::bigint, a.seats,
           (select count(*) from bookings b where b.account_id = a.account_id and b.appointment_id = a.id
            and (b.state in ('requested', 'confirmed', 'no_show') or (b.state = 'held' and b.updated_at > :fresh))),
           array_agg(h.user_id)
    from appointments a join appointment_hosts h on h.account_id = a.account_id and h.appointment_id = a.id
    where a.account_id = :account and a.calendar_id = :calendar and a.starts_at >= :since and a.starts_at < :until
      and a.state <> 'cancelled' and (a.hold_until is null or a.hold_until > :at)
    group by a.id
""")


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
    """For starts from `since` until before `until`. `but` is an appointment that may be moved, so its time is free;
    `extra_busy` is what was learnt meanwhile; `people` narrows the hosts. Without `within_rules` notice, horizon and caps
    do not count, as for a person who knows what they do."""
    found = _hosts(session, calendar, since, until, at, people)
    rules = rules_of(calendar, duration, at, within_rules=within_rules)
    diary = Diary([], rules, unreadable={row[0] for row in found if row[5]})
    ids = [row[0] for row in found]
    busy = _busy(session, calendar, rules, ids, since, until, at, but, extra_busy)
    taken = _booked(session, calendar, rules, diary, since, until, at, but) if ids else {}
    for user_id, is_fallback, zone, weekly, dates, _ in found:
        week = week_of(zone or "UTC", weekly or "{}", dates or "[]")
        diary.hosts.append(
            Host(user_id, week, merged(busy.get(user_id, ())), taken.get(user_id, ()), is_fallback)
        )
    return diary


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

HostRow = tuple[uuid.UUID, bool, str | None, str | None, str | None, bool]


def _hosts(
    session: Session,
    calendar: Calendar,
    since: int,
    until: int,
    at: datetime,
    people: Collection[uuid.UUID] | None,
) -> list[HostRow]:
    rows = session.execute(
        _HOSTS,
        {
            "calendar": calendar.id,
            "stale": at - STALE_AFTER,
            "readable": list(READABLE),
            "first": moment(since).date() - timedelta(days=3),
            "last": moment(until).date() + timedelta(days=3),
        },
    )
    found: list[HostRow] = [(r[0], r[1], r[2], r[3], r[4], r[5]) for r in rows]
    return found if people is None else [row for row in found if row[0] in people]


def _busy(
    session: Session,
    calendar: Calendar,
    rules: Rules,
    people: list[uuid.UUID],
    since: int,
    until: int,
    at: datetime,
    but: Appointment | None,
    extra_busy: Sequence[Busy],
) -> dict[uuid.UUID, list[Interval]]:
    first = moment(since - rules.buffer_before * 60)
    last = moment(until + (rules.duration + rules.buffer_after) * 60)
    values = {"account": calendar.account_id, "people": people, "since": first, "until": last, "at": at}
    found: dict[uuid.UUID, list[Interval]] = {
        user_id: list(zip(starts, ends, strict=True))
        for user_id, starts, ends in session.execute(_BUSY, values)
    }
    if but is not None:
        _forget(session, found, but)
    for user_id, starts_at, ends_at in extra_busy:
        found.setdefault(user_id, []).append((int(starts_at.timestamp()), -int(-ends_at.timestamp() // 1)))
    return found


def _forget(session: Session, busy: dict[uuid.UUID, list[Interval]], but: Appointment) -> None:
    """Takes the appointment's own time out. No other of the same host can be the same: they may not overlap."""
    rows = session.execute(
        text(
            "select user_id, lower(during), upper(during) from appointment_hosts where appointment_id = :id"
        ),
        {"id": but.id},
    )
    for user_id, starts_at, ends_at in rows:
        own = (int(starts_at.timestamp()), int(ends_at.timestamp()))
        if own in busy.get(user_id, ()):
            busy[user_id].remove(own)


def _booked(
    session: Session,
    calendar: Calendar,
    rules: Rules,
    diary: Diary,
    since: int,
    until: int,
    at: datetime,
    but: Appointment | None,
) -> dict[uuid.UUID, list[int]]:
    """The starts of each host's appointments in this calendar; a class's are put into the diary as well."""
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
            diary.standing[start] = (appointment_id, Standing(start, end, left, tuple(people)))
        if but is None or appointment_id != but.id:
            for user_id in people:
                taken[user_id].append(start)
    return taken
