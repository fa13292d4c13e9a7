"""The notices of a booking, for its page: what went, what will go, what did not and why."""

import uuid
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.models.notice import BookingNotice, NoticeRule

NAMES = {
    "requested": "Request received",
    "confirmed": "Confirmation",
    "moved": "New time",
    "cancelled": "Cancellation",
    "declined": "Request declined",
    "reminder": "Reminder",
}


@dataclass(frozen=True)
class Line:
    notice: BookingNotice
    rule: NoticeRule

    @property
    def name(self) -> str:
        way = "text" if self.rule.channel == "sms" else "mail"
        reader = "the guest" if self.rule.audience == "guest" else "the host"
        return f"{NAMES[self.rule.occasion]} by {way} to {reader}"


def of_booking(session: Session, booking_id: uuid.UUID) -> list[Line]:
    """By the time they are due; one query."""
    rows = session.execute(
        select(BookingNotice, NoticeRule)
        .join(NoticeRule, NoticeRule.id == BookingNotice.rule_id)
        .where(BookingNotice.booking_id == booking_id)
        .order_by(BookingNotice.due_at, BookingNotice.id)
    )
    return [Line(notice, rule) for notice, rule in rows]
