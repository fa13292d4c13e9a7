"""All tables in one import, for migrations and for checks of the whole schema."""

from app.models import (
    account,
    agency,
    audit,
    breaker,
    connection,
    consent,
    contact,
    conversation,
    mail,
    message,
    outbox,
    price,
    replay,
    usage,
    user,
    webhook_event,
)
from app.models.base import Base, tenant_tables

__all__ = [
    "Base",
    "account",
    "agency",
    "audit",
    "breaker",
    "connection",
    "consent",
    "contact",
    "conversation",
    "mail",
    "message",
    "outbox",
    "price",
    "replay",
    "tenant_tables",
    "usage",
    "user",
    "webhook_event",
]
