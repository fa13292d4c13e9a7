"""Free times: the hours of hosts less what they are busy with, put together as the kind of calendar wants it.

Everything is numbers here (seconds since 1970), sorted once and swept once: a month of fifty hosts is a few thousand
comparisons. No clock, no database, no zone but those of the weeks.

A time of a host is free when it lies within the hours, not before `earliest` and before `latest`, no cap of its day or
week (in the host's zone) is reached, and the time with its buffers touches nothing the host is busy with. Buffers need not
lie within the hours.
"""

import uuid
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import NamedTuple

from app.domain.availability.hours import Interval, Week, starts
from app.domain.availability.zones import day_of, segments


@dataclass(frozen=True, slots=True)
class Rules:
    """Minutes, but `earliest` and `latest`, which are moments. `together`: all hosts must be free (collective, class)."""

    duration: int
    step: int
    buffer_before: int = 0
    buffer_after: int = 0
    earliest: int = 0
    latest: int = 1 << 40
    cap_day: int | None = None
    cap_week: int | None = None
    together: bool = False
    seats: int = 1


@dataclass(frozen=True, slots=True)
class Host:
    """`busy` is sorted and joined (hours.merged) and holds what lies in the range and its buffers.
    `taken` are the starts of appointments of this calendar, for the caps."""

    user_id: uuid.UUID
    week: Week
    busy: Sequence[Interval] = ()
    taken: Sequence[int] = ()
    is_fallback: bool = False


class Standing(NamedTuple):
    """An appointment of a class that exists already, and how many seats are left in it."""

    start: int
    end: int
    seats_left: int
    host_ids: tuple[uuid.UUID, ...]


class FreeSlot(NamedTuple):
    start: int
    seats_left: int
    host_ids: tuple[uuid.UUID, ...]


@dataclass(slots=True)
class Caps:
    """How many appointments a host has on each date and in each week of the host's zone."""

    week: Week
    days: Counter[date] = field(default_factory=Counter)
    weeks: Counter[date] = field(default_factory=Counter)

    @classmethod
    def of(cls, host: Host) -> "Caps":
        made = cls(host.week)
        for on in dates_of(host.week, host.taken):
            made.days[on] += 1
            made.weeks[monday_of(on)] += 1
        return made

    def full_day(self, on: date, rules: Rules) -> bool:
        return rules.cap_day is not None and self.days[on] >= rules.cap_day

    def full_week(self, on: date, rules: Rules) -> bool:
        return rules.cap_week is not None and self.weeks[monday_of(on)] >= rules.cap_week


def monday_of(on: date) -> date:
    return on - timedelta(days=on.weekday())


def dates_of(week: Week, moments: Sequence[int]) -> list[date]:
    """The dates of sorted or unsorted moments in the week's zone."""
    if not moments:
        return []
    pieces = segments(week.zone, min(moments), max(moments) + 1)
    if len(pieces) == 1:
        return [day_of(moment + pieces[0].offset) for moment in moments]
    found = []
    for moment in moments:
        piece = next(one for one in pieces if one.start <= moment < one.end)
        found.append(day_of(moment + piece.offset))
    return found


def free_of_host(host: Host, rules: Rules, since: int, until: int) -> list[int]:
    """The starts at which this host is free, in order."""
    # What does not depend on the minute is in the cache; it is cut here.
    wanted = starts(host.week, since - since % 86400, until, rules.step, rules.duration)
    wanted = wanted[bisect_left(wanted, max(since, rules.earliest)) : bisect_left(wanted, rules.latest)]
    before = rules.buffer_before * 60
    after = (rules.duration + rules.buffer_after) * 60
    busy, count, at = host.busy, len(host.busy), 0
    found: list[int] = []
    for start in wanted:
        begin = start - before
        while at < count and busy[at][1] <= begin:
            at += 1
        if at == count or busy[at][0] >= start + after:
            found.append(start)
    if rules.cap_day is None and rules.cap_week is None:
        return found
    caps = Caps.of(host)
    return [
        start
        for start, on in zip(found, dates_of(host.week, found), strict=True)
        if not caps.full_day(on, rules) and not caps.full_week(on, rules)
    ]


def free_slots(
    hosts: Sequence[Host], rules: Rules, since: int, until: int, standing: Sequence[Standing] = ()
) -> list[FreeSlot]:
    """What can be booked from `since` until before `until`, in order."""
    if not hosts:
        return []
    found = _all_free(hosts, rules, since, until) if rules.together else _any_free(hosts, rules, since, until)
    if standing:
        found |= _with_seats(standing, rules, since, until)
    return [found[start] for start in sorted(found)]


def _all_free(hosts: Sequence[Host], rules: Rules, since: int, until: int) -> dict[int, FreeSlot]:
    free = set(free_of_host(hosts[0], rules, since, until))
    for host in hosts[1:]:
        if not free:
            break
        free.intersection_update(free_of_host(host, rules, since, until))
    everybody = tuple(host.user_id for host in hosts)
    return {start: FreeSlot(start, rules.seats, everybody) for start in free}


def _any_free(hosts: Sequence[Host], rules: Rules, since: int, until: int) -> dict[int, FreeSlot]:
    first = _who_is_free([host for host in hosts if not host.is_fallback], rules, since, until)
    spare = [host for host in hosts if host.is_fallback]
    who = {**_who_is_free(spare, rules, since, until), **first} if spare else first
    return {start: FreeSlot(start, rules.seats, tuple(ids)) for start, ids in who.items()}


def _who_is_free(
    hosts: Sequence[Host], rules: Rules, since: int, until: int
) -> Mapping[int, list[uuid.UUID]]:
    who: dict[int, list[uuid.UUID]] = {}
    for host in hosts:
        for start in free_of_host(host, rules, since, until):
            if start in who:
                who[start].append(host.user_id)
            else:
                who[start] = [host.user_id]
    return who


def _with_seats(standing: Sequence[Standing], rules: Rules, since: int, until: int) -> dict[int, FreeSlot]:
    since, until = max(since, rules.earliest), min(until, rules.latest)
    return {
        one.start: FreeSlot(one.start, one.seats_left, one.host_ids)
        for one in standing
        if since <= one.start < until and one.seats_left > 0 and one.end - one.start == rules.duration * 60
    }
