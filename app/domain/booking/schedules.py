"""Working hours: read, written and checked. What moments they are is worked out elsewhere: domain/availability/hours.py.

A day is a list of windows in wall time, earliest first, which do not touch; "24:00" ends a day. Hours over midnight are two
windows on two days.
"""

import uuid
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from itertools import pairwise
from zoneinfo import available_timezones

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.orm import Session, selectinload

from app.core.actor import Actor
from app.core.errors import Invalid, NotFound
from app.core.folding import clean
from app.core.tenancy import entered_account
from app.domain import audit
from app.models.calendar import Calendar, CalendarHost
from app.models.schedule import Schedule, ScheduleDate

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
OFFICE_HOURS = {str(day): [["09:00", "17:00"]] for day in range(5)}
LONGEST_NAME = 60
MOST_WINDOWS = 8
MOST_DATES = 400
LONGEST_SPAN = 92
# What was typed: a pair of texts for each window; both empty is no window.
Typed = Sequence[tuple[str, str]]


def of_account(session: Session) -> list[Schedule]:
    """Those of the business first, then people's, by name."""
    query = select(Schedule).order_by(
        Schedule.user_id.is_not(None), func.lower(Schedule.name), Schedule.created_at
    )
    return list(session.scalars(query))


def get(session: Session, schedule_id: uuid.UUID) -> Schedule:
    """With its dates."""
    found = session.scalars(
        select(Schedule).where(Schedule.id == schedule_id).options(selectinload(Schedule.dates))
    ).one_or_none()
    if found is None:
        raise NotFound
    return found


def used_by(session: Session) -> dict[uuid.UUID, list[str]]:
    """Names of the calendars in which a host has chosen the schedule, by schedule."""
    rows = session.execute(
        select(CalendarHost.schedule_id, Calendar.name)
        .join(Calendar, Calendar.id == CalendarHost.calendar_id)
        .where(CalendarHost.schedule_id.is_not(None))
        .distinct()
        .order_by(Calendar.name)
    )
    found: dict[uuid.UUID, list[str]] = {}
    for schedule_id, name in rows:
        if schedule_id is not None:
            found.setdefault(schedule_id, []).append(name)
    return found


def save(
    session: Session,
    actor: Actor,
    schedule: Schedule | None,
    *,
    name: str,
    timezone: str,
    week: Mapping[int, Typed],
    user_id: uuid.UUID | None = None,
    is_default: bool = False,
) -> Schedule:
    """A new one, or what an old one is from now on. Raises Invalid for name, timezone and day.<n>."""
    wrong: dict[str, str] = {}
    name = clean(name)
    if not name or len(name) > LONGEST_NAME:
        wrong["name"] = f"Give the hours a name of at most {LONGEST_NAME} characters."
    timezone = timezone.strip()
    if timezone not in available_timezones():
        wrong["timezone"] = "Choose a time zone from the list, like Europe/Berlin."
    weekly: dict[str, list[list[str]]] = {}
    for day in range(7):
        try:
            if windows := read_windows(week.get(day, ())):
                weekly[str(day)] = windows
        except ValueError as error:
            wrong[f"day.{day}"] = str(error)
    if wrong:
        raise Invalid(wrong)
    made = schedule is None
    if schedule is None:
        schedule = Schedule(account_id=entered_account(session), user_id=user_id)
        session.add(schedule)
    schedule.name, schedule.timezone, schedule.weekly = name, timezone, weekly
    schedule.user_id = user_id
    session.flush()
    if is_default or not _has_default(session, user_id):
        _make_default(session, schedule)
    deed = "schedule.created" if made else "schedule.changed"
    audit.note(session, actor, deed, name, account_id=schedule.account_id)
    session.flush()
    return schedule


def read_windows(typed: Typed) -> list[list[str]]:
    """What is stored for what was typed. ValueError with a sentence when it makes no sense."""
    found: list[list[str]] = []
    for begins, ends in typed:
        begins, ends = begins.strip(), ends.strip()
        if not begins and not ends:
            continue
        if not begins or not ends:
            raise ValueError("Give a beginning and an end, or leave both empty.")
        start, end = _clock(begins), _clock(ends)
        if end == "00:00":
            end = "24:00"
        if end <= start:
            raise ValueError(
                f"{begins} to {ends} ends before it begins. Hours over midnight go on the next day."
            )
        found.append([start, end])
    found.sort()
    if len(found) > MOST_WINDOWS:
        raise ValueError(f"At most {MOST_WINDOWS} stretches a day.")
    for earlier, later in pairwise(found):
        if later[0] < earlier[1]:
            raise ValueError(f"{later[0]} lies within {earlier[0]} to {earlier[1]}.")
    return found


