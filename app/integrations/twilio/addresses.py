"""Where Twilio finds us. One address per connection, so that an account's webhooks are checked with its own token."""

import uuid
from urllib.parse import urlsplit

from app.config import is_loopback

PREFIX = "/webhooks/twilio"


def inbound_url(public_url: str, connection_id: uuid.UUID) -> str:
    return f"{public_url}{PREFIX}/{connection_id}/inbound"


def status_url(public_url: str, connection_id: uuid.UUID, message_id: uuid.UUID | None = None) -> str:
    """With our message's id in it, a report finds its message even before we know Twilio's id."""
    base = f"{public_url}{PREFIX}/{connection_id}/status"
    return f"{base}?message={message_id}" if message_id else base


def can_call(api_base: str, public_url: str) -> bool:
    """Whether Twilio at `api_base` can reach us at all: the real one cannot call this machine by its loopback name."""
    return is_loopback(urlsplit(api_base).hostname) or not is_loopback(urlsplit(public_url).hostname)


def belongs_here(url: str, public_url: str) -> bool:
    """The address is one of this installation's, be it another connection's."""
    return url.startswith(f"{public_url}{PREFIX}/")
