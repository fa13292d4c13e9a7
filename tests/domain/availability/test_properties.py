"""What must hold in every zone of the world and over its next two changes of the clocks.

AVAILABILITY_CASES sets how many random worlds are compared with the oracle (2,000 by default; 100,000 for a night).
"""

import itertools
import os
from dataclasses import replace
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.domain.availability import zones
from app.domain.availability.explain import Blocker, Seen, Why, explain
from app.domain.availability.hours import Week, merged, open_time, starts
from app.domain.availability.slots import free_of_host, free_slots
from tests.domain.availability import oracle
from tests.domain.availability.cases import DAY, NOW, ZONES, World, changes_of, moments

CASES = int(os.environ.get("AVAILABILITY_CASES", "2000"))
WEEKS = (
    ((0, 1440),),
    ((0, 90),),
    ((120, 180),),
    ((30, 150), (165, 1439)),
    ((1380, 1440),),
    ((540, 1020),),
)


def week_of(zone: ZoneInfo, number: int) -> Week:
    return Week(zone, tuple(WEEKS[(number + day) % len(WEEKS)] for day in range(7)))


def test_every_zone_at_its_next_changes_is_open_when_its_clock_says_so() -> None:
    for number, (name, middle) in enumerate(moments()):
        week = week_of(ZoneInfo(name), number)
        since, until = middle - 16 * 3600, middle + 16 * 3600
        spans = open_time(week, since, until)
        ours = [m for m in oracle.minutes(since, until) if any(a <= m < b for a, b in spans)]
        assert ours == oracle.open_minutes(week, since, until), (name, middle)


def test_every_zone_starts_on_the_raster_of_its_wall_clock() -> None:
    for number, (name, middle) in enumerate(moments()):
        week = week_of(ZoneInfo(name), number)
        for step, duration in ((15, 30), (45, 60)):
            wanted = [
                moment
                for moment in oracle.minutes(middle - DAY, middle + DAY)
                if oracle.is_start(week, moment, step)
                and all(oracle.is_open(week, moment + 60 * n) for n in range(duration))
            ]
            assert list(starts(week, middle - DAY, middle + DAY, step, duration)) == wanted, (name, middle)


def test_no_change_of_any_zone_is_missed() -> None:
    """Compared every four hours for fourteen months, and each found change to the second."""
    until = NOW + 425 * DAY
    for name in ZONES:
        zone = ZoneInfo(name)
        pieces = zones.segments(zone, NOW, until)
        assert pieces[0].start == NOW and pieces[-1].end == until
        at = 0
        for moment in range(NOW, until, 4 * 3600):
            while pieces[at].end <= moment:
                at += 1
            assert zones.offset_at(zone, moment) == pieces[at].offset, (name, moment)
        for before, after in itertools.pairwise(pieces):
            assert zones.offset_at(zone, after.start - 1) == before.offset
            assert zones.offset_at(zone, after.start) == after.offset


@pytest.mark.parametrize("part", range(4))
def test_the_engine_agrees_with_the_oracle(part: int) -> None:
    for seed in range(part, CASES, 4):
        world = World(seed)
        found = free_slots(world.hosts, world.rules, world.since, world.until, world.standing)
        ours = [(one.start, one.seats_left, {str(who) for who in one.host_ids}) for one in found]
        theirs = oracle.free_slots(world.hosts, world.rules, world.since, world.until, world.standing)
        assert ours == theirs, seed


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32), st.data())
def test_less_time_never_makes_more_slots(seed: int, data: st.DataObject) -> None:
    world = World(seed)
    host = world.hosts[0]
    before = free_of_host(host, world.rules, world.since, world.until)
    start = data.draw(st.integers(world.since, world.until))
    length = data.draw(st.integers(1, 6 * 3600))
    busier = replace(host, busy=merged([*host.busy, (start, start + length)]))
    after = free_of_host(busier, world.rules, world.since, world.until)
    assert set(after) <= set(before)
    margin_after = (world.rules.duration + world.rules.buffer_after) * 60
    margin_before = world.rules.buffer_before * 60
    for lost in set(before) - set(after):
        assert start < lost + margin_after and lost - margin_before < start + length


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32), st.integers(1, 2 * DAY))
def test_a_range_in_two_parts_offers_the_same(seed: int, cut: int) -> None:
    world = World(seed)
    middle = min(world.since + cut, world.until)
    whole = free_slots(world.hosts, world.rules, world.since, world.until, world.standing)
    parts = [
        *free_slots(world.hosts, world.rules, world.since, middle, world.standing),
        *free_slots(world.hosts, world.rules, middle, world.until, world.standing),
    ]
    assert parts == whole


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32))
def test_the_x_ray_says_what_is_offered(seed: int) -> None:
    world = World(seed)
    seen = [Seen(host, [Blocker(Why.EVENT, span, span) for span in host.busy]) for host in world.hosts]
    now = world.rules.earliest - 1 if world.rules.earliest else 0
    told = explain(seen, world.rules, world.since, world.until, now, world.standing)
    offered = [one.start for one in told if one.is_offered]
    found = free_slots(world.hosts, world.rules, world.since, world.until, world.standing)
    assert offered == [one.start for one in found]
    for one in told:
        assert one.is_offered or one.reasons or any(v.reasons for v in one.hosts)


@pytest.mark.parametrize("name", ["Europe/Berlin", "Asia/Beirut", "America/Havana", "Africa/Casablanca"])
def test_dates_cover_all_time_once(name: str) -> None:
    zone = ZoneInfo(name)
    for change in changes_of(name):
        first = datetime.fromtimestamp(change - 3 * DAY, UTC).date().toordinal()
        spans = [
            zones.span_of_dates(zone, date.fromordinal(n), date.fromordinal(n))
            for n in range(first, first + 7)
        ]
        for before, after in itertools.pairwise(spans):
            assert before[1] >= after[0]
            assert before[0] < after[0]
