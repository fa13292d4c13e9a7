"""The mail catcher: an SMTP server that keeps every letter instead of delivering it, readable."""

import email
import email.policy
import itertools
import re
import threading
from collections import deque
from dataclasses import asdict, dataclass
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from app.sandbox.journal import now

KEEP = 300


@dataclass(frozen=True)
class Letter:
    id: int
    at: str
    sender: str
    recipients: list[str]
    subject: str
    from_header: str
    text: str
    html: str
    attachments: list[str]

    @property
    def preview(self) -> str:
        return re.sub(r"\s+", " ", self.text).strip()[:120]


def _body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    if part is None:
        return ""
    content = part.get_content()
    return content if isinstance(content, str) else ""


class Mailbox:
    """Every letter caught, newest first. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids = itertools.count(1)
        self._letters: deque[Letter] = deque(maxlen=KEEP)
        self._changes = 0

    def add(self, sender: str, recipients: list[str], content: bytes) -> Letter:
        message = email.message_from_bytes(content, policy=email.policy.default)
        with self._lock:
            letter = Letter(
                id=next(self._ids),
                at=now().isoformat(timespec="seconds"),
                sender=sender,
                recipients=recipients,
                subject=str(message["subject"] or "(no subject)"),
                from_header=str(message["from"] or sender),
                text=_body(message, "plain"),
                html=_body(message, "html"),
                attachments=[part.get_filename() or "unnamed" for part in message.iter_attachments()],
            )
            self._letters.appendleft(letter)
            self._changes += 1
        return letter

    def all(self) -> list[Letter]:
        with self._lock:
            return list(self._letters)

    def get(self, letter_id: int) -> Letter | None:
        return next((letter for letter in self.all() if letter.id == letter_id), None)

    def clear(self, keep_accounts: bool = False) -> None:
        with self._lock:
            self._letters.clear()
            self._changes += 1

    def dump(self) -> dict[str, Any]:
        return {"letters": [asdict(letter) for letter in self.all()]}

    def load(self, saved: dict[str, Any]) -> None:
        with self._lock:
            self._letters = deque((Letter(**each) for each in saved["letters"]), maxlen=KEEP)
            self._ids = itertools.count(max((letter.id for letter in self._letters), default=0) + 1)

    def version(self) -> int:
        return self._changes


class _Catcher:
    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        content = (
            envelope.content if isinstance(envelope.content, bytes) else (envelope.content or "").encode()
        )
        self._mailbox.add(envelope.mail_from or "", list(envelope.rcpt_tos), content)
        return "250 Caught"


def catch_mail(mailbox: Mailbox, host: str, port: int) -> Controller:
    """Start the SMTP server on its own thread; the caller stops it."""
    controller = Controller(_Catcher(mailbox), hostname=host, port=port)
    controller.start()
    return controller
