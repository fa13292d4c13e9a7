"""Who books: what they gave, checked; and the contact of the account it belongs to, found or made."""

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy.orm import Session

from app.core.actor import Actor
from app.core.errors import Invalid
from app.core.folding import clean
from app.domain import contact_points, contacts
from app.domain.availability.zones import zone_names
from app.domain.inbound import one_at_a_time
from app.models.account import Account
from app.models.booking import Booking
from app.models.calendar import Calendar
from app.models.contact import Contact

LONGEST_NAME = 120
LONGEST_ANSWER = 4000
# A mail program makes a link of these without being asked.
LINK = re.compile(r"://|\bwww\.|\b[\w-]+\.[a-z]{2,}/", re.IGNORECASE)


@dataclass(frozen=True)
class Guest:
    """`answers` are [{label, answer}]. `contact_id` where a person of the account books for somebody they know."""

    name: str
    email: str = ""
    phone: str = ""
    timezone: str = "UTC"
    others: Sequence[str] = ()
    answers: Sequence[dict[str, Any]] = field(default_factory=tuple)
    consent_text: str = ""
    source: str = "page"
    booked_by: uuid.UUID | None = None
    contact_id: uuid.UUID | None = None


def checked(account: Account, calendar: Calendar, guest: Guest) -> Guest:
    """As it is stored: phone in E.164, addresses in lower case. Raises Invalid for name, email, phone, others."""
    wrong: dict[str, str] = {}
    name = clean(guest.name)[:LONGEST_NAME]
    if not name:
        wrong["name"] = "Tell us your name."
    elif LINK.search(name):
        # It stands in mails to an address that anybody may have typed.
        wrong["name"] = "A name has no web address in it."
    read = {"email": "", "phone": ""}
    for kind, typed in (("email", guest.email), ("phone", guest.phone)):
        if clean(typed):
            try:
                read[kind] = contact_points.read(kind, typed, account.country)
            except Invalid as error:
                wrong |= error.fields
    if not (read["email"] or read["phone"] or guest.contact_id or wrong.keys() & read.keys()):
        wrong["email"] = "Give an e-mail address or a phone number, so that we can reach you."
    others: list[str] = []
    for typed in filter(None, map(clean, guest.others)):
        try:
            others.append(contact_points.read("email", typed, account.country))
        except Invalid as error:
            wrong["others"] = error.fields["email"]
    if len(set(others)) > calendar.max_guests:
        wrong["others"] = f"At most {calendar.max_guests} can come along."
    if wrong:
        raise Invalid(wrong)
    return replace(
        guest,
        name=name,
        email=read["email"],
        phone=read["phone"],
        others=list(dict.fromkeys(others)),
        timezone=guest.timezone if guest.timezone in zone_names() else account.timezone,
        answers=[
            {
                "label": clean(str(each.get("label", "")))[:200],
                "answer": clean(str(each.get("answer", "")), lines=True)[:LONGEST_ANSWER],
            }
            for each in guest.answers
        ],
    )


def contact_of(session: Session, account: Account, guest: Guest) -> Contact:
    """Whoever has this phone, else this address, with `points`; somebody new otherwise. A name that is there is never
    overwritten. Anybody can type any number into the page, so what else was typed stays with the booking, until somebody
    of the account adds it; what the account's people type is added unless it is somebody else's."""
    if guest.contact_id is not None:
        return contacts.get(session, guest.contact_id)
    given = [(kind, value) for kind, value in (("phone", guest.phone), ("email", guest.email)) if value]
    for value in sorted(value for _, value in given):
        one_at_a_time(session, account.id, value)
    contact = _found(session, account, given)
    if contact is None:
        first, _, last = guest.name.partition(" ")
        return contacts.create(
            session,
            account,
            first_name=first[:100],
            last_name=last[:100],
            phones=[guest.phone],
            emails=[guest.email],
            source="Booking page" if guest.source != "staff" else "Booking",
        )
    if guest.source == "staff":
        add_points(session, account, contact, given)
    if not contact.name:
        first, _, last = guest.name.partition(" ")
        contacts.set_field(session, account, contact, "first_name", first[:100])
        contacts.set_field(session, account, contact, "last_name", last[:100])
    return contact


def _found(session: Session, account: Account, given: list[tuple[str, str]]) -> Contact | None:
    for kind, value in given:
        for contact in contact_points.holders(session, kind, value):
            if contact.deleted_at is not None:
                by = Actor(account.agency_id, None, "Their own booking")
                contacts.restore(session, by, [contact.id])
            return contact
    return None


def unknown_points(booking: Booking, contact: Contact) -> list[tuple[str, str]]:
    """(kind, value) of what the guest gave and the contact does not have."""
    known = {(point.kind, point.value) for point in contact.points}
    given = [("phone", booking.guest_phone), ("email", booking.guest_email)]
    return [(kind, value) for kind, value in given if value and (kind, value) not in known]


def add_points(
    session: Session, account: Account, contact: Contact, given: Sequence[tuple[str, str]]
) -> list[str]:
    """What could be added. Somebody else's, the same in another spelling, or one too many: the booking keeps it."""
    added = []
    for kind, value in given:
        if any(point.kind == kind and point.value == value for point in contact.points):
            continue
        try:
            contact_points.add(session, contact, kind, value, account.country)
        except Invalid:
            continue
        added.append(value)
    return added
