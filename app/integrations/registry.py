"""The providers that are built in; one line each. A rule test asks of every entry: README, fixtures, sandbox, tests."""

from app.integrations.base import CalendarIntegration, Integration, TextIntegration
from app.integrations.google.integration import GOOGLE, GOOGLE_CALENDAR
from app.integrations.oauth import OAuthProvider
from app.integrations.twilio.integration import TWILIO

INTEGRATIONS: tuple[Integration, ...] = (TWILIO, GOOGLE_CALENDAR)
# Those that are connected by consent.
OAUTH_PROVIDERS: tuple[OAuthProvider, ...] = (GOOGLE,)


def adapter_for(provider: str) -> TextIntegration:
    """LookupError for a provider that carries no texts."""
    for integration in INTEGRATIONS:
        if integration.key == provider and isinstance(integration, TextIntegration):
            return integration
    raise LookupError(provider)


def calendars_of(provider: str) -> CalendarIntegration:
    """LookupError for a provider that keeps no calendars."""
    for integration in INTEGRATIONS:
        if integration.key == provider and isinstance(integration, CalendarIntegration):
            return integration
    raise LookupError(provider)


def oauth_provider(key: str) -> OAuthProvider:
    """LookupError for a provider that is not connected by consent."""
    for provider in OAUTH_PROVIDERS:
        if provider.key == key:
            return provider
    raise LookupError(key)
