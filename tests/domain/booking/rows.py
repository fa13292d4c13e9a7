"""Calendars, hours and moments in few words."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from app.core.ids import new_id
from app.domain.booking import book
from app.domain.booking.guests import Guest
from app.models.account import Account
from app.models.booking import Appointment, Booking
from app.models.calendar import Calendar, CalendarHost
from app.models.connection import Connection
from app.models.linked_calendar import BusyTime, LinkedCalendar
from app.models.schedule import Schedule
from app.models.user import User

NEW_YORK = ZoneInfo("America/New_York")
WORKDAYS = {str(day): [["09:00", "17:00"]] for day in range(5)}
ROSA = Guest("Rosa Alvarez", "rosa@example.com", "+14155550101", "America/New_York")
SAM = Guest("Sam Otto", "sam@example.com", timezone="America/New_York")


def at(hour: int, minute: int = 0, day: int = 3) -> datetime:
    """A moment of March 2026, as clocks in New York show it."""
    return datetime(2026, 3, day, hour, minute, tzinfo=NEW_YORK).astimezone(UTC)


def make_schedule(session: Session, account: Account, user: User | None = None, **values: Any) -> Schedule:
    given = {"name": "Hours", "timezone": "America/New_York", "weekly": WORKDAYS, "is_default": True} | values
    schedule = Schedule(account_id=account.id, user_id=user.id if user else None, **given)
    session.add(schedule)
    session.commit()
    return schedule


def make_calendar(session: Session, account: Account, hosts: Sequence[User], **values: Any) -> Calendar:
    slug = values.pop("slug", f"visit-{uuid.uuid4().hex[:8]}")
    calendar = Calendar(
        account_id=account.id,
        **{"slug": slug, "name": "First visit", "durations": [30], "notice_minutes": 0} | values,
    )
    calendar.hosts = [
        CalendarHost(account_id=account.id, user_id=host.id, position=number)
        for number, host in enumerate(hosts)
    ]
    session.add(calendar)
    session.commit()
    return calendar


def make_busy(
    session: Session, account: Account, user: User, starts_at: datetime, ends_at: datetime, **values: Any
) -> LinkedCalendar:
    """One event in a linked calendar of that person."""
    connection = Connection(
        account_id=account.id, provider="google", external_ref=uuid.uuid4().hex, credentials=b""
    )
    session.add(connection)
    session.flush()
    linked = LinkedCalendar(
        account_id=account.id,
        connection_id=connection.id,
        user_id=user.id,
        ref="primary",
        name="Work",
        checks_conflicts=True,
        **{"synced_at": datetime.now(UTC)} | values,
    )
    session.add(linked)
    session.flush()
    session.add(
        BusyTime(
            account_id=account.id,
            linked_calendar_id=linked.id,
            user_id=user.id,
            event_ref=new_id().hex,
            starts_at=starts_at,
            ends_at=ends_at,
            title="Dentist",
        )
    )
    session.commit()
    return linked


def hold(
    session: Session, calendar: Calendar, starts_at: datetime, key: str = "", **more: Any
) -> Appointment:
    appointment = book.hold(
        session, calendar, starts_at, calendar.durations[0], key or uuid.uuid4().hex, **more
    )
    session.commit()
    return appointment


def book_it(
    session: Session, calendar: Calendar, starts_at: datetime, guest: Guest = ROSA, key: str = "", **more: Any
) -> Booking:
    key = key or uuid.uuid4().hex
    appointment = hold(session, calendar, starts_at, key)
    booking = book.confirm(session, appointment.id, guest, client_key=key, **more)
    session.commit()
    return booking
