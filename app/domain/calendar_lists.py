"""Which calendars people have at the provider: written down after a consent, and again each hour, since calendars come and
go and move to other zones. What they are used for is linked_calendars.py's."""

import uuid
from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core import jobs
from app.domain import connections, linked_calendars
from app.domain.calendar_channel import ListedCalendar
from app.models.connection import Connection
from app.models.linked_calendar import LinkedCalendar

# With a permission missing the list is refused each time.
LISTABLE = ("connected", "pending_review")


def record_list(
    session: Session, connection: Connection, listed: Iterable[ListedCalendar], at: datetime
) -> None:
    """What the provider lists now. Of a person's first connection the main calendar answers both questions with yes, so
    that nobody is booked over from the first minute. The caller commits."""
    if connection.user_id is None:
        return
    known = {
        row.ref: row
        for row in session.scalars(
            select(LinkedCalendar)
            .where(
                LinkedCalendar.connection_id == connection.id, LinkedCalendar.user_id == connection.user_id
            )
            .with_for_update()
        )
    }
    is_first, has_target = not known, _has_target(session, connection)
    seen = set()
    for one in listed:
        seen.add(one.ref)
        row = known.get(one.ref)
        if row is None and one.is_hidden:
            continue
        if row is None:
            main = is_first and one.is_primary
            row = LinkedCalendar(
                account_id=connection.account_id,
                connection_id=connection.id,
                user_id=connection.user_id,
                ref=one.ref,
                name=one.name,
                checks_conflicts=main,
                takes_bookings=main and one.can_write and not has_target,
                next_sync_at=at if main else None,
            )
            session.add(row)
        if row.timezone != one.timezone and row.next_sync_at is not None:
            # Whole days lie elsewhere now, also those of events that nobody changed.
            row.cursor, row.next_sync_at, row.look_again = None, at, True
        row.name, row.timezone = one.name, one.timezone
        row.is_primary, row.can_write = one.is_primary, one.can_write
        if row.is_gone:
            row.is_gone, row.cursor = False, None
            row.next_sync_at = at if row.checks_conflicts or row.takes_bookings else None
    for ref, row in known.items():
        if ref not in seen:
            linked_calendars.forget(session, row)
    session.flush()
    jobs.ring_after_commit(session, jobs.SYNC_CALENDARS)


def to_list(session: Session, *, new_alone: bool = False) -> list[uuid.UUID]:
    """Connections whose calendars are listed again, in case there are new ones or a zone changed; or those alone of which
    none is known, since the first listing failed."""
    query = select(Connection.id).where(
        Connection.features.contains(["calendar"]),
        Connection.user_id.is_not(None),
        Connection.state.in_(connections.WORKING),
    )
    if new_alone:
        query = query.where(
            Connection.state.in_(LISTABLE),
            ~select(LinkedCalendar.id).where(LinkedCalendar.connection_id == Connection.id).exists(),
        )
    return list(session.scalars(query.order_by(Connection.id)))


def _has_target(session: Session, connection: Connection) -> bool:
    return bool(
        session.scalar(
            select(
                select(LinkedCalendar.id)
                .where(
                    LinkedCalendar.account_id == connection.account_id,
                    LinkedCalendar.user_id == connection.user_id,
                    LinkedCalendar.takes_bookings,
                )
                .exists()
            )
        )
    )
