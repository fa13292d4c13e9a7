"""A booking in the contact's conversation: each thing that happens to it is a line there, shown as a card.

The line keeps what was true then (time, calendar, who did it), since a booking moves on; the card's link leads to what is true
now.
"""

from sqlalchemy.orm import Session

from app.core import formats
from app.core.actor import Actor
from app.domain import conversations
from app.models.account import Account
from app.models.booking import Appointment, Booking
from app.models.calendar import Calendar
from app.models.contact import Contact
from app.models.message import Message

# What happened, and how a line begins that tells it.
DEEDS = {
    "booked": "Booked",
    "requested": "Asked for",
    "accepted": "Accepted",
    "declined": "Declined",
    "moved": "Moved",
    "cancelled": "Cancelled",
    "no_show": "Did not come to",
    "came": "Came after all to",
    "asked_change": "Changed at Google, waits for an answer:",
}


def tell(session: Session, booking: Booking, what: str, by: Actor | None) -> Message | None:
    """`what` is one of DEEDS; `by` is None when the guest did it. A booking without a contact has no conversation.

    What guests do moves the conversation up in the inbox, as a text of theirs would; it does not reopen it."""
    contact = session.get(Contact, booking.contact_id) if booking.contact_id else None
    if contact is None:
        return None
    account = session.get_one(Account, booking.account_id)
    calendar = session.get_one(Calendar, booking.calendar_id)
    appointment = session.get_one(Appointment, booking.appointment_id)
    zone, locale = account.zone, formats.locale_of(account.locale)
    when = formats.date_and_time(booking.starts_at, zone, locale)
    conversation = conversations.for_contact(session, contact)
    line = conversations.add_event(
        session,
        conversation,
        "booking",
        f"{DEEDS[what]} {calendar.name}, {when}",
        by.user_id if by else None,
        deed=what,
        booking=str(booking.id),
        calendar=calendar.name,
        colour=calendar.colour,
        starts_at=booking.starts_at.isoformat(),
        ends_at=appointment.ends_at.isoformat(),
        state=booking.state,
        by=by.name if by else "",
    )
    if by is None:
        conversations.show_last(conversation, line)
    return line
