"""A host moves or cancels without telling the guest: the notices are planned like any other, then set aside with the reason."""

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.core.actor import Actor
from app.core.clock import now
from app.models.booking import Booking
from app.models.notice import BookingNotice, NoticeRule


def tell_nobody(session: Session, booking: Booking, actor: Actor) -> None:
    """To be called in the transaction of the deed, after it. Reminders are still sent."""
    rules = select(NoticeRule.id).where(NoticeRule.audience == "guest", NoticeRule.occasion != "reminder")
    waiting = (BookingNotice.booking_id == booking.id, BookingNotice.state == "waiting")
    session.execute(
        update(BookingNotice)
        .where(*waiting, BookingNotice.rule_id.in_(rules))
        .values(
            state="skipped", outcome=f"Not sent: {actor.name} chose not to tell the guest.", done_at=now()
        )
    )
