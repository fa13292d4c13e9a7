"""The same question answered without any cleverness: each minute is asked for its local time, nothing is skipped, merged or
remembered. Slow, and for that easy to believe."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from app.domain.availability.hours import Interval, Week
from app.domain.availability.slots import Host, Rules, Standing

MINUTE = 60


@lru_cache(maxsize=200_000)
def wall(zone: ZoneInfo, moment: int) -> tuple[date, int]:
    """The date and the minute of the day that a clock shows."""
    local = datetime.fromtimestamp(moment, UTC).astimezone(zone)
    return local.date(), local.hour * 60 + local.minute


def windows(week: Week, on: date) -> Sequence[tuple[int, int]]:
    for special, hours in week.dates:
        if special == on:
            return hours
    return week.days[on.weekday()]


def is_open(week: Week, moment: int) -> bool:
    on, minute = wall(week.zone, moment)
    return any(start <= minute < end for start, end in windows(week, on))


def is_start(week: Week, moment: int, step: int) -> bool:
    on, minute = wall(week.zone, moment)
    return any(start <= minute < end and (minute - start) % step == 0 for start, end in windows(week, on))


def minutes(since: int, until: int) -> Iterator[int]:
    return iter(range(since + -since % MINUTE, until, MINUTE))


def open_minutes(week: Week, since: int, until: int) -> list[int]:
    return [moment for moment in minutes(since, until) if is_open(week, moment)]


def _busy(busy: Sequence[Interval], begin: int, end: int) -> bool:
    return any(start < end and begin < stop for start, stop in busy)


def is_free(host: Host, rules: Rules, moment: int) -> bool:
    if not rules.earliest <= moment < rules.latest or not is_start(host.week, moment, rules.step):
        return False
    end = moment + rules.duration * MINUTE
    if not all(is_open(host.week, each) for each in range(moment, end, MINUTE)):
        return False
    if _busy(host.busy, moment - rules.buffer_before * MINUTE, end + rules.buffer_after * MINUTE):
        return False
    on = wall(host.week.zone, moment)[0]
    dates = [wall(host.week.zone, each)[0] for each in host.taken]
    if rules.cap_day is not None and sum(each == on for each in dates) >= rules.cap_day:
        return False
    monday = on - timedelta(days=on.weekday())
    in_week = sum(monday <= each < monday + timedelta(days=7) for each in dates)
    return rules.cap_week is None or in_week < rules.cap_week


def free_slots(
    hosts: Sequence[Host], rules: Rules, since: int, until: int, standing: Sequence[Standing] = ()
) -> list[tuple[int, int, set[str]]]:
    """(start, seats left, hosts) of every slot. Windows, steps and offsets of the cases are multiples of five minutes, so
    no start lies elsewhere, but for appointments that stand."""
    found = []
    moments = {*range(since + -since % 300, until, 300), *(one.start for one in standing)}
    for moment in sorted(each for each in moments if since <= each < until):
        there = [
            one
            for one in standing
            if one.start == moment and one.end - one.start == rules.duration * MINUTE and one.seats_left
        ]
        if there and rules.earliest <= moment < rules.latest:
            found.append((moment, there[0].seats_left, {str(each) for each in there[0].host_ids}))
            continue
        free = [host for host in hosts if is_free(host, rules, moment)]
        if rules.together and len(free) < len(hosts):
            continue
        if not rules.together and any(not host.is_fallback for host in free):
            free = [host for host in free if not host.is_fallback]
        if free:
            found.append((moment, rules.seats, {str(host.user_id) for host in free}))
    return found
