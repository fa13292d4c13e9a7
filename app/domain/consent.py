"""The consent ledger: append-only entries, and the latest word on each phone for quick decisions."""

import uuid
from datetime import datetime

from sqlalchemy import or_, select, update
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from app.core.sql import among
from app.core.tenancy import entered_account
from app.domain.phones import candidates
from app.models.consent import ConsentEntry
from app.models.contact import ContactPoint


def record(
    session: Session,
    *,
    address: str,
    state: str,
    source: str,
    wording: str,
    at: datetime,
    contact_id: uuid.UUID | None = None,
    user_id: uuid.UUID | None = None,
    message_id: uuid.UUID | None = None,
    channel: str = "sms",
) -> ConsentEntry:
    """Adds to the ledger; an older word that arrives late does not undo a newer one. The caller commits."""
    account_id = entered_account(session)
    entry = ConsentEntry(
        account_id=account_id,
        contact_id=contact_id,
        channel=channel,
        address=address,
        state=state,
        source=source,
        wording=wording[:500],
        at=at,
        user_id=user_id,
        message_id=message_id,
    )
    session.add(entry)
    session.execute(
        update(ContactPoint)
        .where(
            ContactPoint.account_id == account_id,
            ContactPoint.value.in_(candidates(address)),
            or_(ContactPoint.consent_at.is_(None), ContactPoint.consent_at <= at),
        )
        .values(consent=state, consent_at=at)
    )
    session.flush()
    return entry


def state_of(session: Session, address: str, channel: str = "sms") -> ConsentEntry | None:
    """The latest word about a line, in whatever spelling of its number; None when nobody ever said anything."""
    return session.scalar(
        select(ConsentEntry)
        .where(ConsentEntry.channel == channel, ConsentEntry.address.in_(candidates(address)))
        .order_by(ConsentEntry.at.desc(), ConsentEntry.id.desc())
        .limit(1)
    )


def states_of(session: Session, addresses: set[str], channel: str = "sms") -> dict[str, ConsentEntry]:
    """The latest word about each of many lines, in one query."""
    spellings = {address: candidates(address) for address in addresses}
    wanted = {spelling for each in spellings.values() for spelling in each}
    rows = session.scalars(
        select(ConsentEntry)
        .where(ConsentEntry.channel == channel, among(ConsentEntry.address, wanted))
        .ext(distinct_on(ConsentEntry.address))
        .order_by(ConsentEntry.address, ConsentEntry.at.desc(), ConsentEntry.id.desc())
    )
    said = {row.address: row for row in rows}
    found: dict[str, ConsentEntry] = {}
    for address, each in spellings.items():
        entries = [said[spelling] for spelling in each if spelling in said]
        if entries:
            found[address] = max(entries, key=lambda entry: (entry.at, entry.id))
    return found


def history(session: Session, addresses: list[str]) -> list[ConsentEntry]:
    """Every entry about these addresses, newest first."""
    return list(
        session.scalars(
            select(ConsentEntry)
            .where(ConsentEntry.address.in_(addresses))
            .order_by(ConsentEntry.at.desc(), ConsentEntry.id.desc())
        )
    )
