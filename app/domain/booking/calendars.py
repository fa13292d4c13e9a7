"""Calendars that customers book: made with good defaults for their kind, changed in parts, archived.

An archived calendar keeps its bookings and its name in old links, is not offered any more, and can be brought back.
"""

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session, selectinload

from app.core.actor import Actor
from app.core.clock import now
from app.core.errors import Invalid, NotFound
from app.core.folding import clean, fold
from app.domain import access, audit
from app.domain.booking import schedules, waitlist
from app.domain.booking.calendar_parts import DAY, LONGEST_DURATION, LONGEST_NAME, Basics, Part
from app.models.account import Account
from app.models.booking import Appointment
from app.models.calendar import (
    CALENDAR_KINDS,
    Calendar,
    CalendarHost,
)
from app.models.schedule import Schedule

MOST_CALENDARS = 100
MOST_HOSTS = 100
# What differs from the table's own defaults.
DEFAULTS: dict[str, dict[str, Any]] = {
    "personal": {},
    "round_robin": {"colour": "indigo"},
    "collective": {"colour": "violet", "notice_minutes": DAY},
    "class": {
        "colour": "amber",
        "durations": [60],
        "step": 60,
        "seats": 10,
        "has_waitlist": True,
        "location_kind": "address",
        "zone_locked": True,
    },
}


def all_of(session: Session, *, archived: bool = False) -> list[Calendar]:
    """In the account's order, with their hosts."""
    which = Calendar.archived_at.is_not(None) if archived else Calendar.archived_at.is_(None)
    return list(
        session.scalars(
            select(Calendar)
            .where(which)
            .options(selectinload(Calendar.hosts))
            .order_by(Calendar.is_active.desc(), func.lower(Calendar.name), Calendar.id)
        )
    )


def get(session: Session, calendar_id: uuid.UUID, *, archived: bool = False) -> Calendar:
    """With its hosts. Raises NotFound; an archived one is found only when asked for."""
    found = session.scalars(
        select(Calendar).where(Calendar.id == calendar_id).options(selectinload(Calendar.hosts))
    ).one_or_none()
    if found is None or (found.archived_at is not None and not archived):
        raise NotFound
    return found


def create(
    session: Session,
    actor: Actor,
    account: Account,
    *,
    name: str,
    kind: str,
    duration: int,
    host_ids: Sequence[uuid.UUID],
) -> Calendar:
    """Raises Invalid for name, kind, duration and hosts. The business gets office hours when it has none yet."""
    wrong: dict[str, str] = {}
    if kind not in CALENDAR_KINDS:
        wrong["kind"] = "Choose what kind of calendar it is."
    if not 5 <= duration <= LONGEST_DURATION:
        wrong["duration"] = "Between 5 minutes and 12 hours."
    hosts = list(dict.fromkeys(host_ids))
    people = {person.id for person in access.people_of_account(session, account)}
    if not hosts or not set(hosts) <= people:
        wrong["hosts"] = "Choose who hosts it."
    elif kind == "personal" and len(hosts) > 1:
        wrong["hosts"] = "A personal calendar has one host. Choose another kind for several."
    count = session.scalar(select(func.count(Calendar.id)).where(Calendar.archived_at.is_(None))) or 0
    if count >= MOST_CALENDARS:
        wrong[""] = f"An account can have {MOST_CALENDARS} calendars. Archive one that is not needed."
    try:
        name = _name(name)
    except Invalid as error:
        wrong |= error.fields
    if wrong:
        raise Invalid(wrong)
    calendar = Calendar(account_id=account.id, name=name, kind=kind, currency=account.currency)
    calendar.slug = free_slug(session, name)
    calendar.durations, calendar.step = [duration], min(duration, 30)
    for key, value in DEFAULTS[kind].items():
        if key not in ("durations", "step") or duration == value:
            setattr(calendar, key, value)
    if calendar.location_kind == "address":
        calendar.location_text = account.address
    calendar.hosts = [
        CalendarHost(account_id=account.id, user_id=user_id, position=n) for n, user_id in enumerate(hosts)
    ]
    session.add(calendar)
    _ensure_hours(session, actor, account)
    session.flush()
    audit.note(session, actor, "calendar.created", name, account_id=account.id, kind=kind)
    return calendar


def _ensure_hours(session: Session, actor: Actor, account: Account) -> None:
    if session.scalar(select(Schedule.id).where(Schedule.user_id.is_(None)).limit(1)) is None:
        schedules.save(
            session,
            actor,
            None,
            name="Opening hours",
            timezone=account.timezone,
            week={day: [("09:00", "17:00")] for day in range(5)},
            is_default=True,
        )


def _name(name: str) -> str:
    name = clean(name)
    if not name or len(name) > LONGEST_NAME:
        raise Invalid({"name": f"Give the calendar a name of at most {LONGEST_NAME} characters."})
    return name


