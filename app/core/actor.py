"""Who is acting, in the form the domain wants it."""

import uuid
from dataclasses import dataclass


@dataclass(frozen=True)
class Actor:
    """`user_id` is None for commands and workers; `name` is what logs and the audit page show."""

    agency_id: uuid.UUID
    user_id: uuid.UUID | None
    name: str
    ip: str = ""
