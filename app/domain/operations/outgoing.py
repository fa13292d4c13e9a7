"""What goes out over all accounts of an agency: texts, events written to calendars at providers, and mails of ours. Where
they stand, never what they say.

Each kind has a function that runs as the owner of the tables and walks an index of its own; a page is made of the newest of
all three.
"""

import uuid
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select, text
from sqlalchemy.orm import Session

from app.core.actor import Actor
from app.core.errors import NotFound
from app.core.tenancy import enter_account
from app.domain.booking import events
from app.domain.operations import texts
from app.domain.operations.texts import NEEDS_A_LOOK, PAGE_SIZE, TextFilter
from app.models.booking import Appointment
from app.models.connection import Connection, Sender

TEXT, CALENDAR, MAIL = "text", "calendar", "mail"
KINDS = (TEXT, CALENDAR, MAIL)
# Mails go through the house's own mail server, which is no provider of an account.
MAIL_SERVER = "mail"
EVENT_STATES = ("queued", "written", "removed", "failed")
MAIL_STATES = ("queued", "sending", "sent", "failed")


@dataclass(frozen=True)
class OutgoingFilter(TextFilter):
    """`kind` empty: all of them. `state` in the words of texts, and `written` and `removed` for events."""

    kind: str = ""


@dataclass(frozen=True)
class Outgoing:
    """One row. `to` is a phone, a mail address or the name of a calendar; `next_try_at` is None when there is none."""

    kind: str
    id: uuid.UUID
    account_id: uuid.UUID | None
    contact: str | None
    to: str
    provider: str
    ref: str
    state: str
    error: str
    can_retry: bool
    created_at: datetime
    contact_id: uuid.UUID | None = None
    conversation_id: uuid.UUID | None = None
    booking_id: uuid.UUID | None = None
    about: str = ""
    attempts: int = 0
    next_try_at: datetime | None = None
    sent_at: datetime | None = None
    starts_at: datetime | None = None

    @property
    def key(self) -> tuple[datetime, uuid.UUID]:
        return self.created_at, self.id


@dataclass(frozen=True)
class Page:
    rows: list[Outgoing]
    more: bool


Key = tuple[datetime, uuid.UUID]


def page(
    session: Session,
    agency_id: uuid.UUID,
    wanted: OutgoingFilter,
    before: Key | None = None,
    size: int = PAGE_SIZE,
) -> Page:
    """Newest first; the key of a page is time and id of its last row. At most four queries."""
    found: list[Outgoing] = []
    if wanted.kind in ("", TEXT) and wanted.state not in ("written", "removed"):
        found += _texts(session, agency_id, wanted, before, size)
    if wanted.kind in ("", CALENDAR) and wanted.state in ("", NEEDS_A_LOOK, *EVENT_STATES):
        found += _writes(session, agency_id, wanted, before, size + 1)
    if (
        wanted.kind in ("", MAIL)
        and wanted.state in ("", NEEDS_A_LOOK, *MAIL_STATES)
        and wanted.provider in ("", MAIL_SERVER)
    ):
        found += _mails(session, agency_id, wanted, before, size + 1)
    found.sort(key=lambda row: row.key, reverse=True)
    return Page(found[:size], len(found) > size)


def _texts(
    session: Session, agency_id: uuid.UUID, wanted: OutgoingFilter, before: Key | None, size: int
) -> list[Outgoing]:
    # One more than the page, so that the whole list knows whether it goes on.
    rows = texts.page(session, agency_id, wanted, before, size + 1).texts
    providers = dict(
        session.execute(
            select(Sender.id, Connection.provider)
            .join(Connection, Connection.id == Sender.connection_id)
            .where(Sender.id.in_({row.sender_id for row in rows}))
        ).all()
    )
    return [
        Outgoing(
            kind=TEXT,
            id=row.id,
            account_id=row.account_id,
            contact=row.contact,
            to=row.address,
            provider=providers.get(row.sender_id, ""),
            ref=row.provider_ref or "",
            state=row.state,
            error=row.error_text or "",
            can_retry=bool(row.error_text and row.can_retry),
            created_at=row.created_at,
            conversation_id=row.conversation_id,
            sent_at=row.sent_at,
        )
        for row in rows
    ]


