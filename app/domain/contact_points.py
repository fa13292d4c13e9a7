"""Phones and e-mail addresses of a contact: read, unique in the account, in an order, first one first.

A number that an account knows in another spelling (see phones.candidates) counts as the same. Consent belongs to the
address, so a point that is added takes over what the ledger says about it.
"""

import re
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, selectinload

from app.core.errors import Invalid, NotFound
from app.core.folding import clean
from app.domain import consent, phones
from app.domain.contact_index import index
from app.models.contact import Contact, ContactPoint

MOST_POINTS = 20
LONGEST_LABEL = 40
LABELS = ("Mobile", "Work", "Home", "Other")
_EMAIL = re.compile(r"[^@\s\"'<>(),;:\\\[\]]+@[^@\s\"'<>(),;:\\\[\]]+\.[^@\s\"'<>(),;:\\\[\].]{2,}")


@dataclass(frozen=True)
class Holder:
    """The contact that a phone or address belongs to already."""

    contact_id: uuid.UUID
    name: str
    is_deleted: bool


class Taken(Invalid):
    """As Invalid, and says whose it is, so that the page can link there."""

    def __init__(self, field: str, holder: Holder) -> None:
        what = "number" if field == "phone" else "address"
        rest = f"{holder.name}, who was deleted." if holder.is_deleted else f"{holder.name}."
        super().__init__({field: f"This {what} belongs to {rest}"})
        self.field = field
        self.holder = holder


def read(kind: str, typed: str, country: str) -> str:
    """E.164 or a lower-case address. Raises Invalid under the kind's name."""
    text = clean(typed)
    if kind == "phone":
        try:
            return phones.to_e164(text, country)
        except ValueError as error:
            raise Invalid({"phone": str(error)}) from error
    value = text.lower()
    if len(value) > 254 or not _EMAIL.fullmatch(value):
        raise Invalid({"email": "That is not an e-mail address, like name@example.com."})
    return value


def spellings(kind: str, value: str) -> list[str]:
    return phones.candidates(value) if kind == "phone" else [value]


def holders(session: Session, kind: str, value: str) -> Sequence[Contact]:
    """Contacts (deleted ones too) that have this phone or address in any spelling; `points` loaded."""
    wanted = spellings(kind, value)
    return (
        session.scalars(
            select(Contact)
            .join(ContactPoint, ContactPoint.contact_id == Contact.id)
            .where(ContactPoint.kind == kind, ContactPoint.value.in_(wanted))
            .options(selectinload(Contact.points))
            .order_by(ContactPoint.value != value, Contact.deleted_at.is_not(None), Contact.id)
        )
        .unique()
        .all()
    )


def check_free(session: Session, kind: str, value: str, *, but: Contact | None = None) -> None:
    """Raises Taken when another contact has it."""
    for contact in holders(session, kind, value):
        if but is None or contact.id != but.id:
            raise Taken(kind, Holder(contact.id, contact.display_name, contact.deleted_at is not None))


def add(
    session: Session, contact: Contact, kind: str, typed: str, country: str, *, label: str = ""
) -> ContactPoint:
    """One more phone or address at the end. `contact.points` must be loaded. Raises Invalid, Taken."""
    value = read(kind, typed, country)
    if any(point.kind == kind and point.value in spellings(kind, value) for point in contact.points):
        raise Invalid({kind: "This contact has it already."})
    if len(contact.points) >= MOST_POINTS:
        raise Invalid({kind: f"A contact can have {MOST_POINTS} phones and addresses."})
    check_free(session, kind, value, but=contact)
    return attach(session, contact, kind, value, label=label)


def attach(session: Session, contact: Contact, kind: str, value: str, *, label: str = "") -> ContactPoint:
    """As add, for a value that was read and checked. Somebody who was faster makes it Taken, not an error."""
    said = consent.state_of(session, value) if kind == "phone" else None
    point = ContactPoint(
        account_id=contact.account_id,
        contact_id=contact.id,
        kind=kind,
        value=value,
        label=clean(label)[:LONGEST_LABEL],
        position=max((one.position for one in contact.points if one.kind == kind), default=-1) + 1,
        consent=said.state if said else "unknown",
        consent_at=said.at if said else None,
    )
    with _stored(session, contact, kind, value):
        contact.points.append(point)
    in_order(contact)
    index(contact)
    return point


@contextmanager
def _stored(session: Session, contact: Contact, kind: str, value: str) -> Iterator[None]:
    """Stores what is changed inside. Whoever was faster with the same value keeps it: the clash becomes Taken."""
    try:
        with session.begin_nested():
            yield
            session.flush()
    except IntegrityError:
        check_free(session, kind, value, but=contact)
        raise


def of(contact: Contact, point_id: uuid.UUID) -> ContactPoint:
    """Raises NotFound when the contact has no such point."""
    for point in contact.points:
        if point.id == point_id:
            return point
    raise NotFound


def change(session: Session, contact: Contact, point: ContactPoint, typed: str, country: str) -> None:
    """Mend a number or an address. The consent of the old one stays with the old one."""
    value = read(point.kind, typed, country)
    if value == point.value:
        return
    if any(one.id != point.id and one.kind == point.kind and one.value == value for one in contact.points):
        raise Invalid({point.kind: "This contact has it already."})
    check_free(session, point.kind, value, but=contact)
    said = consent.state_of(session, value) if point.kind == "phone" else None
    with _stored(session, contact, point.kind, value):
        point.value = value
        point.consent, point.consent_at = (said.state, said.at) if said else ("unknown", None)
    index(contact)


def name(point: ContactPoint, label: str) -> None:
    point.label = clean(label)[:LONGEST_LABEL]


def remove(session: Session, contact: Contact, point: ContactPoint) -> None:
    if len(contact.points) == 1 and not (contact.name or contact.company):
        raise Invalid(
            {point.kind: "Give the contact a name before you take away the only way to reach them."}
        )
    contact.points.remove(point)
    index(contact)
    session.flush()


def in_order(contact: Contact) -> None:
    """The loaded list as the database would give it: phones, then addresses, each by position."""
    contact.points.sort(key=lambda point: (point.kind != "phone", point.position))


def move(session: Session, contact: Contact, point: ContactPoint, step: int) -> None:
    """Up (negative) or down among its kind; the first is the one that is used by default."""
    same = sorted((one for one in contact.points if one.kind == point.kind), key=lambda one: one.position)
    at = same.index(point)
    to = min(max(at + step, 0), len(same) - 1)
    same.insert(to, same.pop(at))
    for position, one in enumerate(same):
        one.position = position
    in_order(contact)
    index(contact)
    session.flush()
