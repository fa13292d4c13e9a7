"""What the domain needs of a provider that carries texts; integrations implement it, jobs pass it in."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True)
class OutgoingText:
    """Everything a provider has to know about one text, read before the call and independent of the database."""

    message_id: uuid.UUID
    connection_id: uuid.UUID
    to: str
    sender_address: str
    service_ref: str | None
    body: str
    media_urls: tuple[str, ...]


@dataclass(frozen=True)
class Accepted:
    """The provider took the text; `status` is its own word for the state."""

    ref: str
    status: str
    segments: int | None = None


@dataclass(frozen=True)
class SentRecord:
    """One text as the provider lists it."""

    ref: str
    status: str
    to: str
    body: str
    created_at: datetime
    error_code: str = ""
    segments: int | None = None


@dataclass(frozen=True)
class IncomingMedia:
    url: str
    content_type: str


@dataclass(frozen=True)
class IncomingText:
    """A text from outside in our words; `opt_out` is the provider's own judgement: STOP, START, HELP or ''."""

    ref: str
    sender: str
    to: str
    body: str
    media: tuple[IncomingMedia, ...] = ()
    opt_out: str = ""
    segments: int | None = None


@dataclass(frozen=True)
class Report:
    """What became of a text. `message_id` is our own id, carried in the report's address."""

    ref: str
    status: str
    message_id: uuid.UUID | None = None
    code: str = ""
    text: str = ""


class TextChannel(Protocol):
    """Credentials are bound when the channel is made; each call raises one of core.errors' ProviderError."""

    def send(self, text: OutgoingText) -> Accepted: ...

    def find_sent(self, text: OutgoingText, since: datetime) -> list[SentRecord]:
        """What the provider accepted for the same receiver and words since then, oldest first."""
        ...

    def fetch(self, ref: str) -> SentRecord: ...

    def fetch_media(self, url: str, limit_bytes: int) -> tuple[bytes, str]:
        """Content and content type. Raises Permanent when it is larger than the limit."""
        ...
