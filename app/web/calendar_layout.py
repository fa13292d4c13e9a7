"""Where things stand in the grid of the calendar screen: days as columns, wall time downwards, overlaps side by side.

Rows are five minutes. Style attributes are not allowed on our pages, so places are classes (static/css/calendar-grid.css):
t-<row> for where a block begins, d-<rows> for how long it is, lane-<n>-of-<m> for its share of the column.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

ROW = 5
DAY = 1440
LEAST_ROWS = 3
MOST_LANES = 6
# Shown when nothing lies outside.
FIRST_HOUR, LAST_HOUR = 7, 20


@dataclass
class Item:
    """Something with a time: `row` is what it is for the template; all-day things stand above the grid."""

    starts_at: datetime
    ends_at: datetime
    row: Any
    is_all_day: bool = False


@dataclass
class Block:
    """The part of an item that lies on one day, in minutes of wall time."""

    item: Item
    begins: int
    ends: int
    lane: int = 0
    lanes: int = 1
    first_hour: int = 0

    @property
    def classes(self) -> str:
        top = (self.begins - self.first_hour * 60) // ROW
        rows = max(LEAST_ROWS, -(-(self.ends - self.begins) // ROW))
        return f"t-{top} d-{rows} lane-{self.lane}-of-{self.lanes}"

    @property
    def is_short(self) -> bool:
        return self.ends - self.begins <= 30


@dataclass
class Day:
    on: date
    blocks: list[Block] = field(default_factory=list)
    all_day: list[Item] = field(default_factory=list)

    @property
    def items(self) -> list[Item]:
        """For lists: everything of the day, each once."""
        return [*self.all_day, *(block.item for block in self.blocks)]


@dataclass
class Grid:
    days: list[Day]
    first_hour: int
    last_hour: int

    @property
    def hours(self) -> range:
        return range(self.first_hour, self.last_hour)

    @property
    def rows(self) -> int:
        return (self.last_hour - self.first_hour) * 60 // ROW

    def row_of(self, at: datetime, zone: ZoneInfo) -> int | None:
        """The row of a moment today, None outside of what is shown."""
        local = at.astimezone(zone)
        row = (local.hour * 60 + local.minute - self.first_hour * 60) // ROW
        return row if 0 <= row < self.rows else None


def arrange(items: Iterable[Item], first: date, count: int, zone: ZoneInfo) -> Grid:
    """`count` days from the first, each with what lies on it; hours are added where something is early or late."""
    days = [Day(first + timedelta(days=n)) for n in range(count)]
    by_date = {day.on: day for day in days}
    for item in items:
        starts, last = item.starts_at.astimezone(zone), item.ends_at.astimezone(zone)
        on, until = starts.date(), (last - timedelta(microseconds=1)).date()
        whole = item.is_all_day or item.ends_at - item.starts_at >= timedelta(hours=24)
        while on <= until:
            day = by_date.get(on)
            if day is not None and whole:
                day.all_day.append(item)
            elif day is not None:
                day.blocks.append(_block(item, starts, last, on))
            on += timedelta(days=1)
    earliest = min((block.begins for day in days for block in day.blocks), default=FIRST_HOUR * 60)
    latest = max((block.ends for day in days for block in day.blocks), default=LAST_HOUR * 60)
    grid = Grid(days, min(FIRST_HOUR, earliest // 60), max(LAST_HOUR, -(-latest // 60)))
    for day in days:
        _share(day.blocks)
        for block in day.blocks:
            block.first_hour = grid.first_hour
    return grid


def _block(item: Item, starts: datetime, last: datetime, on: date) -> Block:
    begins = starts.hour * 60 + starts.minute if starts.date() == on else 0
    ends = last.hour * 60 + last.minute if last.date() == on else DAY
    if ends <= begins:
        # The clocks went back in between: the wall shows less than went by.
        ends = begins + int((item.ends_at - item.starts_at) / timedelta(minutes=1))
    return Block(item, begins, min(ends, DAY))


def _share(blocks: list[Block]) -> None:
    """Blocks that touch share the width; those beyond the most lanes stand in the last one."""
    blocks.sort(key=lambda block: (block.begins, -block.ends))
    group: list[Block] = []
    group_ends = -1
    for block in blocks:
        if block.begins >= group_ends:
            _lanes(group)
            group = []
        group.append(block)
        # What is shown at least as high as LEAST_ROWS must not lie under the next.
        group_ends = max(group_ends, block.ends, block.begins + LEAST_ROWS * ROW)
    _lanes(group)


def _lanes(group: Sequence[Block]) -> None:
    free_from: list[int] = []
    for block in group:
        ends = max(block.ends, block.begins + LEAST_ROWS * ROW)
        lane = next((n for n, until in enumerate(free_from) if until <= block.begins), len(free_from))
        lane = min(lane, MOST_LANES - 1)
        if lane == len(free_from):
            free_from.append(ends)
        else:
            free_from[lane] = max(free_from[lane], ends)
        block.lane = lane
    for block in group:
        block.lanes = len(free_from)