def _writes(
    session: Session,
    agency_id: uuid.UUID,
    wanted: OutgoingFilter,
    before: Key | None = None,
    most: int = 1,
    only: uuid.UUID | None = None,
) -> list[Outgoing]:
    rows = session.execute(
        text("""
            select w.* from agency_event_writes(
                cast(:agency_id as uuid), cast(:account_id as uuid), cast(:trouble as boolean),
                cast(:state as text), cast(:contact_ids as uuid[]), cast(:provider as text),
                cast(:since as timestamptz), cast(:until as timestamptz), cast(:before_at as timestamptz),
                cast(:before_id as uuid), cast(:only as uuid), cast(:most as integer)) w
        """),
        texts.values(agency_id, wanted, before, most) | {"only": only},
    )
    return [_write(row) for row in rows]


def _write(row: Row[Any]) -> Outgoing:
    return Outgoing(
        kind=CALENDAR,
        id=row.id,
        account_id=row.account_id,
        contact=row.contact,
        to=row.calendar or "",
        provider=row.provider or "",
        ref=row.ref or "",
        state=row.state,
        error=row.error or "",
        can_retry=row.state == "failed",
        created_at=row.created_at,
        contact_id=row.contact_id,
        booking_id=row.booking_id,
        attempts=row.attempts,
        next_try_at=row.next_try_at,
        starts_at=row.starts_at,
    )


def _mails(
    session: Session,
    agency_id: uuid.UUID,
    wanted: OutgoingFilter,
    before: Key | None = None,
    most: int = 1,
    only: uuid.UUID | None = None,
) -> list[Outgoing]:
    rows = session.execute(
        text("""
            select m.* from agency_mails(
                cast(:agency_id as uuid), cast(:account_id as uuid), cast(:trouble as boolean),
                cast(:state as text), cast(:contact_ids as uuid[]), cast(:since as timestamptz),
                cast(:until as timestamptz), cast(:before_at as timestamptz), cast(:before_id as uuid),
                cast(:only as uuid), cast(:most as integer)) m
        """),
        texts.values(agency_id, wanted, before, most) | {"only": only},
    )
    return [
        Outgoing(
            kind=MAIL,
            id=row.id,
            account_id=row.account_id,
            contact=row.contact,
            to=row.recipient,
            provider=MAIL_SERVER,
            ref="",
            state=row.state,
            error=row.error or "",
            can_retry=False,
            created_at=row.created_at,
            contact_id=row.contact_id,
            about=row.kind,
            attempts=row.attempts,
            next_try_at=row.next_try_at,
            sent_at=row.sent_at,
        )
        for row in rows
    ]


def event_write(session: Session, agency_id: uuid.UUID, appointment_id: uuid.UUID) -> Outgoing:
    """Raises NotFound, also for one of another agency."""
    return _only(_writes(session, agency_id, OutgoingFilter(state=""), only=appointment_id))


def mail(session: Session, agency_id: uuid.UUID, mail_id: uuid.UUID) -> Outgoing:
    """Raises NotFound, also for one of another agency."""
    return _only(_mails(session, agency_id, OutgoingFilter(state=""), only=mail_id))


def _only(rows: list[Outgoing]) -> Outgoing:
    if not rows:
        raise NotFound
    return rows[0]


def write_again(session: Session, actor: Actor, appointment_id: uuid.UUID) -> Outgoing:
    """A calendar write that was given up is due again, from its first try. Enters its account; the caller commits. Raises
    NotFound, and Invalid when it is not given up any more."""
    found = event_write(session, actor.agency_id, appointment_id)
    if found.account_id is None:
        raise NotFound
    enter_account(session, found.account_id)
    row = session.get_one(Appointment, appointment_id, with_for_update=True, populate_existing=True)
    events.write_again(session, actor, row)
    return replace(found, state="queued", error="")
