"""A booking as an iCalendar file (RFC 5545, 5546): for the guest's own calendar, in mails and for download.

The UID never changes (events.py says where it comes from) and SEQUENCE follows the booking's revision, so a calendar that
took the first file moves or removes the event when it gets the next. Times are UTC: no zone definition can be missing or out
of date.
"""

from dataclasses import dataclass
from datetime import UTC

from icalendar import Calendar as File
from icalendar import Event, vCalAddress, vText

from app.core import runtime
from app.core.clock import now
from app.domain.booking import links
from app.models.account import Account
from app.models.booking import Appointment, Booking
from app.models.calendar import Calendar

REQUEST, CANCEL, PUBLISH = "REQUEST", "CANCEL", "PUBLISH"


@dataclass(frozen=True)
class Invite:
    """`method` belongs into the content type as well: text/calendar; method=REQUEST."""

    method: str
    content: bytes


def invite(
    account: Account, calendar: Calendar, appointment: Appointment, booking: Booking, *, publish: bool = False
) -> Invite:
    """What the guest's calendar should hold now. `publish` is for a download that nobody is meant to answer."""
    gone = "cancelled" in (booking.state, appointment.state)
    method = CANCEL if gone else PUBLISH if publish else REQUEST
    file = File()
    file.add("prodid", "-//Levelhead//Booking//EN")
    file.add("version", "2.0")
    file.add("calscale", "GREGORIAN")
    file.add("method", method)
    event = Event()
    event.add("uid", booking.uid or f"{booking.id}@levelhead")
    event.add("sequence", booking.revision)
    event.add("dtstamp", now().astimezone(UTC))
    event.add("dtstart", appointment.starts_at.astimezone(UTC))
    event.add("dtend", appointment.ends_at.astimezone(UTC))
    event.add("summary", f"{calendar.name} – {account.name}")
    event.add("status", "CANCELLED" if gone else "TENTATIVE" if booking.state == "requested" else "CONFIRMED")
    where = appointment.meet_url or appointment.location
    if where:
        event.add("location", where)
    link = links.manage_url(booking.id)
    event.add("description", f"Change or cancel: {link}")
    event.add("url", link)
    if method != PUBLISH:
        _add_people(event, account, booking)
    file.add_component(event)
    return Invite(method, file.to_ical())


def _add_people(event: Event, account: Account, booking: Booking) -> None:
    """iTIP wants an organizer; answers would go to the mailbox that sends the mail."""
    sender = runtime.current().settings.mail_from
    address = sender.rpartition("<")[2].rstrip("> ") or "nobody@localhost"
    organizer = vCalAddress(f"MAILTO:{address}")
    organizer.params["cn"] = vText(account.name)
    event["organizer"] = organizer
    if booking.guest_email:
        guest = vCalAddress(f"MAILTO:{booking.guest_email}")
        guest.params["cn"] = vText(booking.guest_name)
        guest.params["role"] = vText("REQ-PARTICIPANT")
        guest.params["partstat"] = vText("ACCEPTED")
        event.add("attendee", guest, encode=False)
