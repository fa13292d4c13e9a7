"""Calendars, hours and bookings for the tests of the host's side, made through the domain's own verbs."""

from datetime import UTC, datetime, timedelta

from app.core.clock import now
from app.core.ids import new_id
from app.domain.booking import book, calendars, schedules
from app.models.booking import Booking
from app.models.calendar import Calendar
from app.models.schedule import Schedule
from app.models.user import User
from tests.factories import Cast
from tests.web.inbox_rows import inside

EVERY_DAY = {day: [("00:00", "24:00")] for day in range(7)}


def make_hours(cast: Cast, name: str = "Practice hours", user: User | None = None) -> Schedule:
    with inside(cast.account) as session:
        made = schedules.save(
            session,
            cast.actor(cast.ana),
            None,
            name=name,
            timezone=cast.account.timezone,
            week=EVERY_DAY,
            user_id=user.id if user else None,
            is_default=True,
        )
        session.commit()
        return made


def make_calendar(cast: Cast, name: str = "First visit", kind: str = "personal", *hosts: User) -> Calendar:
    """Ben's, unless others host it; open all hours with `make_hours`, else in office hours."""
    with inside(cast.account) as session:
        made = calendars.create(
            session,
            cast.actor(cast.ana),
            cast.account,
            name=name,
            kind=kind,
            duration=30,
            host_ids=[user.id for user in hosts or (cast.ben,)],
        )
        session.commit()
        return made


def make_booking(
    cast: Cast,
    calendar: Calendar,
    starts_at: datetime | None = None,
    name: str = "Rosa Diaz",
    phone: str = "+14155550101",
    timezone: str = "UTC",
    source: str = "staff",
    email: str = "",
) -> Booking:
    """Tomorrow at the full hour, unless it is said."""
    at = starts_at or (now() + timedelta(days=1)).replace(minute=0, second=0, microsecond=0)
    key = new_id().hex
    with inside(cast.account) as session:
        calendar = session.get_one(Calendar, calendar.id)
        held = book.hold(
            session, calendar, at.astimezone(UTC), calendar.durations[0], key, within_rules=False
        )
        guest = book.Guest(name=name, email=email, phone=phone, timezone=timezone, source=source)
        made = book.confirm(session, held.id, guest, client_key=key)
        session.commit()
        return made
