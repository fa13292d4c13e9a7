"""Mails of ours: stored in the transaction of the deed they tell of, sent later by a job.

Bodies carry one-use links, so they are sealed at rest and erased once sent. Sending is at least once: a worker that
dies between the server's yes and our note of it sends the same mail again, under the same Message-ID.
"""

import json
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import formataddr, parseaddr
from pathlib import Path
from typing import Any

import css_inline
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.core import jobs, runtime
from app.core.clock import now
from app.core.crypto import SealBroken, place
from app.core.ids import new_id
from app.domain.sending import kinds
from app.models.agency import Agency
from app.models.mail import Mail

TEMPLATES = Path(__file__).parents[2] / "templates"
LEASE = timedelta(minutes=3)
LONGEST_WAIT = timedelta(days=1)

_html = Environment(
    loader=FileSystemLoader(TEMPLATES),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_text = _html.overlay(autoescape=False)


@dataclass(frozen=True)
class Letter:
    text: str
    html: str


@dataclass(frozen=True)
class Claimed:
    """A mail under lease, opened; `body_text` is empty when the seal was broken."""

    id: uuid.UUID
    sender: str
    recipient: str
    subject: str
    body_text: str
    body_html: str
    attempts: int
    created_at: datetime
    # An iCalendar file: its method and its content.
    calendar: tuple[str, str] | None = None
    kind: str = ""

    @property
    def lasts(self) -> timedelta:
        """How long it may wait; past that it is of no use to whom it is for."""
        return kinds.MAILS_LAST.get(self.kind, kinds.OTHER_MAILS_LAST)

    @property
    def is_over(self) -> bool:
        return now() - self.created_at > self.lasts


def write(template: str, **values: Any) -> Letter:
    """Both parts of a mail from templates/emails/<template>.html and .txt, styles moved onto the elements."""
    html = _html.get_template(f"emails/{template}.html").render(values)
    text = _text.get_template(f"emails/{template}.txt").render(values)
    return Letter(text.strip() + "\n", css_inline.inline(html))


def queue_mail(
    session: Session,
    *,
    agency_id: uuid.UUID,
    recipient: str,
    subject: str,
    kind: str,
    body_text: str,
    body_html: str = "",
    dedupe_key: str | None = None,
    user_id: uuid.UUID | None = None,
    account_id: uuid.UUID | None = None,
    contact_id: uuid.UUID | None = None,
    from_name: str = "",
    calendar: tuple[str, str] | None = None,
) -> uuid.UUID | None:
    """Stores the mail and rings for it after the commit; a second with the same `dedupe_key` is not stored and gives None.

    `account_id` and `contact_id` say what it is about. `from_name` stands before our address instead of our own name;
    `calendar` is an iCalendar file: method and content."""
    mail_id = new_id()
    body = json.dumps({"text": body_text, "html": body_html, "from_name": from_name, "calendar": calendar})
    stored = session.execute(
        insert(Mail)
        .values(
            id=mail_id,
            agency_id=agency_id,
            recipient=recipient,
            subject=subject,
            kind=kind,
            dedupe_key=dedupe_key,
            body=runtime.current().vault.seal_text(body, place("mails", mail_id, "body")),
            run_at=now(),
            user_id=user_id,
            account_id=account_id,
            contact_id=contact_id,
        )
        .on_conflict_do_nothing(index_elements=[Mail.dedupe_key])
        .returning(Mail.id)
    ).first()
    jobs.ring_after_commit(session, jobs.SEND_MAILS)
    return mail_id if stored else None


def claim(session: Session, limit: int = 20) -> list[Claimed]:
    """Takes due mails under a lease. The caller commits before it talks to the mail server."""
    due = (
        select(Mail.id)
        .where(
            ((Mail.state == "waiting") & (Mail.run_at <= now()))
            | ((Mail.state == "sending") & (Mail.lease_until < now()))
        )
        .order_by(Mail.run_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    rows = session.scalars(
        update(Mail)
        .where(Mail.id.in_(due.scalar_subquery()))
        .values(state="sending", lease_until=now() + LEASE, attempts=Mail.attempts + 1)
        .returning(Mail)
    ).all()
    senders = dict(
        session.execute(
            select(Agency.id, Agency.mail_from).where(Agency.id.in_({m.agency_id for m in rows}))
        ).all()
    )
    return [_opened(mail, senders.get(mail.agency_id) or "") for mail in rows]


def _opened(mail: Mail, sender: str) -> Claimed:
    try:
        opened = runtime.current().vault.open_text(mail.body or b"", place("mails", mail.id, "body"))
        body = json.loads(opened)
    except SealBroken:
        body = {"text": "", "html": ""}
    sender = sender or runtime.current().settings.mail_from
    calendar = body.get("calendar")
    return Claimed(
        id=mail.id,
        sender=formataddr((body["from_name"], parseaddr(sender)[1])) if body.get("from_name") else sender,
        recipient=mail.recipient,
        subject=mail.subject,
        body_text=body["text"],
        body_html=body["html"],
        attempts=mail.attempts,
        created_at=mail.created_at,
        kind=mail.kind,
        calendar=(calendar[0], calendar[1]) if calendar else None,
    )


def mark_sent(session: Session, mail_id: uuid.UUID) -> None:
    _settle(session, mail_id, state="sent", sent_at=now(), body=None, error=None)


def mark_failed(session: Session, mail_id: uuid.UUID, error: str) -> None:
    """Not to be tried again; the body goes too, it is of no use to anybody."""
    _settle(session, mail_id, state="failed", body=None, error=error[:500])


def try_later(session: Session, mail: Claimed, error: str) -> None:
    """Waits twice as long each time, up to a day; given up once its time is over."""
    if mail.is_over:
        mark_failed(session, mail.id, error)
        return
    wait = min(timedelta(seconds=30) * 2 ** min(mail.attempts - 1, 12), LONGEST_WAIT)
    _settle(session, mail.id, state="waiting", run_at=now() + wait, error=error[:500])


def _settle(session: Session, mail_id: uuid.UUID, **values: Any) -> None:
    session.execute(update(Mail).where(Mail.id == mail_id).values(lease_until=None, **values))