def free_slug(session: Session, name: str) -> str:
    stem = re.sub(r"[^a-z0-9]+", "-", fold(name)).strip("-")[:40].strip("-") or "calendar"
    taken = set(session.scalars(select(Calendar.slug).where(Calendar.slug.startswith(stem))))
    slug, number = stem, 2
    while slug in taken:
        slug, number = f"{stem}-{number}", number + 1
    return slug


def change(session: Session, actor: Actor, calendar: Calendar, part: Part) -> None:
    """Raises Invalid with a sentence by field. Bookings that stand are not touched; classes to come have as many seats as are
    said now, those that are taken stay so."""
    wrong = part.check(calendar)
    if isinstance(part, Basics) and "slug" not in wrong and part.slug != calendar.slug:
        taken = select(Calendar.id).where(Calendar.slug == part.slug, Calendar.id != calendar.id)
        if session.scalar(taken) is not None:
            wrong["slug"] = "Another calendar has this address."
    if wrong:
        raise Invalid(wrong)
    changed = [each.name for each in fields(part) if getattr(calendar, each.name) != getattr(part, each.name)]
    for name in changed:
        setattr(calendar, name, getattr(part, name))
    if "seats" in changed:
        _reseat(session, calendar)
    if changed:
        audit.note(
            session,
            actor,
            "calendar.changed",
            calendar.name,
            account_id=calendar.account_id,
            fields=", ".join(changed),
        )
    session.flush()


def _reseat(session: Session, calendar: Calendar) -> None:
    coming = (Appointment.calendar_id == calendar.id, Appointment.starts_at > now())
    session.execute(update(Appointment).where(*coming).values(seats=calendar.seats))
    waitlist.wake(session, calendar)


@dataclass
class HostWish:
    user_id: uuid.UUID
    schedule_id: uuid.UUID | None = None
    weight: int = 1
    is_fallback: bool = False


def set_hosts(
    session: Session,
    actor: Actor,
    account: Account,
    calendar: Calendar,
    wishes: Sequence[HostWish],
    *,
    guests_choose: bool = False,
) -> None:
    """Who hosts from now on, in this order. Appointments that stand keep theirs. Raises Invalid."""
    wrong: dict[str, str] = {}
    people = {person.id: person for person in access.people_of_account(session, account)}
    hours = {each.id: each for each in schedules.of_account(session)}
    by_user = {wish.user_id: wish for wish in wishes if wish.user_id in people}
    if not by_user:
        wrong["hosts"] = "Choose at least one person."
    elif calendar.kind == "personal" and len(by_user) > 1:
        wrong["hosts"] = "A personal calendar has one host. Make a round robin for several."
    elif len(by_user) > MOST_HOSTS:
        wrong["hosts"] = f"At most {MOST_HOSTS} hosts."
    elif calendar.kind == "round_robin" and all(wish.is_fallback for wish in by_user.values()):
        wrong["hosts"] = "Somebody has to come first: not everybody can be a stand-in."
    for wish in by_user.values():
        if not 1 <= wish.weight <= 100:
            wrong[f"weight.{wish.user_id}"] = "Between 1 and 100."
        chosen = hours.get(wish.schedule_id) if wish.schedule_id else None
        if wish.schedule_id and (chosen is None or chosen.user_id not in (None, wish.user_id)):
            wrong[f"schedule.{wish.user_id}"] = "Choose hours of this person or of the business."
    if wrong:
        raise Invalid(wrong)
    calendar.guests_choose_host = guests_choose and calendar.kind == "round_robin"
    present = {host.user_id: host for host in calendar.hosts}
    calendar.hosts[:] = [host for host in calendar.hosts if host.user_id in by_user]
    for position, wish in enumerate(by_user.values()):
        host = present.get(wish.user_id)
        if host is None:
            host = CalendarHost(account_id=calendar.account_id, user_id=wish.user_id)
            calendar.hosts.append(host)
        host.schedule_id, host.weight = wish.schedule_id, wish.weight
        host.is_fallback, host.position = wish.is_fallback, position
    names = ", ".join(people[user_id].name for user_id in by_user)
    audit.note(session, actor, "calendar.hosts", calendar.name, account_id=calendar.account_id, hosts=names)
    session.flush()


def switch(session: Session, actor: Actor, calendar: Calendar, *, on: bool) -> None:
    """Off: its page says that it takes no bookings; those that stand keep."""
    if calendar.is_active == on:
        return
    calendar.is_active = on
    deed = "calendar.switched_on" if on else "calendar.switched_off"
    audit.note(session, actor, deed, calendar.name, account_id=calendar.account_id)
    session.flush()


def archive(session: Session, actor: Actor, calendar: Calendar) -> None:
    calendar.archived_at, calendar.is_active = now(), False
    audit.note(session, actor, "calendar.archived", calendar.name, account_id=calendar.account_id)
    session.flush()


def restore(session: Session, actor: Actor, calendar: Calendar) -> None:
    """Back in the list, and on."""
    calendar.archived_at, calendar.is_active = None, True
    audit.note(session, actor, "calendar.restored", calendar.name, account_id=calendar.account_id)
    session.flush()