def _clock(text: str) -> str:
    """HH:MM; browsers may send seconds."""
    parts = text.split(":")
    if len(parts) not in (2, 3) or not all(part.isascii() and part.isdigit() for part in parts):
        raise ValueError(f"“{text[:20]}” is not a time. Write it like 09:00.")
    hour, minute = int(parts[0]), int(parts[1])
    if not ((hour < 24 and minute < 60) or (hour == 24 and minute == 0)):
        raise ValueError(f"“{text[:20]}” is not a time. Write it like 09:00.")
    return f"{hour:02}:{minute:02}"


def _has_default(session: Session, user_id: uuid.UUID | None) -> bool:
    whose = Schedule.user_id == user_id if user_id else Schedule.user_id.is_(None)
    return session.scalar(select(Schedule.id).where(whose, Schedule.is_default).limit(1)) is not None


def _make_default(session: Session, schedule: Schedule) -> None:
    """One for each person, and one for the business."""
    whose = Schedule.user_id == schedule.user_id if schedule.user_id else Schedule.user_id.is_(None)
    session.execute(update(Schedule).where(whose, Schedule.id != schedule.id).values(is_default=False))
    schedule.is_default = True


def remove(session: Session, actor: Actor, schedule: Schedule) -> None:
    """Raises Invalid while a calendar uses it, or when nothing would be left for the business."""
    names = used_by(session).get(schedule.id, [])
    if names:
        raise Invalid({"": f"{', '.join(names[:3])} uses these hours. Choose others there first."})
    if schedule.user_id is None:
        others = select(Schedule.id).where(Schedule.user_id.is_(None), Schedule.id != schedule.id).limit(1)
        if session.scalar(others) is None:
            raise Invalid({"": "These are the only hours of the business. Change them instead."})
    audit.note(session, actor, "schedule.deleted", schedule.name, account_id=schedule.account_id)
    whose, was_default = schedule.user_id, schedule.is_default
    session.delete(schedule)
    session.flush()
    if was_default:
        left = select(Schedule).where(Schedule.user_id == whose if whose else Schedule.user_id.is_(None))
        heir = session.scalars(left.order_by(Schedule.created_at).limit(1)).one_or_none()
        if heir is not None:
            _make_default(session, heir)


def set_dates(
    session: Session, schedule: Schedule, first: date, last: date, typed: Typed, label: str = ""
) -> int:
    """Hours of their own for every date from first to last; no window is closed. Raises Invalid for first, last, hours."""
    if last < first:
        raise Invalid({"last": "The last day lies before the first."})
    if (last - first).days >= LONGEST_SPAN:
        raise Invalid({"last": f"At most {LONGEST_SPAN} days at a time."})
    try:
        hours = read_windows(typed)
    except ValueError as error:
        raise Invalid({"hours": str(error)}) from error
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    _put_dates(session, schedule, {day: clean(label)[:80] for day in days}, hours, "manual")
    return len(days)


def add_holidays(session: Session, schedule: Schedule, holidays: Mapping[date, str]) -> int:
    """Closed on those; dates that have hours of their own already are left alone. Tells how many were new."""
    present = {entry.on for entry in schedule.dates}
    new = {day: clean(name)[:80] for day, name in holidays.items() if day not in present}
    _put_dates(session, schedule, new, [], "holiday")
    return len(new)


def _put_dates(
    session: Session, schedule: Schedule, labels: Mapping[date, str], hours: list[list[str]], source: str
) -> None:
    by_day = {entry.on: entry for entry in schedule.dates}
    if len(by_day.keys() | labels.keys()) > MOST_DATES:
        raise Invalid(
            {"": f"Hours can have {MOST_DATES} dates of their own at most. Remove past ones first."}
        )
    for day, label in labels.items():
        entry = by_day.get(day)
        if entry is None:
            entry = ScheduleDate(account_id=schedule.account_id, on=day)
            schedule.dates.append(entry)
        entry.hours, entry.label, entry.source = hours, label, source
    session.flush()


def remove_dates(session: Session, schedule: Schedule, days: Sequence[date]) -> list[ScheduleDate]:
    """Back to the week's hours. Gives what was there, so that it can be put back."""
    gone = [entry for entry in schedule.dates if entry.on in set(days)]
    for entry in gone:
        schedule.dates.remove(entry)
    session.flush()
    return gone


def remove_holidays(session: Session, schedule: Schedule) -> int:
    """Those put in from a list of public holidays; dates typed by hand stay."""
    query = delete(ScheduleDate).where(
        ScheduleDate.schedule_id == schedule.id, ScheduleDate.source == "holiday"
    )
    count = session.execute(query.returning(ScheduleDate.id)).all()
    session.expire(schedule, ["dates"])
    return len(count)


def open_to(session: Session, user_id: uuid.UUID) -> list[Schedule]:
    """What a host may choose among: their own and those of the business."""
    whose = or_(Schedule.user_id == user_id, Schedule.user_id.is_(None))
    return list(session.scalars(select(Schedule).where(whose).order_by(func.lower(Schedule.name))))
