"""Random worlds around the moments where clocks change: zones, weeks, busy times, rules."""

import random
import uuid
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from app.domain.availability.hours import Interval, Week, Window, merged
from app.domain.availability.slots import Host, Rules, Standing
from app.domain.availability.zones import segments, transitions

DAY = 86400
NOW = int(datetime(2026, 3, 2, tzinfo=UTC).timestamp())
ZONES = sorted(available_timezones() - {"localtime", "Factory", "posixrules"})
# Half-hour changes, changes at midnight, offsets of 45 minutes, changes around Ramadan, negative daylight saving, none.
ODD_ZONES = (
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "Asia/Beirut",
    "Africa/Cairo",
    "Asia/Gaza",
    "America/Havana",
    "America/Santiago",
    "America/Asuncion",
    "America/Nuuk",
    "Pacific/Chatham",
    "Asia/Kathmandu",
    "Europe/Dublin",
    "Antarctica/Troll",
    "America/St_Johns",
    "Pacific/Apia",
    "Europe/Berlin",
    "America/New_York",
)
# Times past, at which stranger things happened than will happen soon: a date that never was, a change of a day's length.
PAST = (
    ("Pacific/Apia", datetime(2011, 12, 30, 10, tzinfo=UTC)),
    ("Pacific/Kwajalein", datetime(1993, 8, 21, 12, tzinfo=UTC)),
    ("America/Sao_Paulo", datetime(2018, 11, 4, 3, tzinfo=UTC)),
    ("America/Sao_Paulo", datetime(2018, 2, 18, 2, tzinfo=UTC)),
    ("Asia/Pyongyang", datetime(2018, 5, 4, 15, tzinfo=UTC)),
    ("America/Caracas", datetime(2016, 5, 1, 7, tzinfo=UTC)),
    ("Africa/Juba", datetime(2021, 1, 31, 21, tzinfo=UTC)),
    ("Asia/Amman", datetime(2022, 10, 27, 22, tzinfo=UTC)),
    ("Africa/Casablanca", datetime(2018, 6, 17, 2, tzinfo=UTC)),
)


@cache
def changes_of(name: str) -> tuple[int, ...]:
    """The next two changes of a zone; a quiet moment where there are none."""
    found = [moment for moment, _, _ in transitions(ZoneInfo(name), NOW, NOW + 400 * DAY)[:2]]
    return tuple(found) or (NOW + 20 * DAY,)


def moments() -> list[tuple[str, int]]:
    """Every zone at its next two changes, and the strange past. Zones that have the same offsets around the same change
    are one case: nothing else of a zone reaches the engine, and that its offsets are right is tested for each."""
    coming = [(name, moment) for name in ZONES for moment in changes_of(name)]
    every = coming + [(name, int(at.timestamp())) for name, at in PAST]
    different = {
        segments(ZoneInfo(name), moment - 3 * DAY, moment + 3 * DAY): (name, moment) for name, moment in every
    }
    return list(different.values())


class World:
    """Everything random, from one seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        names = (
            self.random.sample(ODD_ZONES, 2) if self.random.random() < 0.6 else self.random.sample(ZONES, 2)
        )
        if self.random.random() < 0.1:
            name, at = self.random.choice(PAST)
            names, middle = [name, name], int(at.timestamp())
        else:
            middle = self.random.choice(changes_of(names[0]))
        self.since = middle - self.random.randrange(DAY // 4, DAY) // 60 * 60
        self.until = middle + self.random.randrange(DAY // 4, 2 * DAY) // 60 * 60
        self.rules = self._rules(middle)
        count = self.random.choice((1, 1, 1, 2, 3))
        self.hosts = [self._host(ZoneInfo(names[n % 2]), n) for n in range(count)]
        self.standing = self._standing()

    def _rules(self, middle: int) -> Rules:
        pick = self.random.choice
        together = self.random.random() < 0.3
        return Rules(
            duration=pick((5, 15, 30, 45, 60, 90, 240)),
            step=pick((5, 10, 15, 20, 30, 45, 60, 120)),
            buffer_before=pick((0, 0, 5, 15, 45)),
            buffer_after=pick((0, 0, 10, 30)),
            earliest=pick((0, 0, middle - 3601, middle + 17)),
            latest=pick((1 << 40, 1 << 40, middle + 5 * 3600 + 1)),
            cap_day=pick((None, None, 1, 2)),
            cap_week=pick((None, None, 1, 2)),
            together=together,
            seats=pick((1, 5)) if together else 1,
        )

    def _host(self, zone: ZoneInfo, number: int) -> Host:
        days = tuple(self._windows() for _ in range(7))
        first = datetime.fromtimestamp(self.since, UTC).date()
        dates = tuple(
            (first + timedelta(days=n), self._windows()) for n in range(5) if self.random.random() < 0.15
        )
        busy = merged(self._busy() for _ in range(self.random.choice((0, 2, 6, 15))))
        taken = [
            self.random.randrange(self.since - 4 * DAY, self.until + 4 * DAY)
            for _ in range(self.random.randrange(6))
        ]
        return Host(
            uuid.UUID(int=number),
            Week(zone, days, dates),
            busy,
            taken,
            number > 0 and self.random.random() < 0.3,
        )

    def _windows(self) -> tuple[Window, ...]:
        kind = self.random.random()
        if kind < 0.15:
            return ()
        if kind < 0.3:
            return ((0, 1440),)
        grain = self.random.choice((5, 15, 30, 60))
        edges = sorted(self.random.sample(range(0, 1441, grain), self.random.choice((2, 4))))
        # Half of the weeks live in the small hours, where clocks change.
        if self.random.random() < 0.5:
            edges = sorted({edge // 6 // grain * grain for edge in edges})
            edges = edges[: len(edges) // 2 * 2]
        return tuple((edges[n], edges[n + 1]) for n in range(0, len(edges), 2))

    def _busy(self) -> Interval:
        start = self.random.randrange(self.since - 7200, self.until + 7200)
        # Half of them end or begin where a slot may: touching is not overlapping.
        start -= start % 300 if self.random.random() < 0.5 else 0
        return start, start + self.random.choice((1, 300, 1800, 3601, 9000))

    def _standing(self) -> list[Standing]:
        if not self.rules.together or self.random.random() < 0.5:
            return []
        starts = {self.random.randrange(self.since, self.until) // 60 * 60 for _ in range(3)}
        who = tuple(host.user_id for host in self.hosts)
        return [
            Standing(start, start + 60 * self.random.choice((self.rules.duration, 17)), n, who)
            for n, start in enumerate(sorted(starts))
        ]


def day(text: str) -> date:
    return date.fromisoformat(text)
