"""The providers that are built in; one line each. A rule test asks of every entry: README, fixtures, sandbox, tests."""

from app.integrations.base import Integration

INTEGRATIONS: tuple[Integration, ...] = ()


def adapter_for(provider: str) -> Integration:
    """LookupError for a provider that is not built in."""
    for integration in INTEGRATIONS:
        if integration.key == provider:
            return integration
    raise LookupError(provider)
