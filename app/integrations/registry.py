"""The providers that are built in; one line each. A rule test asks of every entry: README, fixtures, sandbox, tests."""

from app.integrations.base import Integration
from app.integrations.twilio.integration import TWILIO

INTEGRATIONS: tuple[Integration, ...] = (TWILIO,)


def adapter_for(provider: str) -> Integration:
    """LookupError for a provider that is not built in."""
    for integration in INTEGRATIONS:
        if integration.key == provider:
            return integration
    raise LookupError(provider)
