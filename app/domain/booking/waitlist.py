"""Who waits for a place on a date that is full, told in the order they came."""

from datetime import datetime

from sqlalchemy.orm import Session

from app.models.booking import Booking
from app.models.calendar import Calendar


def note_booked(session: Session, booking: Booking) -> None:
    """Whoever has a place waits no more."""


def offer_freed(session: Session, calendar: Calendar, at: datetime) -> None:
    """A place may have become free."""
