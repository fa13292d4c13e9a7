"""Texts that went out, over all accounts of an agency: where they stand, never what they say.

The rows are fenced one account at a time; a function that runs as the owner of the tables gives what this list shows.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

PAGE_SIZE = 50
# Texts whose fate is not known, and those that failed for a reason a person may have mended since.
NEEDS_A_LOOK = "look"


@dataclass(frozen=True)
class TextFilter:
    state: str = NEEDS_A_LOOK
    provider: str = ""
    account_id: uuid.UUID | None = None
    contact_ids: tuple[uuid.UUID, ...] | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class Page:
    texts: list[Row[Any]]
    more: bool


def values(
    agency_id: uuid.UUID, wanted: TextFilter, before: tuple[datetime, uuid.UUID] | None, most: int
) -> dict[str, Any]:
    """What the functions that list an agency's outgoing things are asked with."""
    trouble = wanted.state == NEEDS_A_LOOK
    return {
        "agency_id": agency_id,
        "account_id": wanted.account_id,
        "trouble": trouble,
        "state": None if trouble else wanted.state or None,
        "contact_ids": None if wanted.contact_ids is None else list(wanted.contact_ids),
        "provider": wanted.provider or None,
        "since": wanted.since,
        "until": wanted.until,
        "before_at": before[0] if before else None,
        "before_id": before[1] if before else None,
        "most": most,
    }


def page(
    session: Session,
    agency_id: uuid.UUID,
    wanted: TextFilter,
    before: tuple[datetime, uuid.UUID] | None = None,
    size: int = PAGE_SIZE,
) -> Page:
    """Newest first; the key of a page is time and id of its last row."""
    rows = session.execute(
        text("""
            select t.* from agency_texts(
                cast(:agency_id as uuid), cast(:account_id as uuid), cast(:trouble as boolean),
                cast(:state as text), cast(:contact_ids as uuid[]), cast(:provider as text),
                cast(:since as timestamptz), cast(:until as timestamptz),
                cast(:before_at as timestamptz), cast(:before_id as uuid), cast(:most as integer)) t
        """),
        values(agency_id, wanted, before, size + 1),
    ).all()
    return Page(list(rows[:size]), len(rows) > size)
