"""Turns a script into contacts and conversations, through the domain's verbs, with times counted back from now."""

import random
import re
import uuid
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from sqlalchemy.orm import Session

from app.commands.demo import simulator
from app.commands.demo.businesses import Business
from app.commands.demo.scripts import Line, Script
from app.core.clock import now
from app.domain import consent, contacts, conversations, inbound, media, past
from app.domain.channels import IncomingText
from app.domain.sending import queue
from app.domain.sending.reports import ErrorWords
from app.models.account import Account
from app.models.connection import Connection, Sender
from app.models.contact import Contact, CustomField
from app.models.conversation import Conversation
from app.models.message import Message
from app.models.user import User

AGREED = "I agree to receive texts about my appointments and orders from {name}. Reply STOP to end."
PAUSE = re.compile(r"(\d+)([dhm])(?: (\d\d:\d\d))?")


@dataclass
class Stage:
    """Everything the tellers need of one account."""

    session: Session
    account: Account
    business: Business
    connection: Connection
    senders: list[Sender]
    people: dict[str, User]
    fields: list[CustomField]
    words: ErrorWords
    chance: random.Random


def tell(stage: Stage, script: Script, phone: str) -> None:
    """One contact and everything that was said with them. The caller commits."""
    moments = times_of(script, stage)
    begins = moments[0]
    contact = make_contact(stage, script, phone, begins)
    talk = conversations.for_contact(stage.session, contact)
    author = author_of(stage, script)
    for line, at in zip(script.lines, moments, strict=True):
        if line.kind != "pause":
            _TELLERS[line.kind](stage, talk, phone, line, at, author)
    settle(stage, script, talk, author, moments[-1])
    contact.created_at = begins - timedelta(days=stage.chance.randint(1, 200))
    contact.last_activity_at = talk.last_at
    stage.session.flush()


def times_of(script: Script, stage: Stage) -> list[datetime]:
    """When each line happened, one for each; the whole thread moves back when it would end in the future."""
    zone = stage.account.zone
    days, clock = script.begins.split(" ")
    if clock.startswith("-"):
        at = now() - _span(clock[1:])
    else:
        day = now().astimezone(zone).date() - timedelta(days=int(days[:-1]))
        at = _wall(day, clock, stage)
    found: list[datetime] = []
    for line in script.lines:
        if line.kind == "pause":
            parts = PAUSE.fullmatch(line.extra)
            if parts and parts[3]:
                at = _wall(at.astimezone(zone).date() + timedelta(days=int(parts[1])), parts[3], stage)
            else:
                at += _span(line.extra)
        elif found:
            at += timedelta(seconds=stage.chance.randint(40, 210))
        found.append(at)
    late = found[-1] - (now() - timedelta(minutes=1))
    return [each - late for each in found] if late > timedelta(0) else found


def _wall(day: date, clock: str, stage: Stage) -> datetime:
    local = datetime.combine(day, datetime.strptime(clock, "%H:%M").time(), tzinfo=stage.account.zone)
    return local.astimezone(UTC) + timedelta(seconds=stage.chance.randint(0, 59))


def _span(text: str) -> timedelta:
    units = {"m": "minutes", "h": "hours", "d": "days"}
    return timedelta(**{units[text[-1]]: int(text[:-1])})


def make_contact(stage: Stage, script: Script, phone: str, begins: datetime) -> Contact:
    first, _, last = script.name.partition(" ")
    mail = script.facts.get("email") or f"{first}.{last}@example.com".lower().replace(" ", "").replace(
        "'", ""
    )
    contact = contacts.create(
        stage.session,
        stage.account,
        first_name="" if script.facts.get("company") == script.name else first,
        last_name="" if script.facts.get("company") == script.name else last,
        company=script.facts.get("company", ""),
        phones=[phone],
        emails=[mail] if "email" in script.facts or stage.chance.random() < 0.6 else [],
        tags=script.tags,
        custom={field.key: text for field in stage.fields if (text := _value(stage, field))},
        source=stage.chance.choice(["Website", "Referral", "Google", "Walk-in", "Phone"]),
        notes=script.facts.get("note", ""),
    )
    if "handset" in script.flags or stage.chance.random() < 0.5:
        consent.record(
            stage.session,
            address=phone,
            state="opted_in",
            source="form",
            wording=AGREED.format(name=stage.account.name),
            at=begins - timedelta(minutes=5),
            contact_id=contact.id,
        )
    return contact


