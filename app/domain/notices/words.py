"""Variables in the words of a notice, what they stand for, and what a person may write.

Times are said in the reader's zone, which is always named: a guest reads the zone the booking was made in, the one the page
showed; a host reads the business's.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from app.core import formats, runtime
from app.core.clock import now
from app.core.errors import Invalid
from app.core.ids import new_id
from app.domain.booking import links
from app.domain.snippets import VARIABLE
from app.models.account import Account
from app.models.booking import Appointment, Booking
from app.models.calendar import Calendar

LONGEST_BODY = 1600
LONGEST_SUBJECT = 200

VARIABLES = (
    ("guest.first_name", "The guest's first name"),
    ("guest.name", "The guest's whole name"),
    ("guest.contact", "The guest's e-mail address and phone"),
    ("booking.time", "Date and time in the reader's zone, with the zone's name"),
    ("booking.date", "The date alone"),
    ("booking.hour", "The time alone, with the zone's name"),
    ("booking.duration", "How long it takes"),
    ("booking.where", "Place, phone or video link"),
    ("booking.link", "The guest's page to change or cancel it"),
    ("booking.host_link", "The booking's page for your team"),
    ("host.name", "Who hosts it"),
    ("calendar.name", "What was booked"),
    ("calendar.link", "The page to book another time"),
    ("account.name", "The name of this business"),
)
_KNOWN = {name for name, _ in VARIABLES}
# A link that lets whoever opens it sign in nowhere belongs to the team's mails only.
HOSTS_ONLY = {"booking.host_link", "guest.contact"}


@dataclass(frozen=True)
class Told:
    """Everything the words may speak of."""

    account: Account
    calendar: Calendar
    appointment: Appointment
    booking: Booking
    host_names: tuple[str, ...]

    def zone(self, audience: str) -> ZoneInfo:
        return self.account.zone if audience == "host" else ZoneInfo(self.booking.guest_timezone)


def check(subject: str, body: str, *, channel: str, audience: str) -> None:
    """Raises Invalid for what could not be sent, with the names of unknown variables."""
    errors: dict[str, str] = {}
    if not body.strip():
        errors["body"] = "Write what it should say."
    elif len(body) > LONGEST_BODY:
        errors["body"] = (
            f"At most {LONGEST_BODY:,} characters; this is {len(body) - LONGEST_BODY:,} too long."
        )
    elif problem := _unknown(body, audience):
        errors["body"] = problem
    if channel == "email":
        if not subject.strip():
            errors["subject"] = "A mail needs a subject."
        elif len(subject) > LONGEST_SUBJECT:
            errors["subject"] = f"At most {LONGEST_SUBJECT} characters."
        elif problem := _unknown(subject, audience):
            errors["subject"] = problem
    if errors:
        raise Invalid(errors)


def _unknown(text: str, audience: str) -> str:
    names = [name.lower() for name in VARIABLE.findall(text)]
    strange = list(dict.fromkeys(name for name in names if name not in _KNOWN))
    if strange:
        return f"There is no {{{{{strange[0]}}}}}. Choose one of the variables below."
    private = next((name for name in names if audience == "guest" and name in HOSTS_ONLY), "")
    if private:
        return f"{{{{{private}}}}} is for your team; guests cannot be sent it."
    if "{{" in VARIABLE.sub("", text):
        return "A variable is not closed: it looks like {{booking.time}}."
    return ""


def fill(text: str, values: Mapping[str, str]) -> str:
    """Lines that were nothing but variables without a value are left out."""
    lines = []
    for line in text.splitlines():
        filled = VARIABLE.sub(lambda found: values.get(found[1].lower(), ""), line)
        if filled.strip() or not line.strip():
            lines.append(filled.rstrip())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def in_plain_spaces(text: str) -> str:
    """The narrow and the unbroken spaces of formatted times are not in GSM-7: one of them would double a text's price."""
    return text.replace("\u202f", " ").replace("\u00a0", " ")


def values_for(told: Told, audience: str) -> dict[str, str]:
    booking, appointment = told.booking, told.appointment
    zone, locale = told.zone(audience), formats.locale_of(told.account.locale)
    public = runtime.current().settings.public_url
    minutes = int((appointment.ends_at - appointment.starts_at).total_seconds() // 60)
    contact = [booking.guest_email, formats.phone(booking.guest_phone, told.account.country)]
    return {
        "guest.first_name": booking.guest_name.split(" ")[0],
        "guest.name": booking.guest_name,
        "guest.contact": ", ".join(filter(None, contact)),
        "booking.time": long_time(appointment.starts_at, zone, told.account.locale),
        "booking.date": formats.date(appointment.starts_at, zone, locale),
        "booking.hour": formats.time_of_day(appointment.starts_at, zone, locale),
        "booking.duration": _duration(minutes),
        "booking.where": appointment.meet_url or appointment.location,
        "booking.link": links.manage_url(booking.id),
        "booking.host_link": f"{public}/a/{told.account.slug}/bookings/{booking.id}",
        "host.name": ", ".join(told.host_names),
        "calendar.name": told.calendar.name,
        "calendar.link": f"{public}/book/{told.account.slug}/{told.calendar.slug}",
        "account.name": told.account.name,
    }


def long_time(at: datetime, zone: ZoneInfo, locale_name: str) -> str:
    """Tue, Mar 3, 2026, 2:00 PM EST"""
    locale = formats.locale_of(locale_name)
    return f"{formats.weekday_and_date(at, zone, locale)}, {formats.time_of_day(at, zone, locale)}"


def _duration(minutes: int) -> str:
    hours, rest = divmod(minutes, 60)
    parts = [f"{hours} h" if hours else "", f"{rest} min" if rest else ""]
    return " ".join(filter(None, parts))


def sample(account: Account, calendar: Calendar | None) -> Told:
    """Somebody who booked tomorrow at ten, to show what words will look like. Nothing of it is stored."""
    calendar = calendar or Calendar(
        id=new_id(), slug="first-visit", name="First visit", location_kind="phone"
    )
    day = now().astimezone(account.zone) + timedelta(days=1)
    starts_at = day.replace(hour=10, minute=0, second=0, microsecond=0)
    appointment = Appointment(
        id=new_id(),
        starts_at=starts_at,
        ends_at=starts_at + timedelta(minutes=(calendar.durations or [30])[0]),
        location=calendar.location_text or account.address or "We call you",
        revision=0,
    )
    booking = Booking(
        id=new_id(),
        guest_name="Rosa Diaz",
        guest_email="rosa@example.com",
        guest_phone="+12125550123",
        guest_timezone=account.timezone,
    )
    return Told(account, calendar, appointment, booking, ("Dr. Kim",))
