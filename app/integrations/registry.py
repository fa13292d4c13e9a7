"""The providers that are built in; one line each. A rule test asks of every entry: README, fixtures, sandbox, tests."""

from app.integrations.base import Integration
from app.integrations.google.oauth import GOOGLE
from app.integrations.oauth import OAuthProvider
from app.integrations.twilio.integration import TWILIO

INTEGRATIONS: tuple[Integration, ...] = (TWILIO,)
# Those that are connected by consent.
OAUTH_PROVIDERS: tuple[OAuthProvider, ...] = (GOOGLE,)


def adapter_for(provider: str) -> Integration:
    """LookupError for a provider that is not built in."""
    for integration in INTEGRATIONS:
        if integration.key == provider:
            return integration
    raise LookupError(provider)


def oauth_provider(key: str) -> OAuthProvider:
    """LookupError for a provider that is not connected by consent."""
    for provider in OAUTH_PROVIDERS:
        if provider.key == key:
            return provider
    raise LookupError(key)
