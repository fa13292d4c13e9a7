"""Moments and days as the screens of the host's side read and show them: in the address, in forms, and as a guest sees them."""

from datetime import date, datetime
from typing import Any

from flask import g

from app.core.errors import Invalid
from app.web.context import words
from app.web.zoned import Zoned, zone_of


def clocks() -> dict[str, Any]:
    """For templates/bookings/_parts.html, on every page that uses it."""
    return {"guest_clock": guest_clock, "read_moment": datetime.fromisoformat}


def guest_clock(name: str) -> Zoned:
    """Times as a guest in that zone sees them."""
    return Zoned(zone_of(name, g.account.zone), words().locale)


def read_day(text: str) -> date | None:
    """None for what is no date, or one that nobody books on."""
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if 1990 < found.year < 2100 else None


def read_moment(text: str) -> datetime:
    """A moment of the form. Raises Invalid for at."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise Invalid({"at": "Choose a time."}) from error
    if found.tzinfo is None or not 2000 < found.year < 2100:
        raise Invalid({"at": "Choose a time."})
    return found
