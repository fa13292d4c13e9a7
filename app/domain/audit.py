"""The audit log: who did what. Written in the same transaction as the deed."""

import uuid
from typing import Any

from sqlalchemy.orm import Session

from app.core.actor import Actor
from app.models.audit import AuditEntry


def note(
    session: Session,
    actor: Actor,
    action: str,
    subject: str = "",
    *,
    account_id: uuid.UUID | None = None,
    **detail: Any,
) -> None:
    """`action` is noun.verb in the past (user.signed_in); `subject` is for people; never secrets in `detail`."""
    session.add(
        AuditEntry(
            agency_id=actor.agency_id,
            account_id=account_id,
            user_id=actor.user_id,
            actor=actor.name,
            action=action,
            subject=subject,
            detail=detail,
            ip=actor.ip,
        )
    )
