"""The providers that are played: one line each."""

from app.sandbox.google.provider import GOOGLE
from app.sandbox.registry import Provider
from app.sandbox.twilio.provider import TWILIO

PROVIDERS: tuple[Provider, ...] = (TWILIO, GOOGLE)


def provider_of(path: str) -> Provider | None:
    """Whose API call this path is."""
    return next((p for p in PROVIDERS if path.startswith(p.prefixes)), None)
