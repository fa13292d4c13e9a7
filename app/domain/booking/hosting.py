"""What only the people of the account do with a booking: answer a request, note who did not come, write notes. As in book.py,
each works under the locks of the hosts, may be repeated, and commits nothing."""

from sqlalchemy.orm import Session

from app.core.actor import Actor
from app.core.clock import now
from app.core.errors import Invalid
from app.core.folding import clean
from app.domain.booking import book, cards, steps, waitlist
from app.models.account import Account
from app.models.booking import Booking


def accept(session: Session, booking: Booking, actor: Actor) -> None:
    """A request becomes a booking. Raises Invalid when it is none any more."""
    at = now()
    calendar, appointment = book.locked(session, booking, at)
    if booking.state == "confirmed":
        return
    steps.need_living(booking)
    account = session.get_one(Account, booking.account_id)
    steps.settle(session, account, calendar, appointment, booking, "", at)
    book.tell(session, booking, "confirmed", "accepted", actor, at)


def decline(session: Session, booking: Booking, actor: Actor, reason: str = "") -> None:
    """A request is turned down, and its time is free again."""
    at = now()
    calendar, appointment = book.locked(session, booking, at)
    if booking.state == "cancelled":
        return
    if booking.state != "requested":
        raise Invalid({"": "It is confirmed already. Cancel it instead."})
    steps.drop(session, appointment, booking, "host", reason, at)
    book.tell(session, booking, "declined", "declined", actor, at)
    waitlist.wake(session, calendar)


def mark_no_show(session: Session, booking: Booking, actor: Actor, *, came: bool = False) -> None:
    """The guest did not come, or did after all. Raises Invalid before the start."""
    at = now()
    _, appointment = book.locked(session, booking, at)
    wanted, other = ("confirmed", "no_show") if came else ("no_show", "confirmed")
    if booking.state == wanted:
        return
    if booking.state != other:
        raise Invalid({"": "Only a confirmed booking can be marked so."})
    if appointment.starts_at > at:
        raise Invalid({"": "It has not begun yet."})
    booking.state, booking.updated_at = wanted, at
    session.flush()
    cards.tell(session, booking, "came" if came else "no_show", actor)


def note(session: Session, booking: Booking, text: str) -> None:
    """What the hosts write for themselves. Raises Invalid."""
    text = clean(text, lines=True)
    if len(text) > 10_000:
        raise Invalid({"notes": "Keep it within 10,000 characters."})
    booking.notes = text
    booking.updated_at = now()
    session.flush()
