"""A notice whose time has come: judged again, then sent as a text or a mail, or left out with the reason.

The row, the text or mail it becomes and its outcome are written in one transaction under the row's lock: a worker that
dies leaves a notice that was not sent, never one that goes twice. Texts go the way of every text, with its own decisions.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from app.core import formats
from app.core.clock import now
from app.core.errors import Invalid
from app.domain import access, conversations, mails
from app.domain.booking import invite
from app.domain.notices import words
from app.domain.notices.words import Told
from app.domain.sending import kinds, queue, senders
from app.models.account import Account
from app.models.booking import Appointment, Booking
from app.models.calendar import Calendar
from app.models.contact import Contact
from app.models.notice import BookingNotice, NoticeRule
from app.models.user import User

# A reminder that comes so much later than it should is a surprise, not a help.
LATE_AFTER = timedelta(minutes=30)
# States of a booking in which each occasion still says something true.
WANTS = {
    "requested": ("requested",),
    "confirmed": ("confirmed",),
    "moved": ("confirmed", "requested"),
    "reminder": ("confirmed",),
    "cancelled": ("cancelled",),
    "declined": ("cancelled",),
}


@dataclass
class Fired:
    state: str
    outcome: str
    message_id: uuid.UUID | None = None
    mail_id: uuid.UUID | None = None


def fire(session: Session, notice_id: uuid.UUID) -> str:
    """The new state; '' when somebody else has it or it is done. The caller commits."""
    notice = session.scalar(
        select(BookingNotice).where(BookingNotice.id == notice_id).with_for_update(skip_locked=True)
    )
    if notice is None or notice.state != "waiting" or notice.due_at > now():
        return ""
    rule = session.get_one(NoticeRule, notice.rule_id)
    told = _told(session, notice)
    why_not = _why_not(notice, rule, told)
    done = Fired("skipped", why_not) if why_not else _send(session, notice, rule, told)
    notice.state, notice.outcome, notice.done_at = done.state, done.outcome, now()
    notice.message_id, notice.mail_id = done.message_id, done.mail_id
    return done.state


def _told(session: Session, notice: BookingNotice) -> Told:
    booking = session.get_one(Booking, notice.booking_id)
    appointment = session.scalars(
        select(Appointment)
        .options(selectinload(Appointment.hosts))
        .where(Appointment.id == booking.appointment_id)
    ).one()
    names = session.scalars(select(User.name).where(User.id.in_([h.user_id for h in appointment.hosts])))
    return Told(
        session.get_one(Account, notice.account_id),
        session.get_one(Calendar, booking.calendar_id),
        appointment,
        booking,
        tuple(names),
    )


def _why_not(notice: BookingNotice, rule: NoticeRule, told: Told) -> str:
    """'' when it may go."""
    booking, appointment, at = told.booking, told.appointment, now()
    if not rule.is_active:
        return "Not sent: this notice was switched off."
    if notice.revision != booking.revision and rule.occasion != "cancelled":
        return "Not sent: the time of the booking changed."
    if booking.state not in WANTS[rule.occasion]:
        return f"Not sent: the booking is {booking.state.replace('_', ' ')} now."
    if appointment.starts_at <= at:
        return "Not sent: it had begun already."
    late = at - notice.due_at
    if rule.occasion == "reminder" and late > LATE_AFTER:
        return f"Not sent: it would have been {kinds.span(late)} late."
    return ""


def _send(session: Session, notice: BookingNotice, rule: NoticeRule, told: Told) -> Fired:
    if rule.channel == "sms":
        return _send_text(session, notice, rule, told)
    return _send_mail(session, notice, rule, told)


def _send_text(session: Session, notice: BookingNotice, rule: NoticeRule, told: Told) -> Fired:
    booking = told.booking
    contact = session.get(Contact, booking.contact_id) if booking.contact_id else None
    if contact is None or contact.deleted_at is not None:
        return Fired("skipped", "Not sent: the contact is no longer there.")
    if not booking.guest_phone:
        return Fired("skipped", "Not sent: there is no phone number.")
    conversation = conversations.for_contact(session, contact)
    sender = senders.sender_for(session, conversation)
    if sender is None:
        return Fired("skipped", "Not sent: no number is connected to send texts from.")
    answers_guest = rule.occasion in ("confirmed", "requested")
    try:
        message = queue.queue_text(
            session,
            told.account,
            conversation,
            to=booking.guest_phone,
            body=words.in_plain_spaces(words.fill(rule.body, words.values_for(told, rule.audience)))[
                : words.LONGEST_BODY
            ],
            sender=sender,
            author_id=None,
            client_key=f"notice:{notice.id}",
            kind=kinds.BOOKING_CONFIRMATION if answers_guest else kinds.BOOKING_REMINDER,
            event_at=told.appointment.starts_at,
        )
    except Invalid as error:
        return Fired("failed", f"Not sent: {next(iter(error.fields.values()))}")
    if message.state == "refused":
        return Fired("skipped", f"Not sent: {message.error_text}", message.id)
    if message.state == "held":
        return Fired("sent", _held(message.send_at, told), message.id)
    return Fired("sent", "Given to the texts that leave; its bubble shows how it went.", message.id)


def _held(until: datetime | None, told: Told) -> str:
    if until is None:
        return "Waits in the conversation; its bubble says why."
    zone, locale = told.account.zone, formats.locale_of(told.account.locale)
    return f"Held until {formats.date_and_time(until, zone, locale)}; its bubble says why."


def _send_mail(session: Session, notice: BookingNotice, rule: NoticeRule, told: Told) -> Fired:
    receivers = _receivers(session, rule, told)
    if not receivers:
        return Fired("skipped", "Not sent: there is no e-mail address.")
    values = words.values_for(told, rule.audience)
    body = words.fill(rule.body, values)
    letter = mails.write(
        "booking",
        account=told.account.name,
        colour=told.account.brand_colour,
        body=body,
        link=values["booking.link"] if rule.audience == "guest" else values["booking.host_link"],
        action="Change or cancel" if rule.audience == "guest" else "Open the booking",
        with_action=rule.occasion not in ("cancelled", "declined"),
    )
    file = None
    if rule.audience == "guest" and rule.occasion in ("confirmed", "moved", "cancelled"):
        file = invite.invite(told.account, told.calendar, told.appointment, told.booking)
    first = None
    for address in receivers:
        made = mails.queue_mail(
            session,
            agency_id=told.account.agency_id,
            recipient=address,
            subject=words.fill(rule.subject, values),
            kind="booking",
            account_id=told.account.id,
            contact_id=told.booking.contact_id,
            body_text=letter.text,
            body_html=letter.html,
            dedupe_key=f"notice:{notice.id}:{address}",
            from_name=told.account.name,
            calendar=(file.method, file.content.decode()) if file else None,
        )
        first = first or made
    return Fired("sent", f"Mailed to {', '.join(receivers)}.", mail_id=first)


def _receivers(session: Session, rule: NoticeRule, told: Told) -> list[str]:
    if rule.audience == "guest":
        others = told.booking.others if rule.occasion != "requested" else []
        return list(dict.fromkeys(filter(None, [told.booking.guest_email, *others])))
    # Who has left the account since learns nothing more of its guests.
    ids = {host.user_id for host in told.appointment.hosts}
    return sorted(one.email for one in access.people_of_account(session, told.account) if one.id in ids)
