"""Sending mail: an SMTP address as one setting, a message, a conversation with the server that never waits for ever.

smtp://user:password@host:587 speaks in the clear and changes to TLS on port 587 or with ?starttls=1 (?starttls=0 turns
that off); smtps:// is TLS from the first byte, port 465 by default.
"""

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from urllib.parse import parse_qs, unquote, urlsplit

from app.core.clock import now

TIMEOUT_S = 15


@dataclass(frozen=True)
class Server:
    host: str
    port: int
    tls: bool
    starttls: bool
    user: str = ""
    password: str = field(default="", repr=False)


def parse(url: str) -> Server:
    """Raises ValueError with a sentence."""
    parts = urlsplit(url)
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
        raise ValueError("SMTP_URL must look like smtp://user:password@host:587 or smtps://…")
    tls = parts.scheme == "smtps"
    port = parts.port or (465 if tls else 25)
    asked = parse_qs(parts.query).get("starttls", [""])[0].lower()
    starttls = not tls and (asked in ("1", "true", "yes") or (asked == "" and port == 587))
    return Server(
        parts.hostname, port, tls, starttls, unquote(parts.username or ""), unquote(parts.password or "")
    )


@contextmanager
def connected(server: Server) -> Iterator[smtplib.SMTP]:
    """A signed-in conversation. Raises OSError or smtplib.SMTPException."""
    context = ssl.create_default_context() if server.tls or server.starttls else None
    smtp: smtplib.SMTP
    if server.tls:
        smtp = smtplib.SMTP_SSL(server.host, server.port, timeout=TIMEOUT_S, context=context)
    else:
        smtp = smtplib.SMTP(server.host, server.port, timeout=TIMEOUT_S)
    with smtp:
        if server.starttls:
            smtp.starttls(context=context)
        if server.user:
            smtp.login(server.user, server.password)
        yield smtp


def message(
    *,
    sender: str,
    recipient: str,
    subject: str,
    text: str,
    html: str,
    message_id: str,
    calendar: tuple[str, str] | None = None,
) -> EmailMessage:
    """The same `message_id` for every try, so that a mail that went out twice is shown once.

    `calendar` (method, content) goes in twice, as mail programs want it: as a part they act on (RFC 6047) and as a file."""
    name, address = parseaddr(sender)
    domain = address.partition("@")[2] or "localhost"
    made = EmailMessage()
    made["From"] = Address(name, addr_spec=address)
    made["To"] = recipient
    made["Subject"] = " ".join(subject.split())
    made["Date"] = format_datetime(now())
    made["Message-ID"] = f"<{message_id}@{domain}>"
    made["Auto-Submitted"] = "auto-generated"
    made.set_content(text)
    if html:
        made.add_alternative(html, subtype="html")
    if calendar is not None:
        method, content = calendar
        made.add_alternative(content, subtype="calendar", params={"method": method})
        made.add_attachment(
            content.encode(),
            maintype="text",
            subtype="calendar",
            filename="invite.ics",
            params={"method": method, "charset": "utf-8"},
        )
    return made
