"""Push channels of linked calendars: which calendar a push is about, which need a channel, which need none any more.

Of a channel's random token only the hash is kept. Linked calendars lie outside the fence, since a push names its channel alone.
How a channel is opened and stopped is in app/integrations/calendar_pushes.py.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from app.core import jobs
from app.core.tenancy import session_for
from app.domain import connections
from app.domain.calendar_channel import Channel
from app.models.connection import Connection
from app.models.linked_calendar import LinkedCalendar


@dataclass(frozen=True)
class PushDoor:
    """What a push needs of its calendar to be believed."""

    linked_id: uuid.UUID
    account_id: uuid.UUID
    connection_id: uuid.UUID
    token_hash: str


def door_of(session: Session, channel_ref: str) -> PushDoor | None:
    row = session.scalar(select(LinkedCalendar).where(LinkedCalendar.channel_ref == channel_ref))
    if row is None or row.channel_token_hash is None:
        return None
    return PushDoor(row.id, row.account_id, row.connection_id, row.channel_token_hash)


def look_again(session: Session, linked_id: uuid.UUID, at: datetime) -> bool:
    """A push came: the calendar is due now, and again if it is being read just now. The caller commits."""
    found = session.scalar(
        update(LinkedCalendar)
        .where(LinkedCalendar.id == linked_id)
        .values(next_sync_at=at, look_again=True, last_push_at=at)
        .returning(LinkedCalendar.id)
    )
    if found is not None:
        jobs.ring_after_commit(session, jobs.SYNC_CALENDARS)
    return found is not None


def due(session: Session, at: datetime, ahead: timedelta, most: int = 100) -> list[uuid.UUID]:
    """Calendars that are read and whose channel is missing or ends soon."""
    return list(
        session.scalars(
            select(LinkedCalendar.id)
            .join(Connection, Connection.id == LinkedCalendar.connection_id)
            .where(
                LinkedCalendar.synced_at.is_not(None),
                LinkedCalendar.next_sync_at.is_not(None),
                LinkedCalendar.is_gone.is_(False),
                or_(LinkedCalendar.channel_until.is_(None), LinkedCalendar.channel_until < at + ahead),
                Connection.state.in_(connections.WORKING),
            )
            .order_by(LinkedCalendar.channel_until.nulls_first())
            .limit(most)
        )
    )


def open_of(connection_id: uuid.UUID) -> list[LinkedCalendar]:
    with session_for() as session:
        return list(
            session.scalars(
                select(LinkedCalendar).where(
                    LinkedCalendar.connection_id == connection_id, LinkedCalendar.channel_ref.is_not(None)
                )
            )
        )


def is_missing(linked_id: uuid.UUID) -> bool:
    """It has never had one."""
    with session_for() as session:
        row = session.get(LinkedCalendar, linked_id)
        return row is not None and row.channel_ref is None and row.next_sync_at is not None


def keep(linked_id: uuid.UUID, channel: Channel, token_hash: str, at: datetime) -> tuple[str, str]:
    """Stored, and the calendar due once more: a push may have come before we knew the channel. Gives the one before."""
    with session_for() as session:
        row = session.get_one(LinkedCalendar, linked_id, with_for_update=True)
        before = row.channel_ref or "", row.channel_resource_ref or ""
        row.channel_ref, row.channel_resource_ref = channel.ref, channel.resource_ref
        row.channel_token_hash, row.channel_until = token_hash, channel.until
        row.next_sync_at, row.look_again = at, True
        jobs.ring_after_commit(session, jobs.SYNC_CALENDARS)
        session.commit()
    return before


def forget(linked_id: uuid.UUID, channel_ref: str | None) -> None:
    """Unless another one took its place meanwhile."""
    with session_for() as session:
        session.execute(
            update(LinkedCalendar)
            .where(LinkedCalendar.id == linked_id, LinkedCalendar.channel_ref == channel_ref)
            .values(channel_ref=None, channel_resource_ref=None, channel_token_hash=None, channel_until=None)
        )
        session.commit()


def unused(most: int = 100) -> list[tuple[LinkedCalendar, Connection]]:
    """Of calendars that are no longer read."""
    with session_for() as session:
        rows = session.execute(
            select(LinkedCalendar, Connection)
            .join(Connection, Connection.id == LinkedCalendar.connection_id)
            .where(LinkedCalendar.channel_ref.is_not(None), LinkedCalendar.next_sync_at.is_(None))
            .limit(most)
        )
        return [(row[0], row[1]) for row in rows]
