"""The rehearsal of a change of the clocks: what local times of bookings and hours become over the next two changes.

A booking is a moment and stays it; what shifts is how far apart host and guest are. In the weeks in which one side has
changed its clocks and the other has not, a usual hour is another one for the guest. Hours follow the wall clock of
their own zone, so only what a change swallows or doubles is worth a word there.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from app.domain.availability.hours import DAY, Week, Window, openings
from app.domain.availability.zones import day_of, offset_at, transitions

LOOK_AHEAD = 400 * DAY
# Bookings so far around a change are shown.
AROUND = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Change:
    """The clocks of a zone go from one offset to another; minutes, positive when they go forward."""

    zone: ZoneInfo
    at: datetime
    before: timedelta
    after: timedelta

    @property
    def minutes(self) -> int:
        return int((self.after - self.before).total_seconds() // 60)

    @property
    def wall_before(self) -> datetime:
        """What the clock shows at the moment of the change, had it not changed."""
        return (self.at + self.before).replace(tzinfo=None)

    @property
    def wall_after(self) -> datetime:
        return (self.at + self.after).replace(tzinfo=None)


@dataclass(frozen=True, slots=True)
class Shift:
    """A moment as host and guest see it, and how many minutes the guest's clock differs from what it showed at the same
    host's hour before the change."""

    starts_at: datetime
    host_time: datetime
    guest_time: datetime
    minutes: int

    @property
    def is_shifted(self) -> bool:
        return self.minutes != 0


@dataclass(frozen=True, slots=True)
class OddDay:
    """A date on which the hours are not as long as they read: `missing` (negative: extra) real minutes."""

    on: date
    windows: tuple[Window, ...]
    missing: int


def next_changes(zone: ZoneInfo, at: datetime, count: int = 2) -> list[Change]:
    """The next changes of a zone; none where clocks stay as they are."""
    since = int(at.timestamp())
    return [
        Change(
            zone,
            datetime.fromtimestamp(moment, UTC),
            timedelta(seconds=before),
            timedelta(seconds=after),
        )
        for moment, before, after in transitions(zone, since, since + LOOK_AHEAD)[:count]
    ]


def changes_for(zones: Iterable[ZoneInfo], at: datetime, count: int = 2) -> list[Change]:
    """Those of several zones, in order of time."""
    found = [change for zone in set(zones) for change in next_changes(zone, at, count)]
    return sorted(found, key=lambda change: (change.at, change.zone.key))


def shift_of(starts_at: datetime, host: ZoneInfo, guest: ZoneInfo, change: Change) -> Shift:
    """How a booking around a change looks, measured against the day before the change."""
    apart_then = _apart(host, guest, change.at - timedelta(days=1))
    apart_now = _apart(host, guest, starts_at)
    return Shift(
        starts_at,
        starts_at.astimezone(host),
        starts_at.astimezone(guest),
        (apart_now - apart_then) // 60,
    )


def _apart(host: ZoneInfo, guest: ZoneInfo, at: datetime) -> int:
    moment = int(at.timestamp())
    return offset_at(guest, moment) - offset_at(host, moment)


def odd_days(week: Week, change: Change) -> list[OddDay]:
    """Dates around a change whose hours it shortens or lengthens."""
    if change.zone != week.zone:
        return []
    middle = int(change.at.timestamp())
    days: dict[date, int] = {}
    for opening in openings(week, middle - 2 * DAY, middle + 2 * DAY):
        days[opening.on] = days.get(opening.on, 0) + opening.ends - opening.starts
    around = {day_of(middle + int(offset.total_seconds())) for offset in (change.before, change.after)}
    around |= {day_of(middle + int(change.before.total_seconds()) - 1)}
    found = []
    for on in sorted(around):
        windows = week.of(on)
        planned = sum(end - start for start, end in windows)
        real = days.get(on, 0) // 60
        if windows and real != planned:
            found.append(OddDay(on, windows, planned - real))
    return found


def sentence(shift: Shift, guest_name: str) -> str:
    """For people; "" when nothing changes."""
    if not shift.is_shifted:
        return ""
    later = "later" if shift.minutes > 0 else "earlier"
    return f"For {guest_name} it is {_span(abs(shift.minutes))} {later} by the clock than the same hour was before."


def _span(minutes: int) -> str:
    hours, rest = divmod(minutes, 60)
    parts = [f"{hours} h" if hours else "", f"{rest} min" if rest else ""]
    return " ".join(filter(None, parts))


def in_reach(moments: Sequence[datetime], change: Change) -> list[datetime]:
    return [at for at in moments if abs(at - change.at) <= AROUND]
