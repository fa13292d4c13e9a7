"""What the played Twilio remembers about accounts, numbers, services, messages and media, as plain rows."""

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from app.sandbox.journal import now

API_VERSION = "2010-04-01"
DONE = ("delivered", "undelivered", "failed", "canceled", "received", "read")
# GSM 03.38 basic alphabet and the characters that take two places (escape + character).
GSM_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM_TWICE = frozenset("^{}\\[~]|€\f")


def new_sid(prefix: str) -> str:
    return prefix + secrets.token_hex(16)


def rfc2822(at: str | None) -> str | None:
    """The 2010 API's way to write a time that is kept as ISO text."""
    return format_datetime(datetime.fromisoformat(at)) if at else None


def iso_z(at: str) -> str:
    """The newer APIs' way: seconds and Z."""
    return datetime.fromisoformat(at).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def stamp() -> str:
    return now().isoformat(timespec="milliseconds")


def count_segments(text: str) -> int:
    if all(c in GSM_BASIC or c in GSM_TWICE for c in text):
        size, one, many = sum(2 if c in GSM_TWICE else 1 for c in text), 160, 153
    else:
        size, one, many = len(text.encode("utf-16-be")) // 2, 70, 67
    return 1 if size <= one else -(-size // many)


@dataclass
class Account:
    sid: str
    auth_token: str
    name: str
    registered: bool = False
    status: str = "active"
    api_keys: dict[str, str] = field(default_factory=dict)
    created_at: str = field(default_factory=stamp)


@dataclass
class Number:
    sid: str
    account_sid: str
    phone_number: str
    friendly_name: str
    country: str = "US"
    sms_url: str = ""
    sms_method: str = "POST"
    sms_fallback_url: str = ""
    sms_fallback_method: str = "POST"
    status_callback: str = ""
    status_callback_method: str = "POST"
    service_sid: str = ""
    created_at: str = field(default_factory=stamp)
    updated_at: str = field(default_factory=stamp)


@dataclass
class Service:
    sid: str
    account_sid: str
    friendly_name: str
    inbound_request_url: str | None = None
    inbound_method: str = "POST"
    fallback_url: str | None = None
    fallback_method: str = "POST"
    status_callback: str | None = None
    sticky_sender: bool = True
    use_inbound_webhook_on_number: bool = False
    advanced_opt_out: bool = True
    usecase: str = "undeclared"
    created_at: str = field(default_factory=stamp)
    updated_at: str = field(default_factory=stamp)


@dataclass
class Media:
    sid: str
    message_sid: str
    account_sid: str
    content_type: str
    content: bytes
    created_at: str = field(default_factory=stamp)


@dataclass
class Handset:
    number: str
    name: str
    # The business number it texts until a thread says otherwise.
    business: str = ""


@dataclass
class Message:
    sid: str
    account_sid: str
    to: str
    sender: str
    body: str
    direction: str
    status: str
    service_sid: str = ""
    status_callback: str = ""
    media_urls: list[str] = field(default_factory=list)
    media_sids: list[str] = field(default_factory=list)
    error_code: int | None = None
    error_message: str | None = None
    created_at: str = field(default_factory=stamp)
    updated_at: str = field(default_factory=stamp)
    sent_at: str | None = None
    price: str | None = None
    send_at: str | None = None
    client: str = ""
    history: list[list[str]] = field(default_factory=list)
    webhook: dict[str, Any] | None = None
    seq: int = 0

    @property
    def num_media(self) -> int:
        return max(len(self.media_urls), len(self.media_sids))

    @property
    def is_outbound(self) -> bool:
        return self.direction != "inbound"

    @property
    def phone(self) -> str:
        """The customer's number."""
        return self.to if self.is_outbound else self.sender

    @property
    def business(self) -> str:
        return self.sender if self.is_outbound else self.to
