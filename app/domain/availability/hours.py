"""Working hours, as people say them, turned into moments.

The one rule: a moment is within the hours when a clock on the wall of that zone shows a date and a time that lie in the
hours of that date. From it follows what happens when clocks change. Times that are skipped do not exist: a window that
starts in the gap starts at the first moment after it, one that ends there ends at it. Times that come twice count both
times, so a window over them is longer in real minutes. Hours until 24:00 and hours from 00:00 of the next date join.
"""

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from app.domain.availability.zones import EPOCH_DAY, segments

# Minutes of wall time from midnight; the end may be 1440.
Window = tuple[int, int]
# Seconds since 1970, the end not included.
Interval = tuple[int, int]
DAY = 86400
_CLOCK = re.compile(r"([01]?\d|2[0-4]):([0-5]\d)")


@dataclass(frozen=True, slots=True)
class Week:
    """Hours of one zone: seven days from Monday, and the dates with hours of their own (none: closed)."""

    zone: ZoneInfo
    days: tuple[tuple[Window, ...], ...]
    dates: tuple[tuple[date, tuple[Window, ...]], ...] = ()

    def of(self, on: date) -> tuple[Window, ...]:
        return dict(self.dates).get(on, self.days[on.weekday()])


@dataclass(frozen=True, slots=True)
class Opening:
    """One window of one date while the offset stays the same. Starts lie on a raster from `raster`."""

    starts: int
    ends: int
    raster: int
    on: date


def read_clock(text: str) -> int:
    """Minutes from midnight of "09:30". Raises ValueError."""
    found = _CLOCK.fullmatch(text.strip())
    minutes = int(found[1]) * 60 + int(found[2]) if found else 1441
    if minutes > 1440:
        raise ValueError("Write a time like 09:30.")
    return minutes


def read_windows(pairs: Iterable[Sequence[str]]) -> tuple[Window, ...]:
    """From [["09:00", "12:00"], ...], in order. Raises ValueError for what ends before it starts or overlaps."""
    windows = sorted((read_clock(start), read_clock(end)) for start, end in pairs)
    if any(end <= start for start, end in windows):
        raise ValueError("The end must be after the start.")
    if any(second[0] < first[1] for first, second in itertools.pairwise(windows)):
        raise ValueError("Two of these times overlap.")
    return tuple(windows)


def read_week(
    zone: ZoneInfo, weekly: Mapping[str, Any], dates: Iterable[tuple[date, Sequence[Sequence[str]]]] = ()
) -> Week:
    """From the columns of a schedule."""
    days = tuple(read_windows(weekly.get(str(number), ())) for number in range(7))
    return Week(zone, days, tuple(sorted((on, read_windows(pairs)) for on, pairs in dates)))


@lru_cache(maxsize=1024)
def openings(week: Week, since: int, until: int) -> tuple[Opening, ...]:
    """Every opening that touches the stretch, uncut at its ends, by start."""
    found: list[Opening] = []
    special = dict(week.dates)
    for piece in segments(week.zone, since - DAY, until + DAY):
        first, last = (piece.start + piece.offset) // DAY, (piece.end - 1 + piece.offset) // DAY
        for day in range(first, last + 1):
            on = date.fromordinal(EPOCH_DAY + day)
            windows = special.get(on)
            for start, end in week.days[on.weekday()] if windows is None else windows:
                raster = day * DAY + start * 60 - piece.offset
                begins = max(raster, piece.start)
                ends = min(day * DAY + end * 60 - piece.offset, piece.end)
                if begins < ends and ends > since and begins < until:
                    found.append(Opening(begins, ends, raster, on))
    return tuple(sorted(found, key=lambda opening: opening.starts))


def merged(intervals: Iterable[Interval]) -> list[Interval]:
    """Sorted and joined where they touch or overlap."""
    found: list[Interval] = []
    last_end = None
    for start, end in sorted(intervals):
        if last_end is not None and start <= last_end:
            if end > last_end:
                last_end = end
                found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
            last_end = end
    return found


def open_time(week: Week, since: int, until: int) -> list[Interval]:
    """When the hours say open, joined over midnights and over changes of the clocks."""
    return merged((opening.starts, opening.ends) for opening in openings(week, since, until))


@lru_cache(maxsize=1024)
def starts(week: Week, since: int, until: int, step: int, duration: int) -> tuple[int, ...]:
    """Where something of `duration` minutes may start within the hours, in order: every `step` minutes of wall time
    from the start of a window, as long as it ends within the hours. Minutes of the duration are real ones."""
    spans = open_time(week, since, until + DAY)
    length, raster = duration * 60, step * 60
    found: set[int] = set()
    for opening in openings(week, since, until):
        behind = max(opening.starts, since) - opening.raster
        first = opening.raster + -(-behind // raster) * raster
        found.update(range(first, min(opening.ends, until), raster))
    return tuple(_within(sorted(found), spans, length))


def _within(candidates: list[int], spans: list[Interval], length: int) -> Iterable[int]:
    at = 0
    for start in candidates:
        while spans[at][1] <= start:
            at += 1
        if start + length <= spans[at][1]:
            yield start
