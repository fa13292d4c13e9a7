"""When a zone changes its clocks, as numbers: pieces of time in which the offset from UTC stays the same.

zoneinfo tells the offset of a moment but not when it changes, so changes are looked for: one look every six hours, then
halving. No two changes of any zone lie closer together than that (the tests compare with every zone's own table).
"""

import itertools
from collections.abc import Iterator
from datetime import UTC, date, datetime
from functools import cache, lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

LOOK_EVERY = 6 * 3600
YEAR = 366 * 86400
EPOCH_DAY = date(1970, 1, 1).toordinal()


class Segment(NamedTuple):
    """From `start` until before `end`, in seconds since 1970, local time is UTC plus `offset` seconds."""

    start: int
    end: int
    offset: int


@cache
def zone_names() -> frozenset[str]:
    """Every zone there is; looked for once, since it means a walk through a thousand files."""
    return frozenset(available_timezones())


def offset_at(zone: ZoneInfo, moment: int) -> int:
    found = datetime.fromtimestamp(moment, UTC).astimezone(zone).utcoffset()
    return 0 if found is None else int(found.total_seconds())


@lru_cache(maxsize=4096)
def _changes(zone: ZoneInfo, start: int, end: int) -> tuple[tuple[int, int], ...]:
    """(moment, new offset) after `start` up to `end`, the offset at `start` first."""
    found = [(start, offset_at(zone, start))]
    at = start
    while at < end:
        ahead = min(at + LOOK_EVERY, end)
        offset = offset_at(zone, ahead)
        if offset != found[-1][1]:
            low, high = at, ahead
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if offset_at(zone, middle) == found[-1][1] else (low, middle)
            found.append((high, offset))
        at = ahead
    return tuple(found)


@lru_cache(maxsize=4096)
def segments(zone: ZoneInfo, since: int, until: int) -> tuple[Segment, ...]:
    """The time from `since` until before `until`, cut where the clocks change."""
    cuts: list[tuple[int, int]] = []
    for number in range(since // YEAR, (until - 1) // YEAR + 1):
        # Blocks of a fixed size, so that other ranges find them in the cache.
        cuts += _changes(zone, number * YEAR, (number + 1) * YEAR)
    return tuple(_clipped(cuts, since, until))


def _clipped(cuts: list[tuple[int, int]], since: int, until: int) -> Iterator[Segment]:
    start, offset = since, cuts[0][1]
    for moment, new in cuts[1:]:
        if moment >= until:
            break
        if new != offset:
            if moment > start:
                yield Segment(start, moment, offset)
                start = moment
            offset = new
    if until > start:
        yield Segment(start, until, offset)


def transitions(zone: ZoneInfo, since: int, until: int) -> list[tuple[int, int, int]]:
    """(moment, offset before, offset after) of each change in between."""
    pieces = segments(zone, since, until)
    return [(b.start, a.offset, b.offset) for a, b in itertools.pairwise(pieces)]


def day_of(local: int) -> date:
    """The date of a local time in seconds."""
    return date.fromordinal(EPOCH_DAY + local // 86400)


def local_seconds(on: date) -> int:
    """Local midnight of a date, in seconds of local time."""
    return (on.toordinal() - EPOCH_DAY) * 86400


def span_of_dates(zone: ZoneInfo, first: date, last: date) -> tuple[int, int]:
    """The first moment of a date and the first after another, in a zone where either midnight may not exist."""
    since, until = local_seconds(first), local_seconds(last) + 86400
    pieces = segments(zone, since - 2 * 86400, until + 2 * 86400)
    inside = [
        (max(piece.start, since - piece.offset), min(piece.end, until - piece.offset))
        for piece in pieces
        if piece.start + piece.offset < until and piece.end + piece.offset > since
    ]
    if not inside:
        # The date was skipped, as Samoa did with the 30th of December 2011: an empty stretch where it would be.
        at = next(piece.start for piece in pieces if piece.start + piece.offset >= until)
        return at, at
    return min(start for start, _ in inside), max(end for _, end in inside)