def _value(stage: Stage, field: CustomField) -> str:
    if stage.chance.random() < 0.4:
        return ""
    if field.kind == "choice":
        return stage.chance.choice(field.options)
    if field.kind == "date":
        return (now() - timedelta(days=stage.chance.randint(20, 300))).date().isoformat()
    return str(stage.chance.randint(1, 12) if field.kind == "number" else stage.chance.randint(1000, 9999))


def author_of(stage: Stage, script: Script) -> User:
    """Whom the flags name, else somebody of the team."""
    named = [key for key in stage.people if key in script.flags]
    return stage.people[named[0] if named else stage.chance.choice(stage.business.team)]


def _came(stage: Stage, talk: Conversation, phone: str, line: Line, at: datetime, author: User) -> None:
    message = inbound.receive_text(
        stage.session,
        account=stage.account,
        connection=stage.connection,
        sender=stage.senders[0],
        incoming=IncomingText(f"SM{_hex(stage)}", phone, stage.senders[0].address, line.text),
        at=at,
    )
    if line.extra:
        _attach(stage, talk, message, line.extra)


def _attach(stage: Stage, talk: Conversation, message: Message, name: str) -> None:
    """The picture as a worker would have fetched it."""
    file = media.store_upload(
        stage.session, stage.account.id, name, "image/png", simulator.picture(name), user_id=None
    )
    file.message_id, message.media_count = message.id, 1
    conversations.show_last(talk, message, "Picture")


def _went(stage: Stage, talk: Conversation, phone: str, line: Line, at: datetime, author: User) -> None:
    past.write_sent(
        stage.session,
        stage.account,
        talk,
        sender=stage.senders[0],
        to=phone,
        body=line.text,
        author_id=author.id,
        author_name=author.name,
        at=at,
        status="undelivered" if line.extra else "delivered",
        code=line.extra,
        words=stage.words,
        ref=f"SM{_hex(stage)}",
    )


def _commented(stage: Stage, talk: Conversation, phone: str, line: Line, at: datetime, author: User) -> None:
    conversations.add_comment(stage.session, talk, line.text, author.id).created_at = at


def _planned(stage: Stage, talk: Conversation, phone: str, line: Line, at: datetime, author: User) -> None:
    days, clock = line.extra.split(" ")
    day = now().astimezone(stage.account.zone).date() + timedelta(days=int(days[:-1]))
    message = queue.queue_text(
        stage.session,
        stage.account,
        talk,
        to=phone,
        body=line.text,
        sender=stage.senders[0],
        author_id=author.id,
        send_at=_wall(day, clock, stage).replace(second=0),
        author_name=author.name,
    )
    past.move_back(talk, message, at)


def _closed(stage: Stage, talk: Conversation, phone: str, line: Line, at: datetime, author: User) -> None:
    talk.status, talk.unread_count = "closed", 0
    conversations.add_event(stage.session, talk, "closed", f"{author.name} closed this", author.id, at=at)


_TELLERS = {"in": _came, "out": _went, "comment": _commented, "scheduled": _planned, "closed": _closed}


def _hex(stage: Stage) -> str:
    return uuid.UUID(int=stage.chance.getrandbits(128)).hex


def settle(stage: Stage, script: Script, talk: Conversation, author: User, at: datetime) -> None:
    """What the flags say about the conversation as a whole."""
    talk.starred = "starred" in script.flags
    if "unread" not in script.flags:
        talk.unread_count = 0
    if any(key in script.flags for key in stage.people):
        talk.assigned_to = author.id
        conversations.add_event(stage.session, talk, "assigned", f"{author.name} took this", author.id, at=at)
    if "snoozed" in script.flags:
        until = _wall(now().astimezone(stage.account.zone).date() + timedelta(days=3), "09:00", stage)
        until = until.replace(second=0)
        talk.snoozed_until = until
        text = f"{author.name} snoozed this until {until.astimezone(stage.account.zone):%A at 9:00}"
        conversations.add_event(stage.session, talk, "snoozed", text, author.id, at=at)
