"""The X-ray of a day: for each time at which something could start, whether it is free and, for each host, what is in the
way and how fresh the knowledge of it is.

It follows the rules of slots.py step by step and keeps every reason instead of stopping at the first. Its verdict is not a
second opinion: a property test holds it to what free_slots offers.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from app.domain.availability.hours import Interval, Opening, Week, open_time, openings
from app.domain.availability.slots import Caps, Host, Rules, Standing, dates_of
from app.domain.availability.zones import segments

DAY = 86400


class Why(StrEnum):
    OUTSIDE_HOURS = "outside_hours"
    OTHER_HOURS = "other_hours"
    CLOSED_DATE = "closed_date"
    PAST = "past"
    NOTICE = "notice"
    HORIZON = "horizon"
    EVENT = "event"
    APPOINTMENT = "appointment"
    HOLD = "hold"
    ELSEWHERE = "elsewhere"
    BUFFER = "buffer"
    CAP_DAY = "cap_day"
    CAP_WEEK = "cap_week"
    FULL = "full"
    STAND_IN = "stand_in"


@dataclass(frozen=True, slots=True)
class Blocker:
    """Something that takes a host's time. `why` is EVENT, APPOINTMENT, HOLD or ELSEWHERE; `core` is its time without the
    buffers it brings along; `ref` names the row it comes from."""

    why: Why
    span: Interval
    core: Interval
    ref: uuid.UUID | None = None


@dataclass(frozen=True, slots=True)
class Reason:
    """`blocker` is what stands in the way. BUFFER: only the margin of one of both touches it."""

    why: Why
    blocker: Blocker | None = None
    label: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One host at one time. Nothing in the way means free."""

    user_id: uuid.UUID
    reasons: tuple[Reason, ...]

    @property
    def is_free(self) -> bool:
        return not self.reasons


@dataclass(frozen=True, slots=True)
class Candidate:
    """`is_offered` is what guests see; `seats_left` tells of a class that stands already."""

    start: int
    is_offered: bool
    hosts: tuple[Verdict, ...]
    seats_left: int | None = None
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True)
class Seen:
    """A host with everything that takes their time, one by one, and the labels of their special dates."""

    host: Host
    blockers: Sequence[Blocker] = ()
    labels: Mapping[str, str] = field(default_factory=dict)


def explain(
    seen: Sequence[Seen],
    rules: Rules,
    since: int,
    until: int,
    now: int,
    standing: Sequence[Standing] = (),
) -> list[Candidate]:
    """Every time from `since` until before `until` at which one of the hosts could start by the step, were they open all
    day: the raster of their hours, carried on beyond them."""
    judges = [(one.host.user_id, _judge(one, rules, since, until, now)) for one in seen]
    there = {one.start: one for one in standing if one.end - one.start == rules.duration * 60}
    moments = {start for one in seen for start in _raster(one.host.week, rules.step, since, until)}
    moments |= {start for start in there if since <= start < until}
    found = []
    for start in sorted(moments):
        verdicts = tuple(Verdict(user_id, tuple(judge(start))) for user_id, judge in judges)
        found.append(_candidate(seen, rules, start, now, verdicts, there.get(start)))
    return found


def _candidate(
    seen: Sequence[Seen],
    rules: Rules,
    start: int,
    now: int,
    verdicts: tuple[Verdict, ...],
    standing: Standing | None,
) -> Candidate:
    if standing is not None:
        reasons = _of_clock(start, rules, now)
        if standing.seats_left < 1:
            reasons.append(Reason(Why.FULL))
        return Candidate(start, not reasons, verdicts, standing.seats_left, tuple(reasons))
    free = [verdict.is_free for verdict in verdicts]
    offered = bool(free) and (all(free) if rules.together else any(free))
    if offered and not rules.together:
        first = [one for one, verdict in zip(seen, verdicts, strict=True) if verdict.is_free]
        if any(not one.host.is_fallback for one in first):
            spare = {one.host.user_id for one in first if one.host.is_fallback}
            stand_in = (Reason(Why.STAND_IN),)
            verdicts = tuple(Verdict(v.user_id, stand_in) if v.user_id in spare else v for v in verdicts)
    return Candidate(start, offered, verdicts)


def _judge(seen: Seen, rules: Rules, since: int, until: int, now: int) -> Callable[[int], list[Reason]]:
    """What one host says to a start; everything that is the same for the whole stretch is worked out once."""
    host = seen.host
    spans = open_time(host.week, since - DAY, until + DAY)
    on_raster = _starts_of_windows(host.week, rules.step, since, until)
    special = dict(host.week.dates)
    caps = Caps.of(host)
    length, before = rules.duration * 60, rules.buffer_before * 60
    after = rules.buffer_after * 60

    def judge(start: int) -> list[Reason]:
        end = start + length
        on = dates_of(host.week, [start])[0]
        reasons = []
        if start not in on_raster or not any(a <= start and end <= b for a, b in spans):
            why = Why.OUTSIDE_HOURS
            if on in special:
                why = Why.OTHER_HOURS if special[on] else Why.CLOSED_DATE
            reasons.append(Reason(why, label=seen.labels.get(on.isoformat(), "")))
        reasons += _of_clock(start, rules, now)
        if caps.full_day(on, rules):
            reasons.append(Reason(Why.CAP_DAY))
        if caps.full_week(on, rules):
            reasons.append(Reason(Why.CAP_WEEK))
        for blocker in seen.blockers:
            if blocker.span[0] < end + after and start - before < blocker.span[1]:
                touches = blocker.core[0] < end and start < blocker.core[1]
                reasons.append(Reason(blocker.why if touches else Why.BUFFER, blocker))
        return reasons

    return judge


def _of_clock(start: int, rules: Rules, now: int) -> list[Reason]:
    if start <= now:
        return [Reason(Why.PAST)]
    if start < rules.earliest:
        return [Reason(Why.NOTICE)]
    return [Reason(Why.HORIZON)] if start >= rules.latest else []


def _starts_of_windows(week: Week, step: int, since: int, until: int) -> set[int]:
    """The raster within the hours, whether or not the duration fits."""
    found: set[int] = set()
    for opening in openings(week, since, until):
        found.update(_on(opening, step, max(opening.starts, since), min(opening.ends, until)))
    return found


def _raster(week: Week, step: int, since: int, until: int) -> set[int]:
    """The raster of the hours; on a stretch of the same offset without hours, every step of wall time from midnight."""
    found = _starts_of_windows(week, step, since, until)
    for piece in segments(week.zone, since, until):
        inside = [start for start in found if piece.start <= start < piece.end]
        origin = (inside[0] + piece.offset if inside else 0) % (step * 60)
        first = piece.start + (origin - (piece.start + piece.offset)) % (step * 60)
        taken = openings(week, piece.start, piece.end)
        found.update(
            start
            for start in range(first, piece.end, step * 60)
            if not any(opening.starts <= start < opening.ends for opening in taken)
        )
    return found


def _on(opening: Opening, step: int, start: int, end: int) -> range:
    behind = start - opening.raster
    return range(opening.raster - (-behind // (step * 60)) * step * 60, end, step * 60)
